"""Captures as sources of events: one file, or several that are joined on event number. Read by position, so that each process reads its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import BadEvent, BadRun, ConfigError
from penstock.formats.captures import UNKNOWN, CaptureFile, Damage
from penstock.stream.models import EventData, StreamData

__all__ = ["Capture", "JoinedCapture", "Missing", "open_captures"]

I8 = NDArray[np.int64]


class Capture:
    """The events of one capture, in the order of the file. It can be pickled, together with its index.

    Attributes
    ----------
    numbers
        (events,) int64: event numbers.
    created_at
        (events,) int64: when each was recorded, ns since 1970 UTC; the least int64 where the capture does not say.
    """

    def __init__(self, file: CaptureFile) -> None:
        self.file = file
        self.numbers: I8 = file.numbers
        self.created_at: I8 = file.created_at
        self._numbers, self._created_at = file.numbers.data, file.created_at.data

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Map and index a capture.

        Raises
        ------
        RunMissing
            There is no such file.
        BadRun
            The file is empty, no capture of events, or holds no whole event.
        """
        return cls(CaptureFile(path))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.file,)

    def __len__(self) -> int:
        return len(self._numbers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; frames that are still in use stay valid."""
        self.file.close()

    @property
    def nbytes(self) -> int:
        """Bytes of the capture, of a ``.gz`` file as inflated."""
        return self.file.nbytes

    @property
    def stream_names(self) -> tuple[str, ...]:
        """Names of all streams, in the order in which they first appear."""
        return self.file.stream_names

    @property
    def damage(self) -> dict[Path, list[Damage]]:
        """What could not be read, where there is any."""
        return {self.file.path: self.file.damage} if self.file.damage else {}

    def event(self, position: int) -> EventData:
        """The event at a position; negative ones count from the end.

        Raises
        ------
        IndexError
            There is no such position.
        BadEvent
            The event has a stream twice.
        """
        streams = self.file.streams(position, StreamData)
        created_at = self._created_at[position]
        return EventData(self._numbers[position], streams, None if created_at == UNKNOWN else created_at)

    def events(self, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[EventData]:
        """The events at the positions of a slice, in its order."""
        return map(self.event, range(*slice(start, stop, step).indices(len(self))))

    def report(self) -> str:
        """The capture in a few lines for people: events, streams, damage."""
        return self.file.report()


@dataclass(frozen=True, slots=True)
class Missing:
    """How many events lack a stream.

    Attributes
    ----------
    between
        Those between the stream's first and last event: messages that were lost, or a slow detector.
    beyond
        Those before its first and after its last event: it began later or ended earlier than others.
    """

    between: int
    beyond: int


class JoinedCapture:
    """The events of several captures, joined on event number, ascending; no event is left out for want of a stream.

    Parameters
    ----------
    paths
        The captures; each holds events of one or several streams. Numbers may have gaps, and need not ascend within a file.

    Attributes
    ----------
    numbers
        (events,) int64: every number that occurs in a file, ascending.
    created_at
        (events,) int64: when the first part of each was recorded, ns since 1970 UTC; the least int64 where no file says.
    stream_names
        Names of all streams: an event that has them all is complete.

    Raises
    ------
    ConfigError
        No file is given, or one is given twice.
    RunMissing, BadRun
        As `Capture.open`; or a number occurs twice in one file.
    """

    def __init__(self, paths: Sequence[Path | str]) -> None:
        resolved = [Path(path).resolve() for path in paths]
        if not paths:
            raise ConfigError("no capture is given. Name at least one file.")
        for k, path in enumerate(resolved):
            if path in resolved[:k]:
                raise ConfigError(f"{paths[k]} is given twice. Name each capture once.")
        self.__setstate__([CaptureFile(path) for path in paths])

    def __reduce__(self) -> tuple[object, ...]:
        return type(self).__new__, (type(self),), self.files

    def __setstate__(self, files: list[CaptureFile]) -> None:
        self.files = files
        orders = [_ascending(file) for file in files]
        self.numbers: I8 = np.unique(np.concatenate([file.numbers for file in files]))
        self.created_at: I8 = np.full(len(self.numbers), UNKNOWN, np.int64)
        self._places: list[I8] = []
        for file, order in zip(files, orders, strict=True):
            rows = np.searchsorted(self.numbers, file.numbers[order])
            place = np.full(len(self.numbers), -1, np.int64)
            place[rows] = order
            self._places.append(place)
            times, known = file.created_at[order], self.created_at[rows]
            self.created_at[rows] = np.where((known == UNKNOWN) | (times == UNKNOWN), np.maximum(known, times), np.minimum(known, times))
        for array in (self.numbers, self.created_at):
            array.flags.writeable = False
        self.stream_names = tuple(dict.fromkeys(name for file in files for name in file.stream_names))
        self._numbers, self._created_at = self.numbers.data, self.created_at.data
        self._parts = [(file, place.data) for file, place in zip(files, self._places, strict=True)]

    def __len__(self) -> int:
        return len(self._numbers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files; frames that are still in use stay valid."""
        for file in self.files:
            file.close()

    @property
    def nbytes(self) -> int:
        """Bytes of all captures, of ``.gz`` files as inflated."""
        return sum(file.nbytes for file in self.files)

    @property
    def damage(self) -> dict[Path, list[Damage]]:
        """What could not be read, by file, where there is any."""
        return {file.path: file.damage for file in self.files if file.damage}

    @cached_property
    def _having(self) -> dict[str, NDArray[np.bool_]]:
        """(events,) by stream: whether the event has it."""
        having = {name: np.zeros(len(self.numbers), bool) for name in self.stream_names}
        for file, place in zip(self.files, self._places, strict=True):
            rows = np.flatnonzero(place >= 0)
            for name in file.stream_names:
                having[name][rows] |= file.has_stream(name)[place[rows]]
        return having

    @property
    def complete(self) -> NDArray[np.bool_]:
        """(events,): whether each event has all streams."""
        complete = np.ones(len(self.numbers), bool)
        for having in self._having.values():
            complete &= having
        return complete

    @cached_property
    def missing(self) -> dict[str, Missing]:
        """How many events lack a stream, by stream."""
        found = {}
        for name, having in self._having.items():
            rows = np.flatnonzero(having)
            between = int(rows[-1] - rows[0] + 1 - len(rows)) if len(rows) else 0
            found[name] = Missing(between, len(having) - len(rows) - between)
        return found

    def event(self, position: int) -> EventData:
        """The event at a position with all that the files have of it; negative positions count from the end.

        Raises
        ------
        IndexError
            There is no such position.
        BadEvent
            A stream comes twice.
        """
        streams: dict[str, StreamData] = {}
        try:
            number, created_at = self._numbers[position], self._created_at[position]
        except IndexError:
            raise IndexError(f"event at position {position} was asked for; there are {len(self)}.") from None
        for file, place in self._parts:
            at = place[position]
            if at < 0:
                continue
            found = file.streams(at, StreamData)
            if twice := streams.keys() & found.keys():
                raise self._twice(position, min(twice))
            streams.update(found)
        return EventData(number, streams, None if created_at == UNKNOWN else created_at)

    def events(self, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[EventData]:
        """The events at the positions of a slice, in its order."""
        return map(self.event, range(*slice(start, stop, step).indices(len(self))))

    def _twice(self, position: int, name: str) -> BadEvent:
        places = [(file.path, place[position]) for file, place in self._parts]
        having = [str(file.path) for (_, at), file in zip(places, self.files, strict=True) if at >= 0 and file.has_stream(name)[at]]
        return BadEvent(f"event {self._numbers[position]}: stream {name!r} comes in {' and in '.join(having)}. Leave one of them out.")

    def report(self) -> str:
        """The captures in a few lines for people: events, what is missing, damage."""
        lines = [file.report() for file in self.files]
        lines.append(
            f"joined: {len(self):,} events, {int(self.complete.sum()):,} of them with all of {', '.join(self.stream_names) or 'no stream'}"
        )
        for name, missing in self.missing.items():
            if missing.between:
                lines.append(f"  events without {name} between its first and its last: {missing.between:,}")
            if missing.beyond:
                lines.append(f"  events without {name} before its first or after its last: {missing.beyond:,}")
        return "\n".join(lines)


def open_captures(paths: Sequence[Path | str]) -> Capture | JoinedCapture:
    """The captures as one source of events in ascending order: a single ordered file as it is, others joined."""
    if len(paths) == 1:
        capture = Capture.open(paths[0])
        if (np.diff(capture.numbers) > 0).all():
            return capture
    return JoinedCapture(paths)


def _ascending(file: CaptureFile) -> I8:
    """Positions in the order of event numbers."""
    order = np.argsort(file.numbers, kind="stable")
    same = np.flatnonzero(np.diff(file.numbers[order]) == 0)
    if len(same):
        first, second = (int(order[same[0] + k]) for k in (0, 1))
        raise BadRun(
            f"{file.path}: event {file.numbers[first]} comes at positions {first} and {second} (bytes {file.span(first)[0]:,} and "
            f"{file.span(second)[0]:,}); {len(same)} numbers come again. A capture holds one scan: split it where the numbers begin again."
        )
    return order
