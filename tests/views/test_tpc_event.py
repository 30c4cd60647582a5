from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from penstock.core.errors import ArtifactMissing, BadEvent, ConfigError, RunMissing
from penstock.core.selection import EventSelection
from penstock.core.stage import Pipeline
from penstock.formats.attpc import AttpcRun
from penstock.tpc.pads import pad_plane
from penstock.views import tpc_event
from penstock.views.tpc_event import view_event


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What `view_event` hands to the drawing of events, which draws nothing here."""
    seen: dict[str, object] = {}

    def draw(points, clusters, estimates, index, path, *, title, note):
        seen.update(points=points, clusters=clusters, estimates=estimates, title=title, note=note)
        return path

    monkeypatch.setattr(tpc_event, "draw_event", draw)
    return seen


def _pads(processed, event: int) -> np.ndarray:
    with AttpcRun(processed.experiment.raw / "run_0001.h5") as run:
        return run.read_positions([event])["pads"]["pad"]


def test_an_event_is_drawn_to_the_path(processed, tmp_path: Path) -> None:
    path = view_event(processed.experiment, processed.store, 1, 2, tmp_path / "event.png")

    assert path == tmp_path / "event.png"
    assert path.stat().st_size > 50_000


def test_the_event_is_the_one_with_that_number(processed, drawn, tmp_path: Path) -> None:
    view_event(processed.experiment, processed.store, 1, 3, tmp_path / "event.png")

    for records in (drawn["points"], drawn["clusters"]):
        assert records["events"]["event"].tolist() == [3]
    assert set(drawn["estimates"]["estimates"]["event"]) == {3}


def test_the_title_names_experiment_run_and_event_and_the_note_the_keys(processed, drawn, tmp_path: Path) -> None:
    view_event(processed.experiment, processed.store, 1, 3, tmp_path / "event.png")

    assert drawn["title"] == "trial  ·  run 1  ·  event 3"
    assert all(f"{s} {processed.manifest(s).key.short}" in drawn["note"] for s in ("tpc.points", "tpc.clusters", "tpc.estimates"))


def test_what_is_stale_is_left_out_and_said(processed, drawn, tmp_path: Path) -> None:
    overrides = {"tpc.clusters.min_cloud_size": 10}

    view_event(processed.experiment, processed.store, 1, 3, tmp_path / "event.png", overrides=overrides)

    assert drawn["clusters"] is None
    assert drawn["estimates"] is None
    assert drawn["note"].endswith("tpc.clusters stale")


def test_a_pad_is_drawn_without_any_artifact(processed, tmp_path: Path) -> None:
    pad = int(_pads(processed, 3)[0])

    path = view_event(processed.experiment, processed.store, 1, 3, tmp_path / "pad.png", pad=pad, overrides={"tpc.points.max_pulses": 2})

    assert path.stat().st_size > 20_000


def test_an_unknown_event_is_told_with_the_range(processed, tmp_path: Path) -> None:
    key = processed.manifest("tpc.points").key.short
    message = f"run 1: there is no event 17; artifact {key} holds 6 events, numbers 0 to 5, the nearest is 5."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        view_event(processed.experiment, processed.store, 1, 17, tmp_path / "event.png")


def test_an_unknown_event_of_a_pad_is_told_with_the_range(processed, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^run 1: there is no event 17; the run has events 0 to 5\.$"):
        view_event(processed.experiment, processed.store, 1, 17, tmp_path / "pad.png", pad=100)


def test_a_pad_without_a_trace_is_told_with_its_neighbours(processed, tmp_path: Path) -> None:
    fired = _pads(processed, 3)
    pad = next(p for p in range(10240) if p not in fired)
    plane = pad_plane()["pads"]
    distance = {int(p): float(np.hypot(plane["x"][p] - plane["x"][pad], plane["y"][p] - plane["y"][pad])) for p in fired if p >= 0}
    nearest = min(distance, key=lambda p: (distance[p], p))

    with pytest.raises(ConfigError) as raised:
        view_event(processed.experiment, processed.store, 1, 3, tmp_path / "pad.png", pad=pad)

    expected = f"run 1, event 3: pad {pad} has no trace. The nearest pads with one are {nearest} ({distance[nearest]:.0f} mm), "
    assert str(raised.value).startswith(expected)


def test_a_pad_outside_of_the_plane_is_told(processed, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^there is no pad 10240; the pad plane has pads 0 to 10239\.$"):
        view_event(processed.experiment, processed.store, 1, 3, tmp_path / "pad.png", pad=10240)


def test_a_run_that_is_not_computed_is_told_with_the_command(processed, tmp_path: Path) -> None:
    message = (
        "run 2: tpc.points is missing: not registered. "
        f"Compute it with: penstock run {processed.experiment.path} --runs 2 --stages tpc.points"
    )

    with pytest.raises(ArtifactMissing, match=f"^{re.escape(message)}$"):
        view_event(processed.experiment, processed.store, 2, 0, tmp_path / "event.png")


def test_stale_points_are_not_drawn(processed, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match=r"^run 1: tpc\.points is stale: max_pulses: 5 -> 6\. Compute it with: penstock run .* "):
        view_event(processed.experiment, processed.store, 1, 0, tmp_path / "event.png", overrides={"tpc.points.max_pulses": 6})


def test_results_of_a_selection_are_not_those_of_the_run(processed, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match=r"^run 1: tpc\.points is missing: never computed\."):
        view_event(processed.experiment, processed.store, 1, 0, tmp_path / "event.png", events=EventSelection(stop=2))


def test_a_missing_run_is_told(processed, tmp_path: Path) -> None:
    with pytest.raises(RunMissing, match=r"^run 9: no file run_0009\.h5 in "):
        view_event(processed.experiment, processed.store, 9, 0, tmp_path / "event.png")


def test_an_excluded_event_is_told_with_its_reason(processed, tmp_path: Path) -> None:
    message = (
        "run 3, event 1 has no points: ion-chamber down-scale trigger. Its traces can be seen with: penstock view 3 --event 1 --pad PAD"
    )

    with pytest.raises(BadEvent, match=f"^{re.escape(message)}$"):
        view_event(processed.experiment, processed.store, 3, 1, tmp_path / "event.png")


def test_a_pipeline_without_points_is_told(processed, tmp_path: Path) -> None:
    bare = replace(processed.experiment, pipeline=Pipeline((), processed.experiment.pipeline.raw))

    with pytest.raises(
        ConfigError, match=r"^experiment 'trial': no stage of the pipeline \(\) writes 'tpc\.points/1', so there are no events to draw\.$"
    ):
        view_event(bare, processed.store, 1, 0, tmp_path / "event.png")
