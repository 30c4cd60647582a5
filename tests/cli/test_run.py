"""`run`, `plan` and `runs`: what they print, as JSON and as text, and their exit codes."""

from __future__ import annotations

STAGES = ["tpc.points", "tpc.clusters", "tpc.estimates"]
STEP = {"stage", "key", "state", "events_in", "events_out", "seconds", "error"}


def test_plan_of_a_new_experiment_says_that_runs_are_not_registered(penstock, fresh) -> None:
    rows = penstock("plan", "--runs", "1-2", "--json", folder=fresh).json
    assert rows == [{"run": run, "stage": s, "key": None, "state": "missing", "why": "not registered"} for run in (1, 2) for s in STAGES]


def test_run_prints_json_of_the_documented_shape_and_nothing_else(penstock, fresh) -> None:
    result = penstock("run", "--runs", "1", "--json", folder=fresh)
    report = result.json
    assert result.code == 0
    assert result.err == ""
    assert {k: v for k, v in report.items() if k != "runs"} == {"computed": 3, "current": 0, "failed": 0}
    (run,) = report["runs"]
    assert set(run) == {"run", "stages"}
    assert run["run"] == 1
    assert [s["stage"] for s in run["stages"]] == STAGES
    assert all(set(s) == STEP for s in run["stages"])
    assert all(s["state"] == "computed" and s["error"] is None and s["seconds"] >= 0 for s in run["stages"])
    assert all((s["events_in"], s["events_out"]) == (6, 6) and len(s["key"]) == 32 for s in run["stages"])


def test_a_second_run_computes_nothing(penstock, processed) -> None:
    report = penstock("run", "--json", folder=processed).json
    assert (report["computed"], report["current"], report["failed"]) == (0, 9, 0)
    assert {s["state"] for run in report["runs"] for s in run["stages"]} == {"current"}


def test_text_says_how_much_was_computed(penstock, processed) -> None:
    result = penstock("run", folder=processed)
    assert result.code == 0
    assert result.out.startswith("0 computed, 9 current, 0 failed, 0 skipped;")


def test_plan_prints_json_of_the_documented_shape(penstock, processed) -> None:
    rows = penstock("plan", "--json", folder=processed).json
    assert [(r["run"], r["stage"]) for r in rows] == [(run, s) for run in (1, 2, 3) for s in STAGES]
    assert all(set(r) == {"run", "stage", "key", "state", "why"} for r in rows)
    assert {(r["state"], r["why"]) for r in rows} == {("current", "")}


def test_plan_says_what_differs_and_what_follows_from_it(penstock, processed) -> None:
    rows = penstock("plan", "--runs", "1", "--set", "tpc.clusters.hdbscan.min_points=5", "--json", folder=processed).json
    assert [(r["stage"], r["state"], r["why"]) for r in rows] == [
        ("tpc.points", "current", ""),
        ("tpc.clusters", "stale", "hdbscan.min_points: 3 -> 5"),
        ("tpc.estimates", "stale", "tpc.clusters: hdbscan.min_points: 3 -> 5"),
    ]


def test_a_changed_parameter_recomputes_only_what_depends_on_it(penstock, processed) -> None:
    report = penstock("run", "--set", "tpc.clusters.hdbscan.min_points=5", "--json", folder=processed).json
    states = {(s["stage"], s["state"]) for run in report["runs"] for s in run["stages"]}
    assert states == {("tpc.points", "current"), ("tpc.clusters", "computed"), ("tpc.estimates", "computed")}


def test_going_back_to_the_old_value_computes_nothing(penstock, processed) -> None:
    penstock("run", "--runs", "1", "--set", "tpc.estimates.smoothing_factor=50", folder=processed)
    assert penstock("run", "--runs", "1", "--json", folder=processed).json["computed"] == 0


def test_dry_run_is_the_plan_and_computes_nothing(penstock, processed) -> None:
    change = ("--runs", "1", "--set", "tpc.clusters.min_cloud_size=40")
    assert (
        penstock("run", *change, "--dry-run", "--json", folder=processed).json == penstock("plan", *change, "--json", folder=processed).json
    )
    assert penstock("plan", *change, folder=processed).out.endswith("1 current, 2 stale, 0 missing, 0 failed\n")


def test_a_trial_on_some_events_leaves_the_run_as_it_was(penstock, processed) -> None:
    trial = penstock("run", "--runs", "1", "--events", "first:2", "--stages", "tpc.clusters", "--json", folder=processed).json
    assert [(s["stage"], s["state"], s["events_in"]) for s in trial["runs"][0]["stages"]] == [
        ("tpc.points", "computed", 2),
        ("tpc.clusters", "computed", 2),
    ]
    assert penstock("run", "--json", folder=processed).json["computed"] == 0


def test_stages_are_named_with_all_that_they_need(penstock, processed) -> None:
    rows = penstock("plan", "--runs", "1", "--stages", "tpc.clusters", "--json", folder=processed).json
    assert [r["stage"] for r in rows] == ["tpc.points", "tpc.clusters"]


def test_run_ranges_leave_out_and_take_the_last(penstock, processed) -> None:
    rows = penstock("plan", "--runs", "1-3,!2", "--stages", "tpc.points", "--json", folder=processed).json
    last = penstock("plan", "--runs", "last:1", "--stages", "tpc.points", "--json", folder=processed).json
    assert [r["run"] for r in rows] == [1, 3]
    assert [r["run"] for r in last] == [3]


def test_a_run_range_row_of_experiment_toml_acts_on_its_runs_alone(penstock, processed) -> None:
    with (processed / "experiment.toml").open("a") as file:
        file.write('\n[[runs]]\nrange = "2"\nparams.tpc.points.window_time_bucket = 540.0\n')
    rows = penstock("plan", "--stages", "tpc.points", "--json", folder=processed).json
    assert [r["state"] for r in rows] == ["current", "stale", "current"]
    assert rows[1]["why"] == "window_time_bucket: 560.0 -> 540.0"


def test_the_run_table_has_a_row_for_each_run(penstock, processed) -> None:
    result = penstock("runs", "--json", folder=processed)
    assert result.code == 0
    assert result.json


def test_the_run_table_as_text_names_runs_and_stages(penstock, processed) -> None:
    result = penstock("runs", folder=processed)
    assert result.code == 0
    assert all(word in result.out for word in ("tpc.points", "1", "2", "3"))


def test_the_local_executor_gives_the_same_keys_and_bytes(penstock, fresh, processed) -> None:
    local = penstock("run", "--runs", "1", "--executor", "local", "--workers", "2", "--batch-blocks", "1", "--json", folder=fresh).json
    inline = penstock("run", "--runs", "1", "--json", folder=processed).json
    keys = [[s["key"] for s in report["runs"][0]["stages"]] for report in (local, inline)]
    folders = [[penstock("store", "path", key, folder=folder).out.strip() for key in keys[0]] for folder in (fresh, processed)]
    assert keys[0] == keys[1]
    assert [_data(path) for path in folders[0]] == [_data(path) for path in folders[1]]


def _data(folder: str) -> dict[str, bytes]:
    from pathlib import Path

    return {p.name: p.read_bytes() for p in Path(folder).iterdir() if p.suffix in (".h5", ".parquet")}
