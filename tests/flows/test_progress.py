"""Progress as one number."""

from __future__ import annotations

from penstock.core.canonical import Key
from penstock.core.plan import PlanRow, State
from penstock.core.stage import StageCode
from penstock.execute import Quiet, StepResult
from penstock.tpc.stages import STAGES
from penstock_flows._progress import Progress


def row(run: int, state: State = State.MISSING) -> PlanRow:
    return PlanRow(run, STAGES[0], StageCode(1, "f", locked=True), state, "", STAGES[0].params(), {}, Key("k" * 32))


def ended(run: int) -> StepResult:
    return StepResult(run, STAGES[0].name, Key("k" * 32), State.COMPUTED)


def test_running_step_counts_by_its_events() -> None:
    progress = Progress(Quiet())
    progress.planned([row(1), row(2)])
    progress.began(row(1), 10)
    progress.advanced(row(1), 5)
    assert progress.fraction == 0.25


def test_current_rows_are_no_steps() -> None:
    progress = Progress(Quiet())
    progress.planned([row(1), row(2, State.CURRENT)])
    progress.ended(ended(2))
    assert progress.fraction == 0.0
    progress.ended(ended(1))
    assert progress.fraction == 1.0


def test_ended_step_counts_once() -> None:
    progress = Progress(Quiet())
    progress.planned([row(1), row(2)])
    progress.began(row(1), 10)
    progress.advanced(row(1), 10)
    progress.ended(ended(1))
    assert progress.fraction == 0.5


def test_plan_with_nothing_to_do_is_done() -> None:
    progress = Progress(Quiet())
    progress.planned([row(1, State.CURRENT)])
    assert progress.fraction == 1.0


def test_inner_watcher_hears_everything() -> None:
    class Listening(Quiet):
        heard: list[str]

        def began(self, row: PlanRow, n_events: int) -> None:
            self.heard.append(f"began {row.run} {n_events}")

        def ended(self, result: StepResult) -> None:
            self.heard.append(f"ended {result.run}")

    listening = Listening()
    listening.heard = []
    progress = Progress(listening)
    progress.began(row(1), 3)
    progress.ended(ended(1))
    assert listening.heard == ["began 1 3", "ended 1"]
