"""Several values of a parameter side by side."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.config import load_registry
from penstock.core.errors import ConfigError
from penstock.core.selection import RunRange
from penstock.execute import Planner, Request, run
from penstock.store import Store
from penstock.tpc.schemas import Clusters
from penstock.views.tpc_tune import Trial, compare, draw_contact_sheet, parse_values, stages_to_compare

PARAMETER = "tpc.estimates.min_total_trajectory_points"
VALUES = (30, 150, 5000)
TRACKS = ("tpc.points", "tpc.clusters", "tpc.estimates")


def trial(processed, value: int, *, compute: bool = True) -> Trial:
    request = Request(RunRange("1"), overrides={PARAMETER: value})
    if compute:
        assert run(processed.experiment, processed.store, request).ok
    return Trial(value, tuple(Planner(processed.experiment, processed.store, request).plan()))


@pytest.fixture(scope="module")
def processed(processed, tmp_path_factory: pytest.TempPathFactory):
    """The experiment with a store of its own: trials move refs."""
    with Store(Path(shutil.copytree(processed.store.root, tmp_path_factory.mktemp("tune") / "store"))) as store:
        yield replace(processed, store=store)


@pytest.fixture(scope="module")
def trials(processed) -> list[Trial]:
    return [trial(processed, value) for value in VALUES]


@pytest.mark.parametrize(
    "text, path, values",
    [
        ("tpc.clusters.hdbscan.min_points=3,5,8", "tpc.clusters.hdbscan.min_points", (3, 5, 8)),
        ("tpc.clusters.join = continuity, none", "tpc.clusters.join", ("continuity", "none")),
        ('tpc.mesh.particles=["1H"],["1H","2H"]', "tpc.mesh.particles", (["1H"], ["1H", "2H"])),
        ("tpc.fits.errors.scattering=true,false", "tpc.fits.errors.scattering", (True, False)),
    ],
    ids=["numbers", "words", "lists", "switches"],
)
def test_values_are_json_or_words(text: str, path: str, values: tuple[object, ...]) -> None:
    assert parse_values(text) == (path, values)


@pytest.mark.parametrize(
    "text, problem",
    [
        ("tpc.clusters.join", "is not of the form stage.parameter=value,value"),
        ("tpc.clusters.join=", "is not of the form stage.parameter=value,value"),
        ("tpc.clusters.join=3,3", "a value stands twice"),
        ("tpc.clusters.join=" + ",".join(map(str, range(13))), "13 values, a contact sheet has room for 12"),
    ],
    ids=["no values", "empty", "twice", "too many"],
)
def test_what_is_no_list_of_values_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_values(text)


@pytest.mark.parametrize(
    "parameter, stages",
    [
        ("tpc.points.max_pulses", TRACKS),
        ("tpc.clusters.hdbscan.min_points", TRACKS),
        ("tpc.fits.max_iterations", (*TRACKS, "tpc.fits")),
        ("tpc.mesh.ke_bins", (*TRACKS, "tpc.mesh", "tpc.fits")),
        ("tpc.detector.beam_region_radius_mm", (*TRACKS, "tpc.fits")),
    ],
    ids=["early", "middle", "late", "without subject", "detector"],
)
def test_later_stages_than_tracks_are_wanted_only_where_they_have_the_parameter(parameter: str, stages: tuple[str, ...]) -> None:
    registry = load_registry()
    pipeline = registry.pipeline(registry.instrument("attpc"), (*TRACKS, "tpc.mesh", "tpc.fits", "tpc.kinematics"))

    assert stages_to_compare(pipeline, parameter) == stages


def test_the_table_counts_what_each_value_gives(processed, trials: list[Trial]) -> None:
    few, some, none = compare(trials, processed.store)

    events = processed.points.n_events
    assert few.events == some.events == none.events == events
    assert few.tracks_per_event == len(processed.records("tpc.clusters", Clusters)["clusters"]["label"]) / events
    assert few.tracks_per_event >= some.tracks_per_event > none.tracks_per_event == 0.0
    assert some.points_per_track >= 150
    assert math.isnan(none.points_per_track)
    assert math.isnan(few.fits_per_event)


def test_nothing_is_null_in_json_but_what_is_not_there(processed, trials: list[Trial]) -> None:
    last = compare(trials, processed.store)[-1].as_json()

    assert [name for name, value in last.items() if value is None] == ["points_per_track", "fits_per_event"]


def test_only_stages_that_the_parameter_changes_count_their_time(processed, trials: list[Trial]) -> None:
    alone = compare(trials[:1], processed.store)[0]

    assert alone.cpu_seconds == 0.0
    assert all(one.cpu_seconds > 0.0 for one in compare(trials, processed.store))


def test_a_value_that_was_not_computed_is_empty(processed, trials: list[Trial]) -> None:
    missing = trial(processed, 77, compute=False)

    assert missing.current(Clusters)
    assert math.isnan(compare([*trials, missing], processed.store)[-1].tracks_per_event)


@pytest.mark.parametrize("choice", [{}, {"against": "sqrt_dEdx"}, {"event": 2}], ids=["angle", "another column", "an event"])
def test_the_contact_sheet_is_a_png(processed, trials: list[Trial], tmp_path: Path, choice: dict[str, object]) -> None:
    path = draw_contact_sheet(trials, processed.store, tmp_path / "sheet.png", parameter=PARAMETER, **choice)

    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 20_000


def test_an_unknown_column_is_answered_with_the_nearest(processed, trials: list[Trial], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'dEdX' is no column of tpc.estimates. Did you mean 'dEdx'\?"):
        draw_contact_sheet(trials, processed.store, tmp_path / "sheet.png", parameter=PARAMETER, against="dEdX")


def test_an_event_that_was_not_computed_is_refused_with_the_range(processed, trials: list[Trial], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run 1: there is no event 77 among those that were computed \(numbers 0 to 5\)"):
        draw_contact_sheet(trials, processed.store, tmp_path / "sheet.png", parameter=PARAMETER, event=77)
