"""One request under Prefect: plan, one task for each step that is not current, artifacts, and the state of it all.

The thread of the flow submits tasks when their inputs are there and otherwise waits with a time-out, so that it hears
of cancelling from wherever it comes: the UI (asked of the API), Ctrl-C and SIGTERM (raised here), or the stop flag.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow, allow_failure
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Cancelled, Completed, Failed

from penstock.config import Experiment, Resources
from penstock.core.errors import RunCancelled
from penstock.core.plan import PlanRow
from penstock.core.plan import State as StepState
from penstock.core.selection import spans
from penstock.execute import Inline, Quiet, Request, RunReport, Session, StepResult, Watcher, prepare, session
from penstock.store import Store
from penstock_flows._board import Board
from penstock_flows._console import outlive_reader
from penstock_flows._progress import Progress
from penstock_flows._tables import count_plan, count_results, failure_message
from penstock_tasks import Work, task_of

__all__ = ["Job"]

POLL_S = 0.2
"""How long the flow waits before it looks at the stop flag again, in seconds."""

ASK_S = 3.0
"""How often the API is told the progress and asked whether the flow run is being cancelled, in seconds."""

GRACE_S = 20.0
"""How long a cancelled flow waits for its tasks; Prefect's worker kills after 30, in seconds."""

MOST_SUBJECTS = 100
"""More subjects than this are shared out over sub-flows."""

_CANCELLED = "cancelled; what was committed stays"

StepTask = PrefectFuture[Any]


@dataclass(slots=True)
class Job:
    """One request, and after `conduct` its report.

    Attributes
    ----------
    stop
        Set it from anywhere to cancel; what was committed stays.
    """

    experiment: Experiment
    store: Store
    request: Request
    resources: Resources
    watcher: Watcher = field(default_factory=Quiet)
    stop: threading.Event = field(default_factory=threading.Event)
    report: RunReport | None = None

    def conduct(self) -> State[Any]:
        """Bring every wanted result up to date, as the body of a flow; the state that the flow run ends in."""
        if _has_supervisor():
            outlive_reader()
        experiment = replace(self.experiment, resources=self.resources)
        board = Board(experiment, self.store)
        progress = Progress(self.watcher)
        try:
            rows = prepare(experiment, self.store, self.request, progress)
            get_run_logger().info("Plan: %s", count_plan(rows))
            with _even_if_away():
                board.show_plan(rows)
            with session(experiment, self.store, rows, progress, self.stop) as current:
                crew = _Crew(Work(rows, current), board, progress)
                try:
                    crew.run(rows)
                finally:
                    self.report = RunReport(tuple(r for row in rows if (r := crew.work.results.get((row.run, row.stage.name)))))
                    with _even_if_away():
                        self._publish(board, progress, rows)
        except RunCancelled as error:
            return Cancelled(message=str(error))
        except KeyboardInterrupt:
            return Cancelled(message=_CANCELLED)
        except TerminationSignal:
            if not _has_supervisor():
                return Cancelled(message=_CANCELLED)
            _say_cancelled()
            raise
        if not self.report.ok:
            return Failed(message=failure_message(self.report.results))
        return Completed(message=count_results(self.report.results))

    def _publish(self, board: Board, progress: Progress, rows: Sequence[PlanRow]) -> None:
        assert self.report is not None
        stages = {row.stage.name: row.stage for row in rows}
        board.show_progress(progress.fraction, now=True)
        board.show_results(self.report.results, list(stages.values()))
        if self.stop.is_set():
            return
        newest = {r.stage: r for r in self.report.results if r.state is StepState.COMPUTED}
        for name, result in newest.items():
            if stages[name].figure:
                board.show_figure(stages[name], result)


