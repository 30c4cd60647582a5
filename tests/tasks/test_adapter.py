"""The adapter from stage to Prefect task."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prefect.cache_policies import NO_CACHE

from penstock.core.canonical import Key
from penstock.core.plan import State
from penstock.execute import StepResult
from penstock.tpc.stages import STAGES
from penstock_tasks import result_state, stage_task, summary, task_of, tpc

KEY = Key("a" * 32)
DONE = StepResult(94, "tpc.points", KEY, State.COMPUTED, 30, 29, seconds=1.23, rejected=1)


@pytest.mark.parametrize("stage", STAGES, ids=[s.name for s in STAGES])
def test_task_is_named_and_tagged_after_its_stage(stage: object) -> None:
    task = stage_task(stage)  # type: ignore[arg-type]
    assert task.name == stage.name  # type: ignore[attr-defined]
    assert task.tags == {"tpc", f"lane:{stage.lane}"}
    assert task.task_run_name == f"run {{run}} {task.name}"


def test_the_tag_of_a_task_names_the_lane_that_it_is_computed_on() -> None:
    assert "lane:elsewhere" in task_of(STAGES[0], "elsewhere").tags
    assert task_of(STAGES[0], "elsewhere") is not task_of(STAGES[0])


def test_prefect_neither_caches_nor_keeps_nor_retries() -> None:
    task = stage_task(STAGES[0])
    assert task.cache_policy is NO_CACHE
    assert task.persist_result is False
    assert task.retries == 0


def test_family_has_its_tasks_by_name() -> None:
    assert [getattr(tpc, name).name for name in tpc.__all__] == [f"tpc.{name}" for name in tpc.__all__]
    assert {f"tpc.{name}" for name in tpc.__all__} == {stage.name for stage in STAGES}


def test_task_of_a_stage_is_made_once() -> None:
    assert task_of(STAGES[0]) is tpc.readout
    assert task_of(replace(STAGES[0], lane="gpu")) is not tpc.readout


@pytest.mark.parametrize(
    ("result", "kind", "name", "message"),
    [
        (DONE, "COMPLETED", "Completed", "29 of 30 events, 1 rejected, 1.2 s"),
        (replace(DONE, state=State.CURRENT), "COMPLETED", "Cached", "29 of 30 events, 1 rejected"),
        (StepResult(94, "tpc.points", KEY, State.FAILED, error="run 94: no"), "FAILED", "Failed", "run 94: no"),
        (StepResult(94, "tpc.clusters", KEY, State.SKIPPED, error="tpc.points failed"), "CANCELLED", "Skipped", "tpc.points failed"),
    ],
    ids=["computed", "current", "failed", "skipped"],
)
def test_what_became_of_a_step_is_told_as_a_state(result: StepResult, kind: str, name: str, message: str) -> None:
    state = result_state(result)
    assert (state.type.value, state.name, state.message) == (kind, name, message)


def test_summary_counts_excluded_events() -> None:
    assert summary(replace(DONE, rejected=0, excluded=2)) == "29 of 30 events, 2 excluded, 1.2 s"
