"""Plans and results as tables."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.config import RunColumn
from penstock.core.canonical import Key
from penstock.core.plan import PlanRow, State
from penstock.core.stage import StageCode
from penstock.execute import StepResult
from penstock.store import Counts
from penstock.tpc.request import ProcessRequest
from penstock.tpc.schemas import PointCloud
from penstock.tpc.stages import STAGES
from penstock.views import Cell, RunTable
from penstock.views.run_table_values import ColumnValue
from penstock_flows._tables import all_runs, count_plan, count_results, failure_message, plan_table, run_table, run_table_description
from penstock_flows.process import process

POINTS, CLUSTERS, ESTIMATES = (next(s for s in STAGES if s.name == name) for name in ("tpc.points", "tpc.clusters", "tpc.estimates"))
NAMES = [s.name for s in (POINTS, CLUSTERS, ESTIMATES)]


def planned(run: int, state: State, why: str = "") -> PlanRow:
    return PlanRow(run, POINTS, StageCode(1, "f", locked=True), state, why, POINTS.params(), {}, Key("k" * 32))


def result(run: int, stage: str, state: State, error: str | None = None) -> StepResult:
    counts = (None, None) if error else (10, 9)
    return StepResult(run, stage, Key("k" * 32), state, *counts, seconds=1.0, error=error)


def test_plan_table_joins_runs_that_share_state_and_reason() -> None:
    rows = [planned(run, State.MISSING, "never computed") for run in (1, 2, 3)] + [planned(4, State.CURRENT)]
    assert plan_table(rows) == [
        {"stage": "tpc.points", "state": "missing", "count": "3", "runs": "1-3", "why": "never computed"},
        {"stage": "tpc.points", "state": "current", "count": "1", "runs": "4", "why": "–"},
    ]


@given(st.lists(st.sampled_from([State.CURRENT, State.MISSING, State.STALE]), max_size=40))
def test_plan_table_counts_every_row_once(states: list[State]) -> None:
    rows = [planned(run, state) for run, state in enumerate(states)]
    assert sum(int(row["count"]) for row in plan_table(rows)) == len(rows)


def test_run_table_has_a_row_a_run_and_a_column_a_stage() -> None:
    results = [result(7, name, State.COMPUTED) for name in NAMES]
    (row,) = run_table(results, NAMES)
    assert row == {"run": "7", **dict.fromkeys(NAMES, "computed: 9 of 10 events, 1.0 s"), "error": "–"}


def test_run_table_says_why_a_run_failed() -> None:
    results = [result(7, NAMES[0], State.FAILED, "run 7: truncated"), result(7, NAMES[1], State.SKIPPED, "run 7: tpc.points failed")]
    (row,) = run_table(results, NAMES)
    assert row == {"run": "7", NAMES[0]: "failed", NAMES[1]: "skipped", NAMES[2]: "–", "error": "run 7: truncated"}


def counted(runs: list[int], state: State = State.CURRENT) -> RunTable:
    counts = Counts(10, 9, {}, {}, {"points": 1200})
    rows = {run: {NAMES[0]: Cell(run, NAMES[0], state, key=Key(f"{run:032d}"), counts=counts, shown=("points",))} for run in runs}
    values = {run: {"per_event": ColumnValue(State.CURRENT, run / 2)} for run in runs}
    return RunTable((NAMES[0],), rows, (RunColumn("per_event", NAMES[0], PointCloud, counting="rows/events"),), values)


def test_run_table_has_the_counts_and_columns_of_each_run() -> None:
    (row,) = run_table([result(7, NAMES[0], State.COMPUTED)], NAMES[:1], counted([7]))
    assert row == {"run": "7", NAMES[0]: "computed: 9 of 10 events, 1.0 s, 1,200 points", "per_event": "3.5", "error": "–"}


def test_further_column_has_its_unit_in_its_head() -> None:
    table = counted([7])
    column = RunColumn("per_event", NAMES[0], PointCloud, table="points", column="x", reduce="mean", unit="mm")
    (row,) = run_table([result(7, NAMES[0], State.COMPUTED)], NAMES[:1], replace(table, columns=(column,)))
    assert row["per_event [mm]"] == "3.5"


def test_runs_that_share_a_row_show_what_they_have_in_all() -> None:
    results = [result(run, NAMES[0], State.CURRENT) for run in (1, 2, 4)]
    (row,) = run_table(results, NAMES[:1], counted([1, 2, 4]))
    assert row == {"run": "1-2, 4", NAMES[0]: "current: 27 ev / 3,600 points", "per_event": "0.5 … 2", "error": "–"}


def test_markdown_of_the_experiment_has_the_last_runs_and_their_keys() -> None:
    text = all_runs(counted(list(range(1, 301))), "The page has them all.", "/data/store")
    lines = text.splitlines()
    assert lines[0] == "300 runs: 300 current. The last 200 of 300 runs stand here. The page has them all."
    assert sum(line.startswith("| 300 | ✓ 9 ev / 1,200 points | 150 |") for line in lines) == 1
    assert not any(line.startswith("| 100 |") for line in lines)
    assert lines[-1] == f"| 300 | `{300:032d}` |"
    assert "`/data/store/objects/`" in text


@pytest.mark.server
def test_after_a_flow_the_experiment_has_a_page_and_its_table_an_artifact(api: Any, experiment_folder: Path) -> None:
    config = experiment_folder / "experiment.toml"
    config.write_text(config.read_text() + '[columns]\nper_event = {stage = "tpc.points", value = "rows/events"}\n')
    state = process(ProcessRequest(experiment=str(experiment_folder), runs="1", stages=["tpc.points"]), return_state=True)
    artifacts = api.artifacts(state.state_details.flow_run_id)
    name = re.sub(r"[^a-z0-9]+", "-", experiment_folder.name.lower()).strip("-")
    (row,) = artifacts[f"{name}-run-table"]
    page = (experiment_folder / "run-table.html").read_text(encoding="utf-8")
    assert re.fullmatch(r"computed: 6 of 6 events, .* s, [\d,]+ points", row["tpc.points"])
    assert float(row["per_event"].replace(",", "")) > 0
    assert artifacts[f"{name}-runs"].startswith("2 runs: 1 computed, 5 missing. `")
    assert page.count("<tr data-states") == 2
    assert re.search(r'href="figures/run-0001\.tpc\.points\.[a-z2-7]{10}\.png"', page)


def test_runs_that_were_current_share_one_row() -> None:
    results = [result(run, name, State.CURRENT) for run in (1, 2, 4) for name in NAMES]
    assert run_table(results, NAMES) == [{"run": "1-2, 4", **dict.fromkeys(NAMES, "current"), "error": "–"}]


def test_counts_come_in_a_fixed_order() -> None:
    states = [State.FAILED, State.CURRENT, State.COMPUTED, State.SKIPPED, State.COMPUTED]
    assert count_results(result(1, "s", s) for s in states) == "2 computed, 1 current, 1 failed, 1 skipped"
    assert count_plan([planned(1, State.STALE), planned(2, State.CURRENT)]) == "1 current, 1 stale"
    assert count_plan([]) == "nothing"


def test_failure_message_names_the_first_failures_only() -> None:
    results = [result(run, NAMES[0], State.FAILED, f"run {run}: bad.") for run in range(8)]
    assert failure_message(results) == "8 failed. run 0: bad. run 1: bad. run 2: bad. run 3: bad. run 4: bad. And 3 more."


def test_description_of_the_run_table_lists_each_failure() -> None:
    results = [result(7, NAMES[0], State.FAILED, "run 7: truncated"), result(8, NAMES[0], State.COMPUTED)]
    assert run_table_description(results) == "Runs: 1 computed, 1 failed.\n\n- run 7: truncated"
    assert run_table_description(results[1:]) == "Runs: 1 computed."


def test_description_of_the_run_table_stays_short() -> None:
    results = [result(run, NAMES[0], State.FAILED, "bad") for run in range(23)]
    assert run_table_description(results).splitlines()[-1] == "- and 3 more, in the table"
