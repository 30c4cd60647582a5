"""Event building: packets of several streams are put together into events, by frame number where the protocol has one.

No files, sockets or clocks in here: whoever reads a capture or a socket feeds what it finds.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.core.errors import BadEvent, ConfigError, nearest
from penstock.stream._frame_order import FrameOrder, Place, StreamTally
from penstock.stream._places import MapPlaces, Places, SeriesPlaces
from penstock.stream.models import EventData, Frame, StreamData
from penstock.stream.packet import Assembler, Packet
from penstock.stream.trigger_map import TriggerMap

__all__ = ["BuildReport", "EventBuilder", "StreamTally", "build_from_raw"]

_N_NAMED = 10


@dataclass(slots=True)
class BuildReport:
    """What became of the packets, by stream, and of the events.

    Attributes
    ----------
    n_events
        Events given out, with those that lack a stream.
    n_incomplete
        Events that lack a stream that they should have, with the empty ones.
    n_empty
        Events of which nothing came at all. They are not given out, and their numbers stay free.
    incomplete
        Event number and missing streams of the first ten.
    """

    streams: dict[str, StreamTally]
    n_events: int = 0
    n_incomplete: int = 0
    n_empty: int = 0
    incomplete: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values, for ``--json``."""
        return {
            "events": self.n_events,
            "incomplete": self.n_incomplete,
            "empty": self.n_empty,
            "first_incomplete": [{"event": number, "missing": list(missing)} for number, missing in self.incomplete],
            "streams": {
                name: {"taken": tally.taken, **tally.counts, "first": dict(tally.first), "skipped": dict(tally.skipped)}
                for name, tally in self.streams.items()
            },
        }

    def lines(self) -> list[str]:
        """The same in words: a line for the events, and one for each stream."""
        lines = [f"{self.n_events} events, {self.n_incomplete} incomplete, {self.n_empty} of them without any stream"]
        for name, tally in self.streams.items():
            parts = [f"{n} {reason} (first: {tally.first.get(reason, 'unknown')})" for reason, n in tally.counts.items()]
            parts += [f"{n} {reason}" for reason, n in tally.skipped.items() if n]
            lines.append(f"{name}: {', '.join([f'{tally.taken} taken', *parts])}")
        return lines


