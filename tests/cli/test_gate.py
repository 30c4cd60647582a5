"""`gate`: a polygon from the command line, counts by run, and the file that the fits read."""

from __future__ import annotations

import json

import pytest

from penstock.cli import cli
from penstock.core.errors import ConfigError

EVERYTHING = "0,0 1e9,0 1e9,10 0,10"


def test_gate_writes_the_polygon_and_counts_tracks_by_run(penstock, processed) -> None:
    result = penstock(
        "gate",
        "experiment.toml",
        "--runs",
        "1-2",
        "--particle",
        "1H",
        "--out",
        "proton.json",
        "--vertices",
        EVERYTHING,
        "--json",
        folder=processed,
    )
    assert result.code == 0
    assert [run["run"] for run in result.json["runs"]] == [1, 2]
    assert all(run["inside"] == run["tracks"] > 0 for run in result.json["runs"])
    gate = json.loads((processed / "proton.json").read_text())
    assert (gate["name"], gate["Z"], gate["A"], gate["vertices"][1]) == ("proton", 1, 1, [1e9, 0.0])
    assert (processed / "proton.png").read_bytes().startswith(b"\x89PNG")


def test_gate_prints_a_row_a_run_and_the_sum(penstock, processed) -> None:
    call = ("gate", "--particle", "4He", "--out", "alpha.json", "--vertices", "0,0 1,0 1,1", "--x", "sqrt_dEdx", "--name", "alphas")
    result = penstock(*call, folder=processed)
    assert result.code == 0
    head, *rows, file, figure = result.out.splitlines()
    assert head.split() == ["run", "tracks", "inside", "fraction"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3", "all"]
    assert (file, figure) == ("alpha.json", "alpha.png")
    gate = json.loads((processed / "alpha.json").read_text())
    assert (gate["name"], gate["Z"], gate["A"], gate["xaxis"]) == ("alphas", 2, 4, "sqrt_dEdx")


def test_gate_needs_current_estimates(penstock, fresh) -> None:
    result = penstock("gate", "--particle", "1H", "--out", "proton.json", "--vertices", EVERYTHING, folder=fresh)
    assert result.code == 1
    assert "tpc.estimates is missing (not registered). Compute it with: penstock run " in result.err
    assert not (fresh / "proton.json").exists()


def test_gate_refuses_an_unknown_nucleus_before_anything_is_drawn(penstock, processed) -> None:
    result = penstock("gate", "--particle", "1Q", "--out", "q.json", "--vertices", EVERYTHING, folder=processed)
    assert result.code == 2
    assert "Error: " in result.err
    assert "'Q'" in result.err


def test_without_a_display_the_corners_must_be_given(processed, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl

    monkeypatch.setitem(mpl.rcParams, "backend", "agg")
    with pytest.raises(ConfigError, match=r"there is no display to draw on. Give the corners with --vertices"):
        cli.main(["gate", str(processed), "--particle", "1H", "--out", str(processed / "p.json")], standalone_mode=False)
