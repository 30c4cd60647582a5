"""The one adapter from stage to Prefect task: one task does one stage on one run.

Prefect decides nothing here: the store knows what is current, `penstock.execute` computes, and what became of the step
is told as a Prefect state. Only numbers and names pass through Prefect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Completed, Failed

from penstock.core.errors import RunCancelled
from penstock.core.plan import PlanRow
from penstock.core.plan import State as StepState
from penstock.core.stage import Stage
from penstock.execute import Session, StepResult, compute_next

__all__ = ["StageTask", "Work", "result_state", "stage_task", "summary", "task_of"]

StageTask = Task[[int, "Work"], "State[Any]"]


class Work:
    """What the tasks of one flow run share: the rows of the plan, the session, and the results so far.

    Deliberately neither a dataclass nor a pydantic model: Prefect walks through those in search of futures.
    """

    def __init__(self, rows: Sequence[PlanRow], session: Session) -> None:
        self.session = session
        self.rows = {(row.run, row.stage.name): row for row in rows}
        self.results: dict[tuple[int, str], StepResult] = {}
        self._by_run: dict[int, dict[str, StepResult]] = {}

    def before(self, run: int) -> dict[str, StepResult]:
        """Results of a run so far, by stage."""
        return dict(self._by_run.get(run, {}))

    def enter(self, result: StepResult) -> None:
        """Keep a result and tell the watcher."""
        self.results[result.run, result.stage] = result
        self._by_run.setdefault(result.run, {})[result.stage] = result
        self.session.watcher.ended(result)

    def perform(self, run: int, stage: str) -> StepResult:
        """Compute one row of the plan and keep what became of it.

        Raises
        ------
        RunCancelled
            The stop flag is set.
        """
        result = compute_next(self.rows[run, stage], self.before(run), self.session)
        self.enter(result)
        return result


def stage_task(stage: Stage, lane: str | None = None) -> StageTask:
    """The Prefect task of a stage: its name, tags for family and lane, no caching and no retries.

    Parameters
    ----------
    lane
        The lane that it is computed on, where that is not the one it declares.
    """

    def perform(run: int, work: Work) -> State[Any]:
        row = work.rows[run, stage.name]
        get_run_logger().info("artifact %s: %s", row.key.short if row.key else "(none)", row.why or row.state)
        try:
            return result_state(work.perform(run, stage.name))
        except RunCancelled as error:
            return Cancelled(message=str(error))

    family = stage.name.partition(".")[0]
    return Task(
        perform,
        name=stage.name,
        description=f"Stage {stage.name}, version {stage.version}, of one run.",
        tags={family, f"lane:{lane or stage.lane}"},
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=0,
        task_run_name=f"run {{run}} {stage.name}",
    )


_known: dict[tuple[str, int, str], StageTask] = {}


def task_of(stage: Stage, lane: str | None = None) -> StageTask:
    """The task of a stage on a lane, made once."""
    identity = (stage.name, stage.version, lane or stage.lane)
    if identity not in _known:
        _known[identity] = stage_task(stage, lane)
    return _known[identity]


def summary(result: StepResult) -> str:
    """What became of a step, in a line: ``29 of 30 events, 1 rejected, 1.2 s``, or the error."""
    if result.error is not None:
        return result.error
    parts = [f"{result.events_out} of {result.events_in} events"]
    parts += [f"{count} {word}" for count, word in ((result.rejected, "rejected"), (result.excluded, "excluded")) if count]
    if result.state is StepState.COMPUTED:
        parts.append(f"{result.seconds:.1f} s")
    return ", ".join(parts)


def result_state(result: StepResult) -> State[Any]:
    """The Prefect state of a step: Completed, Completed named Cached, Failed, or Cancelled named Skipped."""
    text = summary(result)
    match result.state:
        case StepState.COMPUTED:
            return Completed(message=text)
        case StepState.CURRENT:
            return Completed(name="Cached", message=text)
        case StepState.SKIPPED:
            return Cancelled(name="Skipped", message=text)
        case _:
            return Failed(message=text)
