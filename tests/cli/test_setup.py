"""`init`, `simulate`, `stages` and `doctor`."""

from __future__ import annotations

import tomllib


def test_init_writes_an_experiment_that_is_ready_to_plan(penstock, raw, tmp_path) -> None:
    made = penstock("init", "e20009", "--instrument", "attpc", "--raw", raw, "--json", folder=tmp_path)
    assert made.json == {"experiment": "e20009/experiment.toml", "runs": [1, 2, 3], "required": []}
    rows = penstock("plan", "e20009/experiment.toml", "--json", folder=tmp_path).json
    assert {row["why"] for row in rows} == {"not registered"}


def test_init_writes_comments_whose_lines_are_valid_when_uncommented(penstock, raw, tmp_path) -> None:
    penstock("init", "e20009", "--instrument", "attpc", "--raw", raw, folder=tmp_path)
    lines = (tmp_path / "e20009/experiment.toml").read_text().splitlines()
    params = [line.removeprefix("# ") for line in lines[lines.index("# [params.tpc.points]") : lines.index("# Values for some runs only:")]]
    assert set(tomllib.loads("\n".join(params))["params"]["tpc"]) == {"points", "clusters", "estimates"}


def test_init_does_not_write_over_an_experiment(penstock, fresh, raw) -> None:
    before = (fresh / "experiment.toml").read_text()
    result = penstock("init", ".", "--instrument", "attpc", "--raw", raw, folder=fresh)
    assert result.code == 2
    assert "experiment.toml is there already. Edit it, or write over it with --force." in result.err
    assert (fresh / "experiment.toml").read_text() == before
    assert penstock("init", ".", "--instrument", "attpc", "--raw", raw, "--force", folder=fresh).code == 0


def test_init_names_a_raw_folder_that_is_not_there(penstock, tmp_path) -> None:
    result = penstock("init", "new", "--instrument", "attpc", "--raw", "nothing", folder=tmp_path)
    assert result.code == 2
    assert "--raw nothing: no such folder. Name the folder that holds files like run_0001.h5." in result.err


def test_simulate_writes_runs_with_their_truth(penstock, tmp_path) -> None:
    written = penstock("simulate", "tpc", "--out", "raw", "--runs", "4-5", "--events", "2", "--json", folder=tmp_path).json
    assert [w["run"] for w in written] == [4, 5]
    assert all((tmp_path / w[name]).is_file() for w in written for name in ("file", "truth"))


def test_equal_seeds_simulate_equal_runs(penstock, tmp_path) -> None:
    for folder in ("one", "other"):
        penstock("simulate", "tpc", "--out", folder, "--events", "1", "--seed", "3", "--layout", "merger-2.0", folder=tmp_path)
    assert (tmp_path / "one/run_0001.truth.parquet").read_bytes() == (tmp_path / "other/run_0001.truth.parquet").read_bytes()


def test_stages_ls_lists_stages_with_their_schemas(penstock, tmp_path) -> None:
    listed = penstock("stages", "ls", "--json", folder=tmp_path).json
    points = next(stage for stage in listed["stages"] if stage["stage"] == "tpc.points")
    assert points == {
        "stage": "tpc.points",
        "version": points["version"],
        "reads": ["tpc.traces/2"],
        "writes": "tpc.points/1",
        "lane": "tpc",
        "from": "penstock",
    }
    assert listed["instruments"] == ["attpc", "attpc-get", "captures"]
    assert listed["broken"] == []


def test_stages_show_prints_parameters_with_bounds_and_columns_with_units(penstock, tmp_path) -> None:
    shown = penstock("stages", "show", "tpc.clusters", "--json", folder=tmp_path).json
    params = {p["name"]: p for p in shown["params"]}
    assert params["hdbscan.min_points"] == {
        "name": "hdbscan.min_points",
        "default": "3",
        "bounds": "> 0",
        "doc": "Fewest neighbours that make a point a core point.",
    }
    assert {"table": "points", "column": "z", "dtype": "f4", "unit": "mm", "doc": "ascending within a cluster"} in shown["columns"]


def test_stages_show_of_an_unknown_stage_names_the_nearest(penstock, tmp_path) -> None:
    result = penstock("stages", "show", "tpc.point", folder=tmp_path)
    assert result.code == 2
    assert "stage 'tpc.point' is not known. Did you mean 'tpc.points'?" in result.err


def test_doctor_looks_at_the_experiment_and_its_store(penstock, processed) -> None:
    result = penstock("doctor", "--json", folder=processed)
    found = {finding["what"]: finding for finding in result.json}
    # Who listens on this machine is no matter of the experiment.
    assert [f for f in result.json if f["state"] == "problem" and not f["what"].startswith("listening")] == []
    assert "3 runs" in found["experiment"]["detail"]
    assert found["store"]["detail"].endswith("store: 9 artifacts")
    assert found["prefect API"]["state"] == "note"


def test_doctor_ends_with_1_where_there_is_a_problem(penstock, fresh) -> None:
    (fresh / "experiment.toml").write_text("[experiment]\n")
    result = penstock("doctor", folder=fresh)
    assert result.code == 1
    assert "problem  experiment: " in result.out