class EventBuilder:
    """Puts the packets of several streams together into events.

    Each stream's packets come in the order of its wire; how the streams interleave changes nothing, as long as none is more than `window`
    events ahead of another. An event is given out, in ascending order, when every stream gave its part or has moved on beyond it. One lost
    message makes one incomplete event; the frame number of what follows keeps it in its place.

    A frame counter that begins anew within a series, as for each line of a mesh scan, is continued behind the longest line so far. That is
    recognised after three numbers, so a source with shorter lines (a counter that says 0 for each frame) is to be joined `by_count`.

    Parameters
    ----------
    streams
        Their names.
    trigger_map
        Which events each stream has a frame in; without it, each stream has one in every event.
    window
        Open events at most. Beyond, the oldest is given out as it is.
    multi_arm
        A second start continues the run: behind the end of the first series, or with a map in its next cell. Else it begins a new run at
        event 0, or with a map is left out. A builder follows the order of runs only as far as no stream misses the start of one; give each
        run a builder of its own where its beginning is known.
    by_count
        Streams whose frame numbers are not to be used: their k-th frame is frame k. So are streams without frame numbers.

    Raises
    ------
    ConfigError
        A stream is named that does not exist, or none at all; `window` is below 1.
    """

    def __init__(
        self,
        streams: Iterable[str],
        *,
        trigger_map: TriggerMap | None = None,
        window: int = 1000,
        multi_arm: bool = False,
        by_count: Iterable[str] = (),
    ) -> None:
        names = tuple(streams)
        counted = frozenset(by_count)
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"event building needs streams with different names, got {', '.join(map(repr, names)) or 'none'}.")
        if window < 1:
            raise ConfigError(f"event building: window is {window}, at least 1 event has to be open.")
        if unknown := sorted(counted.difference(names)):
            raise ConfigError(_no_such_stream(unknown[0], names))
        if trigger_map is not None:
            trigger_map.check_streams(names)
        self.report = BuildReport({name: StreamTally() for name in names})
        self._places: Places = SeriesPlaces(names, multi_arm) if trigger_map is None else MapPlaces(trigger_map, multi_arm)
        self._orders = {name: FrameOrder(tally, window, name in counted) for name, tally in self.report.streams.items()}
        self._window = window
        self._open: dict[int, EventData] = {}
        self._positions: list[int] = []
        self._given = -1
        self._reached = {name: self._places.before(name) for name in names}
        self._horizon = min(self._reached.values())

    def feed(self, stream: str, packet: Packet) -> list[EventData]:
        """Take a stream's next packet, and give the events that are now complete, or no longer waited for.

        Raises
        ------
        ConfigError
            There is no such stream.
        """
        self._put(stream, self._order(stream).take(packet))
        return self._give_out(self._horizon)

    def skip(self, stream: str, reason: str) -> None:
        """Count a message of a stream that could not be read; where the stream is joined by count, the place of a frame stays free.

        Raises
        ------
        ConfigError
            There is no such stream.
        """
        self._order(stream).skip(reason)

    def close(self) -> list[EventData]:
        """The events that are still open, when nothing more comes."""
        for stream, order in self._orders.items():
            self._put(stream, order.close())
        return self._give_out(None)

    def furthest_behind(self, streams: Iterable[str]) -> str:
        """Of these streams, the one whose packets are waited for most."""
        return min(streams, key=self._reached.__getitem__)

    def _order(self, stream: str) -> FrameOrder:
        order = self._orders.get(stream)
        if order is None:
            raise ConfigError(_no_such_stream(stream, self._orders))
        return order

    def _put(self, stream: str, places: Sequence[Place]) -> None:
        tally = self.report.streams[stream]
        for series, ordinal, data in places:
            position, reached, wanted = self._places.place(stream, series, ordinal)
            if position is None:
                tally.add("beyond", None if ordinal is None else ordinal - 1)
            elif position <= self._given:
                tally.add("late", None if ordinal is None else ordinal - 1)
            else:
                tally.taken += 1
                if wanted:
                    self._add(position, stream, data)
            before, self._reached[stream] = self._reached[stream], reached
            if before == self._horizon:
                self._horizon = min(self._reached.values())

    def _add(self, position: int, stream: str, data: StreamData) -> None:
        event = self._open.get(position)
        if event is None:
            self._open[position] = event = EventData(-1, {})
            heapq.heappush(self._positions, position)
        event.streams[stream] = data

    def _give_out(self, horizon: int | None) -> list[EventData]:
        """The open events up to `horizon` (None: all), and beyond it the oldest until no more than the window are open."""
        positions = self._positions
        events = []
        while positions and (horizon is None or positions[0] <= horizon or len(positions) > self._window):
            self._given = heapq.heappop(positions)
            event = self._open.pop(self._given)
            event.event_number, since = self._places.number(self._given)
            if since < event.event_number:
                self._count_empty(since, event.event_number)
            self.report.n_events += 1
            due = self._places.due(event.event_number)
            if len(event.streams) < len(due):
                self._count_missing(event.event_number, [name for name in due if name not in event.streams])
            events.append(event)
        return events

    def _count_empty(self, start: int, stop: int) -> None:
        if isinstance(self._places, SeriesPlaces):
            self.report.n_empty += stop - start
            self._count_missing(start, self._places.due(start), stop - start)
            return
        for number in range(start, stop):
            if due := self._places.due(number):
                self.report.n_empty += 1
                self._count_missing(number, due)

    def _count_missing(self, number: int, missing: Sequence[str], n: int = 1) -> None:
        """Count `n` events, from `number` on, that lack the same streams."""
        self.report.n_incomplete += n
        named = self.report.incomplete
        named.extend((number + i, tuple(missing)) for i in range(min(n, _N_NAMED - len(named))))
        for name in missing:
            self.report.streams[name].add("missing", number, n)


def build_from_raw(
    captures: Mapping[str, Iterable[Sequence[Frame]]], assemblers: Mapping[str, Assembler], builder: EventBuilder | None = None
) -> Iterator[EventData]:
    """Events from raw messages of several streams, such as those of raw captures.

    The stream that is furthest behind is read next, so that none runs ahead of the others, however many messages an event takes.
    Damaged messages are left out and counted, with the first one's reason, in the builder's report.

    Parameters
    ----------
    captures
        Messages by stream.
    assemblers
        The protocol of each of these streams.
    builder
        Knows the trigger map and other wishes, and holds the report afterwards; without it, one with the defaults.

    Raises
    ------
    ConfigError
        Captures, assemblers and the builder do not have the same streams.
    """
    if captures.keys() != assemblers.keys():
        raise ConfigError(
            f"event building: there are captures of {_listed(captures)}, and protocols for {_listed(assemblers)}. Give each stream both."
        )
    builder = EventBuilder(captures) if builder is None else builder
    if captures.keys() != builder.report.streams.keys():
        raise ConfigError(f"event building: there are captures of {_listed(captures)}, and events have {_listed(builder.report.streams)}.")
    return _build(captures, assemblers, builder)


def _build(
    captures: Mapping[str, Iterable[Sequence[Frame]]], assemblers: Mapping[str, Assembler], builder: EventBuilder
) -> Iterator[EventData]:
    unread = {stream: iter(messages) for stream, messages in captures.items()}
    while unread:
        stream = builder.furthest_behind(unread)
        message = next(unread[stream], None)
        if message is None:
            del unread[stream]
            builder.report.streams[stream].skipped = dict(assemblers[stream].close())
            continue
        try:
            for packet in assemblers[stream].feed(message):
                yield from builder.feed(stream, packet)
        except BadEvent as error:
            builder.skip(stream, str(error))
    yield from builder.close()


def _listed(streams: Iterable[str]) -> str:
    return ", ".join(map(repr, streams)) or "nothing"


def _no_such_stream(stream: str, streams: Iterable[str]) -> str:
    return f"event building: there is no stream {stream!r}, there are {_listed(streams)}.{nearest(stream, streams)}"
