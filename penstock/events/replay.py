"""Replay: every event through virtual workers and one reducer, in this process or with the workers spread over several.

The reducer gets results in the order of events whatever the processes are, so all ways give the same bits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pickle import loads
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from penstock.core.canonical import Json
from penstock.core.errors import ConfigError
from penstock.events.board import ParameterBoard
from penstock.events.job import ReplayJob
from penstock.events.reducing import UserReducer
from penstock.events.sources import EventSource, Listed, Streamed, problems_of
from penstock.events.user_code import described_parameters
from penstock.events.workers import Mapped, Mapper, WorkerFailed, worker_name
from penstock.stream.models import EventData

if TYPE_CHECKING:
    from penstock.stream.parameters import WorkParameter

__all__ = ["Replay", "ReplayReport", "targets"]

logger = logging.getLogger("penstock.replay")


@dataclass(slots=True)
class ReplayReport:
    """What became of a replay.

    Attributes
    ----------
    rejected
        Events whose worker raised, by reason, with the first traceback in `first_traceback`.
    changes
        (event number, name of the parameter) of parameters that were set meanwhile.
    problems
        What the captures lack, counted: streams missing in events, damaged places.
    seconds, calls
        Wall time in the user's ``process_event``, and how often it was called.
    """

    events: int = 0
    results: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    first_traceback: str = ""
    changes: list[tuple[int, str]] = field(default_factory=list)
    problems: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    calls: int = 0

    def as_json(self, n_workers: int) -> dict[str, Json]:
        """The report as ``penstock replay --json`` prints it."""
        return {
            "events": self.events,
            "results": self.results,
            "rejected": dict[str, Json](self.rejected),
            "changes": [[number, name] for number, name in self.changes],
            "problems": dict[str, Json](self.problems),
            "us_per_event": 1e6 * self.seconds / max(1, self.calls),
            "events_per_second": self.rate(n_workers),
        }

    def rate(self, n_workers: int) -> float:
        """Events a second that so many workers, each on a core of its own, keep up with."""
        return n_workers * self.calls / self.seconds if self.seconds > 0 else 0.0

    def profile(self, n_workers: int) -> str:
        """Time of an event, in words."""
        micro = 1e6 * self.seconds / max(1, self.calls)
        return (
            f"process_event takes {micro:,.1f} us on average ({self.calls} calls); "
            f"1 worker keeps up with {self.rate(1):,.0f} events/s, {n_workers} with {self.rate(n_workers):,.0f}"
        )


def targets(position: int, number: int, n_workers: int) -> Sequence[int]:
    """The virtual workers that get an event: all of them the first one, else one by its number."""
    return range(n_workers) if position == 0 else ((number - 1) % n_workers,)


class Replay:
    """One replay of a job.

    Parameters
    ----------
    processes
        How many processes the virtual workers are spread over; 1 for this one. No influence on the result.
    """

    def __init__(self, job: ReplayJob, processes: int = 1) -> None:
        self.job = job
        self.processes = min(processes, job.n_workers)
        self.worker_class, self.reducer_class = job.classes()
        self.board = ParameterBoard(described_parameters((self.worker_class, self.reducer_class)), job.parameters)
        self.reducer = UserReducer(self.reducer_class, self.board.values)
        self.report = ReplayReport()

    def run(self) -> ReplayReport:
        """Take every event through its worker and the reducer, then tell the workers and the reducer that it is over.

        Raises
        ------
        WorkerFailed, ReducerFailed
            The user's code raised.
        """
        if self.processes == 1:
            self._run_here()
            return self.report
        from penstock.events._processes import Crew

        source = self._source()
        # A capture travels with its index, so that it is not looked through again in each process.
        opened = self.job.open_source if isinstance(source, Listed) else partial(_handed_on, source)
        with source, Crew(replace(self.job, open_source=opened), self.processes, self.board.values) as crew:
            self.report.problems = problems_of(source)
            numbers, times = source.numbers.tolist(), _times(source.created_at)
            for position, number in enumerate(numbers):
                if changed := self._news(number):
                    crew.tell(changed)
                self.reducer.tell_time(times[position])
                for worker in targets(position, number, self.job.n_workers):
                    self._reduce(crew.next_of(worker))
                self.report.events += 1
            self.report.seconds, self.report.calls = crew.finish()
        self._end()
        return self.report

    def _source(self) -> EventSource:
        source = self.job.open_source()
        if isinstance(source, Streamed):
            raise ConfigError("a source that streams its events can be read by one process only. Leave out --processes.")
        return source

    def _run_here(self) -> None:
        job = self.job
        mapper = Mapper(self.worker_class, range(job.n_workers), job.n_workers, self.board.values, job.on_error)
        source = job.open_source()
        if isinstance(source, Streamed):
            self._map_and_reduce(mapper, source, None)
        else:
            with source:
                self.report.problems = problems_of(source)
                self._map_and_reduce(mapper, map(source.event, range(len(source))), source.created_at)
        for worker in range(job.n_workers):
            mapper.finish(worker)
        self.report.seconds, self.report.calls = mapper.seconds, mapper.calls
        self._end()

    def _map_and_reduce(self, mapper: Mapper, events: Iterable[EventData], created_at: NDArray[np.int64] | None) -> None:
        """The whole way of every event in one loop, with what it needs at hand: a few microseconds an event."""
        report, board, timed = self.report, self.board, self.reducer.has_timer
        call, reduce, n_workers = mapper.call, self.reducer.take, self.job.n_workers
        names = [worker_name(index) for index in range(n_workers)]
        position = -1
        for position, event in enumerate(events):
            number = event.event_number
            if board.pending and (changed := self._news(number)):
                mapper.parameters = changed
            if timed:
                self.reducer.tell_time(event.created_at)
            for index in targets(position, number, n_workers):
                try:
                    blob = call(index, position, event, created_at)
                except WorkerFailed as failure:
                    self._reject(failure)
                    continue
                if blob is not None:
                    report.results += 1
                    reduce(number, names[index], loads(blob))  # noqa: S301  our own worker pickled it
        report.events = position + 1

    def _news(self, number: int) -> dict[str, WorkParameter] | None:
        """The parameters, where one was set since the last event."""
        if not self.board.pending:
            return None
        self.report.changes += [(number, name) for name in self.board.take_pending()]
        self.reducer.parameters = self.board.values
        return self.board.values

    def _reduce(self, mapped: Mapped) -> None:
        if mapped.failure is not None:
            self._reject(mapped.failure)
        elif mapped.blob is not None:
            self.report.results += 1
            self.reducer.take(mapped.number, worker_name(mapped.worker), loads(mapped.blob))  # noqa: S301  as above

    def _reject(self, failure: WorkerFailed) -> None:
        if not failure.may_be_rejected or self.job.on_error == "fail":
            raise failure
        reason = str(failure).partition(": ")[2]
        self.report.rejected[reason] = self.report.rejected.get(reason, 0) + 1
        self.report.first_traceback = self.report.first_traceback or failure.text

    def idle(self) -> float:
        """After the last event: take up parameters that were set, and run the reducer's timer; seconds until that is wanted again.

        Raises
        ------
        ReducerFailed
            The timer raised.
        """
        if self.board.pending:
            self.report.changes += [(-1, name) for name in self.board.take_pending()]
            self.reducer.parameters = self.board.values
        return min(1.0, max(0.01, self.reducer.run_timer())) if self.reducer.has_timer else 0.2

    def _end(self) -> None:
        self.reducer.finish()


def _handed_on(source: EventSource) -> EventSource:
    return source


def _times(created_at: NDArray[np.int64]) -> list[int | None]:
    unknown = np.iinfo(np.int64).min
    return [None if at == unknown else at for at in created_at.tolist()]
