"""Where each packet of one stream belongs in its series, told from the stream's own order and frame numbers alone.

Nothing here knows of other streams, so the answer does not depend on how the streams interleave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from penstock.stream.models import StreamData
from penstock.stream.packet import Packet

__all__ = ["FrameOrder", "Place", "Reason", "StreamTally"]

Reason = Literal["lost", "duplicate", "late", "restart", "stray", "junk", "beyond", "damaged", "missing"]

Place = tuple[int, int | None, StreamData]
"""Series, place in the series (0: the start, k + 1: frame k, None: the end), and the data."""

_ENOUGH = 3
"""So many frame numbers out of line, each above the one before, are a new order; fewer are single messages gone astray."""

_ENOUGH_AT_END = 2
"""The same where the series ends or jumps again, and no more can be awaited."""


@dataclass(slots=True)
class StreamTally:
    """What became of the packets of one stream.

    Attributes
    ----------
    taken
        Packets that came to lie in events, or that the trigger map wanted to be discarded.
    counts
        By reason. *lost*: frame numbers passed over. *duplicate*: came again, the first was kept. *late*: came after a later frame of the
        stream, or after their event was given out. *restart*: the numbers began anew and were continued. *stray*: far out of
        line, and contradicted by what followed. *junk*: outside of start and end. *beyond*: more than the trigger map asks for.
        *damaged*: messages that could not be read. *missing*: events that lack this stream.
    first
        By reason, the frame number where it was first seen; of *missing* and *restart* the event number, of *damaged* the message.
    skipped
        What the assembler left over or skipped, counted by its own reasons.
    """

    taken: int = 0
    counts: dict[Reason, int] = field(default_factory=dict)
    first: dict[Reason, int | str] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)

    def add(self, reason: Reason, where: int | str | None, n: int = 1) -> None:
        """Count `n` more for a reason."""
        self.counts[reason] = self.counts.get(reason, 0) + n
        if where is not None:
            self.first.setdefault(reason, where)


class FrameOrder:
    """Gives the packets of one stream their places, in ascending order within a series.

    A frame number that is out of line (seen before, or further ahead than `reach`) is held until later ones tell what it is: where they go
    on from it, the counter has begun anew or has jumped; where they go on as before, it was a duplicate or a stray. A counter that began
    anew is continued behind the longest turn so far, so that a frame lost at the end of a later line of a mesh scan shifts nothing.

    Parameters
    ----------
    tally
        Where it is counted what was left out.
    reach
        Furthest jump ahead that is believed at once.
    by_count
        Frame numbers are not looked at: the k-th frame is frame k.
    """

    def __init__(self, tally: StreamTally, reach: int, by_count: bool) -> None:
        self._tally = tally
        self._reach = reach
        self._by_count = by_count
        self._series = -1
        self._start: StreamData | None = None
        self._held: list[tuple[int, StreamData]] = []
        self._passed: dict[int, None] = {}
        self._offset = 1
        self._last = -1
        self._longest = 0
        self._skipped = 0

    def take(self, packet: Packet) -> Sequence[Place]:
        """The places that are now known: none, that of this packet, or those of held ones too."""
        if packet.kind == "start":
            return self._begin(packet.data)
        if self._start is None:
            self._tally.add("junk", packet.frame)
            return ()
        if packet.kind == "end":
            placed = self._settle()
            self._start = None
            return (*placed, (self._series, None, packet.data))
        frame = packet.frame
        if frame is None or self._by_count:
            frame = self._last + 1 + self._skipped
        self._skipped = 0
        if not self._held and self._last < frame <= self._last + self._reach:
            return (self._accept(frame, packet.data),)
        return self._out_of_line(frame, packet.data)

    def skip(self, reason: str) -> None:
        """Count a message that could not be read; if frames turn out to have no numbers, the place of one stays free."""
        self._tally.add("damaged", reason)
        self._skipped += self._start is not None

    def close(self) -> Sequence[Place]:
        """The places of packets that were held, when none will follow."""
        return self._settle()

    def _begin(self, data: StreamData) -> Sequence[Place]:
        if self._start is not None and self._start.frames == data.frames:
            self._tally.add("duplicate", None)
            return ()
        placed = self._settle()
        self._series += 1
        self._start, self._offset, self._last, self._longest, self._skipped = data, 1, -1, 0, 0
        self._passed.clear()
        return (*placed, (self._series, 0, data))

    def _accept(self, frame: int, data: StreamData) -> Place:
        if frame != self._last + 1:
            self._pass_over(frame)
        self._last = frame
        return self._series, self._offset + frame, data

    def _pass_over(self, frame: int) -> None:
        self._tally.add("lost", self._last + 1, frame - self._last - 1)
        self._passed.update(dict.fromkeys(range(max(self._last + 1, frame - self._reach), frame)))
        while len(self._passed) > self._reach:
            del self._passed[next(iter(self._passed))]

    def _out_of_line(self, frame: int, data: StreamData) -> Sequence[Place]:
        held = self._held
        if self._last < frame <= self._last + self._reach:
            self._dismiss()
            return (self._accept(frame, data),)
        follows = bool(held) and frame == held[-1][0] + 1
        if frame < 0:
            self._tally.add("stray", frame)
        elif frame == (held[-1][0] if held else self._last):
            self._tally.add("duplicate", frame)
        elif frame in self._passed and not follows:
            self._tally.add("late", frame)
        elif not held or (frame > held[-1][0] and self._is_ahead(frame) == self._is_ahead(held[0][0])):
            held.append((frame, data))
            return self._settle() if len(held) == _ENOUGH else ()
        else:
            placed = self._settle()
            if self._last < frame <= self._last + self._reach:
                return (*placed, self._accept(frame, data))
            return (*placed, *self._out_of_line(frame, data))
        return ()

    def _is_ahead(self, frame: int) -> bool:
        return frame > self._last

    def _settle(self) -> Sequence[Place]:
        """Believe the held frames if there are enough of them, and give their places; else dismiss them."""
        if len(self._held) < _ENOUGH_AT_END:
            self._dismiss()
            return ()
        held, self._held = self._held, []
        if not self._is_ahead(held[0][0]):
            self._longest = max(self._longest, self._last + 1)
            self._offset += self._longest
            self._tally.add("restart", self._offset + held[0][0])
            self._last = -1
            self._passed.clear()
        return [self._accept(frame, data) for frame, data in held]

    def _dismiss(self) -> None:
        for frame, _ in self._held:
            self._tally.add("stray" if self._is_ahead(frame) else "duplicate", frame)
        self._held = []