class _Crew:
    """Submits tasks and waits for them."""

    def __init__(self, work: Work, board: Board, progress: Progress) -> None:
        self.work = work
        self._session: Session = work.session
        self._board = board
        self._progress = progress
        self._asked = time.monotonic()

    def run(self, rows: Sequence[PlanRow]) -> None:
        """Settle the current rows without a task; then one task for each other row, at most two runs a worker thread at a time."""
        chains: dict[int, list[PlanRow]] = {}
        for row in rows:
            if row.state is StepState.CURRENT and row.key is not None and self._session.store.has(row.key):
                self.work.perform(row.run, row.stage.name)
                self._tick()
            else:
                chains.setdefault(row.run, []).append(row)
        if len(chains) <= MOST_SUBJECTS:
            self._drive(list(chains.values()))
            return
        runs = sorted(chains)
        for first in range(0, len(runs), MOST_SUBJECTS):
            some = runs[first : first + MOST_SUBJECTS]
            self._part([chains[run] for run in some], spans(some))

    def _part(self, chains: list[list[PlanRow]], label: str) -> None:
        def process_part(runs: str) -> State[Any]:
            self._drive(chains)
            results = [self.work.results[row.run, row.stage.name] for chain in chains for row in chain]
            report = RunReport(tuple(results))
            return Completed(message=count_results(results)) if report.ok else Failed(message=failure_message(results))

        Flow(process_part, name="process-part", flow_run_name="runs {runs}", persist_result=False)(label, return_state=True)
        if self._session.stop.is_set():
            raise RunCancelled(_CANCELLED)

    def _drive(self, chains: list[list[PlanRow]]) -> None:
        waiting = deque(deque(chain) for chain in chains)
        active: dict[UUID, tuple[StepTask, deque[PlanRow]]] = {}
        futures: dict[tuple[int, str], StepTask] = {}
        ended: queue.Queue[UUID] = queue.Queue()
        executor = self._session.executor
        limit = 1 if isinstance(executor, Inline) else 2 * executor.slots
        try:
            while waiting or active:
                if self._session.stop.is_set():
                    raise RunCancelled(_CANCELLED)
                while waiting and len(active) < limit:
                    chain = waiting.popleft()
                    future = self._submit(chain[0], futures)
                    active[future.task_run_id] = (future, chain)
                    future.add_done_callback(lambda done: ended.put(done.task_run_id))
                self._tick()
                try:
                    future, chain = active.pop(ended.get(timeout=POLL_S))
                except queue.Empty:
                    continue
                # Until somebody waits for it a future asks the API for its state, which comes late.
                future.wait()
                self._check(chain.popleft(), future)
                if chain:
                    waiting.appendleft(chain)
        except BaseException:
            self._session.stop.set()
            deadline = time.monotonic() + GRACE_S
            for future, _ in active.values():
                future.wait(timeout=max(0.0, deadline - time.monotonic()))
            raise

    def _submit(self, row: PlanRow, futures: dict[tuple[int, str], StepTask]) -> StepTask:
        """Submit a step; its inputs have ended, so waiting for them costs nothing and draws the edges of the graph."""
        sources = self._session.experiment.pipeline.bindings[row.stage.name].values()
        before = [futures[row.run, s] for s in sources if s is not None and (row.run, s) in futures]
        done = [f for f in before if not f.state.is_cancelled()]
        task = task_of(row.stage, self._session.places[row.stage.name].lane)
        future: StepTask = task.submit(row.run, self.work, return_state=False, wait_for=[allow_failure(f) for f in done])
        futures[row.run, row.stage.name] = future
        return future

    def _check(self, row: PlanRow, future: StepTask) -> None:
        """A task that Prefect itself ended has no result of ours; it counts as failed, with Prefect's reason."""
        step = (row.run, row.stage.name)
        if step not in self.work.results and not self._session.stop.is_set():
            why = f"run {row.run}, stage {row.stage.name!r}: the Prefect task ended {future.state.name}: {future.state.message}"
            self.work.enter(StepResult(row.run, row.stage.name, row.key, StepState.FAILED, error=why))

    def _tick(self) -> None:
        """Now and then tell the progress and hear of cancelling from the UI. Asked once: retries would hold up the work for a minute."""
        if time.monotonic() - self._asked < ASK_S:
            return
        with _even_if_away(), temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            self._board.show_progress(self._progress.fraction)
            if _is_being_cancelled():
                self._session.stop.set()
        self._asked = time.monotonic()


@contextmanager
def _even_if_away() -> Iterator[None]:
    """An API that is away for a moment stops nothing: it only shows what the store holds."""
    try:
        yield
    except httpx.HTTPError as error:
        get_run_logger().warning("the Prefect API did not take what was to be shown: %s", error)


def _is_being_cancelled() -> bool:
    """Whether somebody has cancelled this flow run, says the API."""
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(UUID(flow_run.root_flow_run_id)).state
    return state is not None and (state.is_cancelling() or state.is_cancelled())


def _say_cancelled() -> None:
    """Tell the API that a flow run that somebody cancels has ended; a signal for another reason is no cancelling.

    The worker that sent the signal says so too, but seconds later: it asks every three seconds whether the process has
    gone, and starts another one for hooks first.
    """
    try:
        if _is_being_cancelled():
            with get_client(sync_client=True) as client:
                client.set_flow_run_state(UUID(flow_run.root_flow_run_id), Cancelled(message=_CANCELLED), force=True)
    except httpx.HTTPError as error:
        get_run_logger().warning("the Prefect API did not take the end of the flow run: %s", error)


def _has_supervisor() -> bool:
    """Whether a worker or runner started this process: it has asked for the signal and wants it back."""
    return "PREFECT__FLOW_RUN_ID" in os.environ
