"""Virtual workers: one object of the user's class each, which sees its own events in ascending order.

Which events those are follows from their numbers alone, so a result depends on how many virtual workers there are and
not on the processes that they live in.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pickle import HIGHEST_PROTOCOL, dumps
from time import perf_counter
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import PenstockError
from penstock.events._calls import bind, construct
from penstock.stream.models import EventData
from penstock.stream.parameters import WorkParameter

__all__ = ["Mapped", "Mapper", "RandomAccess", "ResultNotSent", "State", "WorkerFailed", "positions_of", "worker_name"]


class RandomAccess(Protocol):
    """Events that can be read by position, such as those of captures."""

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Event number at each position, ascending."""

    @property
    def created_at(self) -> NDArray[np.int64]:
        """When each was recorded, in ns since 1970 UTC; the least int64 where that is not known."""

    def event(self, position: int) -> EventData:
        """The event at a position."""


class WorkerFailed(PenstockError, RuntimeError):
    """A user's worker raised; the traceback is that of its code.

    Attributes
    ----------
    event_number
        The event that it had; None at its end.
    text
        The traceback.
    may_be_rejected
        Whether a request may ask to count such an event and go on.
    """

    may_be_rejected: ClassVar[bool] = True

    def __init__(self, message: str, event_number: int | None, text: str) -> None:
        super().__init__(message)
        self.event_number = event_number
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.event_number, self.text)


class ResultNotSent(WorkerFailed):
    """A worker returned something that cannot be pickled: no fault of the event, so it always ends the replay."""

    may_be_rejected = False


@dataclass(frozen=True, slots=True)
class State:
    """What a worker or reducer is told of itself: its name, and the version of the user's code where the image says it."""

    name: str
    mapreduce_version: Any = None


@dataclass(slots=True)
class Mapped:
    """What one virtual worker made of one event.

    Attributes
    ----------
    blob
        The pickled result; None where the worker returned None.
    """

    position: int
    number: int
    worker: int
    blob: bytes | None
    failure: WorkerFailed | None = None


def worker_name(index: int) -> str:
    """Name of a virtual worker, as results carry it."""
    return f"replay-worker-{index}"


def positions_of(worker: int, numbers: NDArray[np.int64], n_workers: int) -> NDArray[np.int64]:
    """Positions of the events that a virtual worker gets: the first event, and those with ``(number - 1) % n_workers == worker``."""
    mine = (numbers - 1) % n_workers == worker
    mine[:1] = True
    return np.flatnonzero(mine)


