"""`view` and `demo`: figures, and what they print."""

from __future__ import annotations

import pytest

from penstock.cli import cli
from penstock.core.errors import ConfigError

PNG = b"\x89PNG"


def test_view_draws_an_event(penstock, processed) -> None:
    result = penstock("view", "1", "--event", "2", "--out", "event.png", "--json", folder=processed)
    assert result.code == 0
    assert result.json == {"figures": ["event.png"]}
    assert (processed / "event.png").read_bytes().startswith(PNG)


def test_view_draws_a_pad_of_an_event(penstock, processed) -> None:
    pad = next(int(p) for p in _pads(processed))
    result = penstock("view", "1", "--event", "2", "--pad", pad, folder=processed)
    assert result.out == f"run_0001_event_2_pad_{pad}.png\n"
    assert (processed / result.out.strip()).read_bytes().startswith(PNG)


def test_view_draws_a_figure_of_each_stage_of_a_run(penstock, processed) -> None:
    result = penstock("view", "1", "--out", "figures", folder=processed)
    assert result.code == 0
    assert result.out.splitlines() == [f"figures/run_0001.tpc.{stage}.png" for stage in ("points", "clusters", "estimates")]
    assert all((processed / line).read_bytes().startswith(PNG) for line in result.out.splitlines())


def test_an_instrument_without_a_view_of_events_says_so(toy) -> None:
    with pytest.raises(ConfigError, match="instrument 'toy' has no view of single events"):
        cli.main(["view", "1", "--event", "0", "--experiment", str(toy.folder)], standalone_mode=False)


def test_view_of_a_run_without_results_says_how_to_compute_them(penstock, fresh) -> None:
    result = penstock("view", "1", folder=fresh)
    assert result.code == 2
    assert "run 1 has no current result. Compute it with: penstock run " in result.err


def test_a_pad_needs_an_event(penstock, processed) -> None:
    result = penstock("view", "1", "--pad", "3", folder=processed)
    assert result.code == 2
    assert "--pad needs --event: it is about one event." in result.err


def test_an_event_that_the_run_does_not_have_is_refused_in_words(penstock, processed) -> None:
    result = penstock("view", "1", "--event", "77", folder=processed)
    assert result.code in (1, 2)
    assert "Error: " in result.err
    assert "77" in result.err
    assert "Traceback" not in result.err


def test_view_of_a_run_that_is_not_there_names_the_file(penstock, processed) -> None:
    result = penstock("view", "9", "--event", "0", folder=processed)
    assert result.code in (1, 2)
    assert "run_0009.h5" in result.err
    assert "Traceback" not in result.err


def test_the_demo_computes_once_and_then_only_what_a_parameter_changes(penstock, tmp_path) -> None:
    first = penstock("demo", "--events", "3", "--json", folder=tmp_path)
    changed = penstock("demo", "--events", "3", "--set", "tpc.clusters.hdbscan.min_points=5", folder=tmp_path)
    again = penstock("demo", "--events", "3", "--json", folder=tmp_path)
    assert (first.code, changed.code, again.code) == (0, 0, 0)
    assert (first.json["computed"], first.json["failed"]) == (9, 0)
    assert all((tmp_path / figure).read_bytes().startswith(PNG) for figure in first.json["figures"])
    assert [line.split()[:3] for line in changed.out.splitlines() if line.startswith("  tpc.")] == [
        ["tpc.points", "3", "current"],
        ["tpc.clusters", "3", "computed"],
        ["tpc.estimates", "3", "computed"],
    ]
    assert (again.json["computed"], again.json["current"]) == (0, 9)


def _pads(folder):
    import h5py

    (path,) = (p for p in sorted(folder.glob("store/objects/*/*/*/points.h5")) if _run(p) == 1)
    with h5py.File(path) as file:
        first, count = file["events/points_first"][2], file["events/points_count"][2]
        return file["points/pad"][first : first + count]


def _run(path) -> int:
    import json

    return json.loads((path.parents[1] / "manifest.json").read_text())["run"]


def test_the_demo_of_event_streams_computes_once_and_then_only_what_a_parameter_changes(penstock, tmp_path) -> None:
    first = penstock("demo", "events", "--events", "9", "--json", folder=tmp_path)
    changed = penstock("demo", "events", "--events", "9", "--set", "events.profile.bins=50", folder=tmp_path)

    assert (first.json["computed"], first.json["failed"]) == (12, 0)
    assert [f.rpartition("/")[2].split(".")[1:-2] for f in first.json["figures"]] == [
        ["events", "mean"],
        ["events", "profile"],
        ["events", "map"],
        ["event"],
    ]
    assert "events.profile    3 computed" in changed.out
    assert "events.map        3 current" in changed.out
