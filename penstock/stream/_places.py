"""From a stream's own order to events: which event a stream's k-th packet belongs to, without and with a trigger map.

A *position* is an integer that ascends from event to event; `number` turns it into an event number when the event is given out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from penstock.stream.trigger_map import TriggerMap

__all__ = ["MapPlaces", "Places", "SeriesPlaces"]

_BITS = 48
_END = (1 << _BITS) - 1


class Places(Protocol):
    """Positions of packets, and what belongs to each."""

    def before(self, stream: str) -> int:
        """The position up to which a stream that has not begun has nothing to give."""

    def place(self, stream: str, series: int, ordinal: int | None) -> tuple[int | None, int, bool]:
        """Position of a packet (None: of none), the position up to which its stream now has no more to give, and whether anyone wants it."""

    def number(self, position: int) -> tuple[int, int]:
        """Event number of the next position given out, and the first number since the one before it."""

    def due(self, number: int) -> Sequence[str]:
        """The streams that an event should have."""


class SeriesPlaces:
    """Without a map: the start packets are event 0, frames k are event k + 1, and the end packets come behind the last frame of any stream.

    Parameters
    ----------
    multi_arm
        A second series goes on behind the end of the first; else it is a run of its own, from event 0.
    """

    def __init__(self, streams: Sequence[str], multi_arm: bool) -> None:
        self._streams = streams
        self._multi_arm = multi_arm
        self._series = -1
        self._offset = 0
        self._last = -1

    def before(self, stream: str) -> int:
        """Before all positions."""
        return -1

    def place(self, stream: str, series: int, ordinal: int | None) -> tuple[int, int, bool]:
        """The packet's own position, twice."""
        position = (series << _BITS) + (_END if ordinal is None else ordinal)
        return position, position, True

    def number(self, position: int) -> tuple[int, int]:
        """Its event number; the end is one behind the last."""
        series, ordinal = position >> _BITS, position & _END
        if series != self._series:
            self._series = series
            self._offset = self._last + 1 if self._multi_arm else 0
            self._last = self._offset - 1
        since = self._last + 1
        self._last = since if ordinal == _END else self._offset + ordinal
        return self._last, since

    def due(self, number: int) -> Sequence[str]:
        """All streams."""
        return self._streams


class MapPlaces:
    """With a map: a stream's k-th packet belongs to the k-th event in which it has a cell.

    In a map with start and end around it, the end packet belongs to the last event however many frames came, and no frame does.

    Parameters
    ----------
    multi_arm
        The map has cells for several starts and ends; else what follows a stream's first end belongs to no event.
    """

    def __init__(self, trigger_map: TriggerMap, multi_arm: bool) -> None:
        self._map = trigger_map
        self._multi_arm = multi_arm
        self._end_is_last = trigger_map.is_wrapped and not multi_arm
        self._last: dict[str, tuple[int, int, int]] = {}
        self._next_of: dict[str, tuple[int, int]] = {}
        self._given = -1

    def before(self, stream: str) -> int:
        """The event before the stream's first."""
        return self._next(stream, 0) - 1

    def place(self, stream: str, series: int, ordinal: int | None) -> tuple[int | None, int, bool]:
        """The event, the one before the stream's next, and whether any worker gets the packet."""
        n_frames = self._map.n_frames(stream)
        last_series, first, last = self._last.get(stream, (series, 0, -1))
        if series != last_series:
            if not self._multi_arm:
                return None, len(self._map), False
            first = last + 1
        if ordinal is None:
            k = n_frames - 1 if self._end_is_last else last + 1
        else:
            k = first + ordinal
            if self._end_is_last and k == n_frames - 1:
                return None, self._next(stream, k) - 1, False
        self._last[stream] = (series, first, k)
        if not 0 <= k < n_frames:
            return None, len(self._map), False
        number = self._next(stream, k)
        return number, self._next(stream, k + 1) - 1, bool(self._map.cell(stream, number))

    def _next(self, stream: str, k: int) -> int:
        """The event of frame k, or the end of the map; that of the last answer is remembered, for it is asked for again."""
        last_k, number = self._next_of.get(stream, (-1, 0))
        if k != last_k:
            number = self._map.event_of(stream, k) if k < self._map.n_frames(stream) else len(self._map)
            self._next_of[stream] = (k, number)
        return number

    def number(self, position: int) -> tuple[int, int]:
        """Positions are event numbers."""
        since, self._given = self._given + 1, position
        return position, since

    def due(self, number: int) -> Sequence[str]:
        """The streams of which a worker gets the frame."""
        return [stream for stream, cell in self._map.cells(number).items() if cell]
