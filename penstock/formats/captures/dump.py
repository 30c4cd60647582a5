"""Captures of events, as replays read them: one event an item, with the frames of one or several streams."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import BadEvent, BadRun
from penstock.formats.captures._index import ELSEWHERE, Index
from penstock.formats.captures._indexing import COMPILE_FROM, build_index
from penstock.formats.captures._layouts import EVENTS
from penstock.formats.captures._source import COPIED, Damage, Frame, Source
from penstock.formats.captures.kinds import require_kind

__all__ = ["CaptureFile"]

T = TypeVar("T")


class CaptureFile:
    """One capture of events, mapped and indexed: every event is read by itself, at its position in the file.

    It can be pickled, with its index: another process maps the file and does not walk over it again. A ``.gz`` file is inflated
    once a process.

    Parameters
    ----------
    path
        The capture; ``.gz`` is recognised by its content.
    index
        Its index where that is known.

    Attributes
    ----------
    numbers
        (events,) int64: event numbers, in the order of the file.
    created_at
        (events,) int64: when each was recorded, ns since 1970 UTC; the least int64 where the capture does not say.
    damage
        What of the file could not be read.

    Raises
    ------
    RunMissing
        There is no such file.
    BadRun
        The file is empty, no capture, or holds no whole event.
    """

    def __init__(self, path: Path | str, *, index: Index | None = None, compile_from: int = COMPILE_FROM) -> None:
        self.path = Path(path)
        require_kind(self.path, "dump")
        self._source = Source(self.path)
        self.index = build_index(self._source, EVENTS, self.path, compile_from) if index is None else index
        self.numbers: NDArray[np.int64] = self.index.numbers
        self.created_at: NDArray[np.int64] = self.index.created_at
        self.damage: list[Damage] = self.index.damage
        self.stamp = self._source.stamp
        """Size and time of change of the file as it was opened."""
        for known in (self.numbers, self.created_at):
            known.flags.writeable = False
        self._n = len(self.numbers)
        # Single values of a memoryview come out as int four times faster than those of an array.
        self._first_entry = self.index.first_entry.data
        self._head = self.index.head.data
        self._first_frame = self.index.first_frame.data
        self._frames = self.index.frames.reshape(-1).data
        self._heads = self.index.heads

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.path, self.stamp, self.index)

    def __len__(self) -> int:
        return self._n

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; frames that are still in use stay valid."""
        self._source.close()

    @property
    def nbytes(self) -> int:
        """Bytes of the capture, of a ``.gz`` file as inflated."""
        return self._source.size

    @property
    def stream_names(self) -> tuple[str, ...]:
        """Names of all streams, in the order in which they first appear."""
        return tuple(dict.fromkeys(name for name, _ in self._heads))

    def has_stream(self, name: str) -> NDArray[np.bool_]:
        """(events,): whether each event has a contribution of this stream."""
        heads = [k for k, (known, _) in enumerate(self._heads) if known == name]
        having = np.isin(self.index.head, heads)
        counts = np.concatenate(([0], np.cumsum(having)))
        return np.diff(counts[self.index.first_entry]) > 0

    def span(self, position: int) -> tuple[int, int]:
        """Where the event begins and ends, in bytes."""
        begin, end = self.index.spans[position].tolist()
        return begin, end

    def streams(self, position: int, make: Callable[[str, list[Frame]], T]) -> dict[str, T]:
        """What each stream contributes to the event at a position: ``make(typ, frames)`` by name.

        Raises
        ------
        IndexError
            There is no such position.
        BadEvent
            The event has a stream twice.
        """
        if not -self._n <= position < self._n:
            raise IndexError(f"{self.path}: event at position {position} was asked for; there are {self._n}.")
        if position < 0:
            position += self._n
        first, last = self._first_entry[position], self._first_entry[position + 1]
        frames, first_frame, source = self._frames, self._first_frame, self._source
        data, view = source.data, source.view
        found = {}
        for entry in range(first, last):
            parts: list[Frame] = []
            for k in range(2 * first_frame[entry], 2 * first_frame[entry + 1], 2):
                begin, length = frames[k], frames[k + 1]
                if begin == ELSEWHERE:
                    return self._decoded(position, make)
                # As `Source.cut` does, without the call.
                parts.append(data[begin : begin + length] if length <= COPIED else view[begin : begin + length])
            name, typ = self._heads[self._head[entry]]
            found[name] = make(typ, parts)
        if len(found) != last - first:
            raise BadEvent(f"{self.path}: event {self.numbers[position]} has {last - first} streams, some of one name: {', '.join(found)}.")
        return found

    def _decoded(self, position: int, make: Callable[[str, list[Frame]], T]) -> dict[str, T]:
        from penstock.formats.captures._decoding import decode_event

        begin, end = self.span(position)
        return {name: make(typ, [*frames]) for name, typ, frames in decode_event(bytes(self._source.data[begin:end])).streams}

    def report(self) -> str:
        """The capture in a few lines for people."""
        first, last = (int(n) for n in (self.numbers.min(), self.numbers.max()))
        lines = [
            f"{self.path}: {self._n:,} events ({first} to {last}), {self.nbytes:,} bytes, streams {', '.join(self.stream_names) or 'none'}"
        ]
        if self.damage:
            lost = sum(damage.length for damage in self.damage)
            lines.append(f"  damaged, {lost:,} bytes lost:")
            lines += [f"  {damage}" for damage in self.damage]
        return "\n".join(lines)


def _reopen(path: Path, stamp: tuple[int, int], index: Index) -> CaptureFile:
    capture = CaptureFile(path, index=index)
    if capture.stamp != stamp:
        raise BadRun(f"{path} changed since it was indexed: it had {stamp[0]:,} bytes, now {capture.stamp[0]:,}. Open it again.")
    return capture
