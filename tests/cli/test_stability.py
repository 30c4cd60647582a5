"""`stability`: a table of runs, a figure, and JSON."""

from __future__ import annotations


def test_stability_prints_a_row_a_run_and_draws(penstock, processed) -> None:
    result = penstock("stability", "experiment.toml", "--runs", "1-3", folder=processed)
    assert result.code == 0
    head, *rows, figure = result.out.splitlines()
    assert head.split()[:4] == ["run", "rate", "points", "tracks"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    assert figure == "stability.png"
    assert (processed / figure).read_bytes().startswith(b"\x89PNG")


def test_stability_as_json_has_values_with_errors(penstock, processed) -> None:
    result = penstock("stability", "--out", "figures/all.png", "--json", folder=processed)
    assert result.code == 0
    points = next(one for one in result.json["series"] if one["name"] == "points")
    assert [run["run"] for run in points["runs"]] == [1, 2, 3]
    assert all(run["value"] > run["error"] > 0 for run in points["runs"])
    assert (processed / result.json["figure"]).exists()


def test_stability_without_results_says_how_to_compute_them(penstock, fresh) -> None:
    result = penstock("stability", folder=fresh)
    assert result.code == 1
    assert "no run of all has a current result. Compute them with: penstock run " in result.err


def test_a_gate_that_is_not_there_is_named(penstock, processed) -> None:
    result = penstock("stability", "--gate", "none.json", folder=processed)
    assert result.code in (1, 2)
    assert "none.json" in result.err
    assert "Traceback" not in result.err