class Mapper:
    """Some of the virtual workers of a replay, taken through their events in ascending order.

    Parameters
    ----------
    cls
        The user's class.
    indices
        The virtual workers that live here, of `n_workers` in all.
    parameters
        By name; may be replaced between events.
    on_error
        "fail" ends at the first event whose worker raises; "reject" goes on.
    """

    def __init__(
        self, cls: type, indices: Sequence[int], n_workers: int, parameters: Mapping[str, WorkParameter], on_error: str = "fail"
    ) -> None:
        self.parameters: dict[str, WorkParameter] = dict(parameters)
        self.seconds = 0.0
        """Wall time in the user's ``process_event``."""
        self.calls = 0
        self._n_workers = n_workers
        self._on_error = on_error
        self._indices = tuple(indices)
        self._workers = {i: _Worker(cls, i, self.parameters) for i in indices}

    def positions(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions of all events that the virtual workers here get."""
        wanted = np.zeros(len(numbers), bool)
        for index in self._indices:
            wanted[positions_of(index, numbers, self._n_workers)] = True
        return np.flatnonzero(wanted)

    def run(self, source: RandomAccess) -> Iterator[Mapped]:
        """What each virtual worker makes of each of its events: by event, and by worker within the first one.

        Raises
        ------
        WorkerFailed
            A worker raised, or returned what cannot be pickled, and `on_error` is "fail".
        """
        numbers, created_at = source.numbers, source.created_at
        for position in self.positions(numbers).tolist():
            yield from self.take(position, source.event(position), created_at)

    def take(self, position: int, event: EventData, created_at: NDArray[np.int64] | None = None) -> Iterator[Mapped]:
        """What the virtual workers here make of the event at `position`, which is one of theirs."""
        number = event.event_number
        for index in self._indices if position == 0 else ((number - 1) % self._n_workers,):
            try:
                yield Mapped(position, number, index, self.call(index, position, event, created_at))
            except WorkerFailed as failure:
                if not failure.may_be_rejected or self._on_error == "fail":
                    raise
                yield Mapped(position, number, index, None, failure)

    def call(self, index: int, position: int, event: EventData, created_at: NDArray[np.int64] | None = None) -> bytes | None:
        """The pickled result of one virtual worker for the event at `position`; None where it returned None.

        Raises
        ------
        WorkerFailed
            It raised, or returned what cannot be pickled.
        """
        worker = self._workers[index]
        tick = worker.ticker is not None and worker.ticker.falls(position, event, created_at, worker.interval, self.parameters)
        began = perf_counter()
        try:
            result = worker.process(event, self.parameters, tick and (position > 0 or index == 0))
        except Exception as error:
            text = f"event {event.event_number}, {worker_name(index)}: {type(error).__name__}: {error}"
            raise WorkerFailed(text, event.event_number, traceback.format_exc()) from error
        finally:
            self.seconds += perf_counter() - began
            self.calls += 1
        if result is None:
            return None
        try:
            return dumps(result, HIGHEST_PROTOCOL)
        except Exception as error:  # pickling raises whatever the user's objects raise
            kind = type(result)
            text = (
                f"event {event.event_number}, {worker_name(index)}: the result, a {kind.__module__}.{kind.__qualname__}, "
                f"cannot be pickled ({type(error).__name__}: {error}). Return arrays, numbers, or objects of importable classes."
            )
            raise ResultNotSent(text, event.event_number, traceback.format_exc()) from error

    def finish(self, index: int) -> None:
        """Tell one of the virtual workers that there are no more events, and let it give back what it holds.

        Raises
        ------
        WorkerFailed
            Its ``finish`` or ``close`` raised.
        """
        try:
            self._workers[index].finish(self.parameters)
        except Exception as error:
            text = f"{worker_name(index)}, finish: {type(error).__name__}: {error}"
            raise WorkerFailed(text, None, traceback.format_exc()) from error


class _Worker:
    """One virtual worker: an object of the user's class, and how its methods are called."""

    __slots__ = ("context", "interval", "process", "ticker", "user")

    def __init__(self, cls: type, index: int, parameters: dict[str, WorkParameter]) -> None:
        self.context: dict[str, Any] = {}
        self.user = construct(cls, parameters=parameters, context=self.context, state=State(worker_name(index)))
        self.process = bind(self.user.process_event, 1, ("parameters", "tick"))
        interval = getattr(self.user, "get_tick_interval", None)
        self.interval = bind(interval, 0, ("parameters",)) if interval is not None else None
        self.ticker = _Ticker() if interval is not None else None

    def finish(self, parameters: Mapping[str, WorkParameter]) -> None:
        for name, offered, values in (("finish", "parameters", parameters), ("close", "context", self.context)):
            method = getattr(self.user, name, None)
            if method is not None:
                bind(method, 0, (offered,))(values)


@dataclass(slots=True)
class _Ticker:
    """Which events tick: the first, and then each that was recorded at least one interval after the last that did.

    It follows the times of all events of the capture, so that all virtual workers, wherever they live, agree; of the first event, which
    goes to all, only the first of them hears a tick.
    """

    seen: int = 0
    last: int | None = None
    version: Mapping[str, WorkParameter] | None = None
    length: int = 0
    ticked: bool = field(default=False)

    def falls(
        self, position: int, event: EventData, created_at: NDArray[np.int64] | None, interval: Any, parameters: Mapping[str, WorkParameter]
    ) -> bool:
        if self.version is not parameters or self.length == 0:
            self.version, self.length = parameters, max(1, int(float(interval(parameters)) * 1e9))
        if created_at is None:
            times = [event.created_at if event.created_at is not None else _UNKNOWN]
        else:
            times = created_at[self.seen : position + 1].tolist()
        self.seen = position + 1
        for at in times:
            self.ticked = self.last is None or (at != _UNKNOWN and at - self.last >= self.length)
            if self.ticked:
                self.last = at if at != _UNKNOWN else 0
        return self.ticked


_UNKNOWN = int(np.iinfo(np.int64).min)
