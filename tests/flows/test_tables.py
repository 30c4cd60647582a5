"""Plans and results as tables."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.core.canonical import Key
from penstock.core.plan import PlanRow, State
from penstock.core.stage import StageCode
from penstock.execute import StepResult
from penstock.tpc.stages import STAGES
from penstock_flows._tables import count_plan, count_results, failure_message, plan_table, run_table, run_table_description

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
