"""Packets written as words, and what event building makes of them, as words again."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.stream.build import EventBuilder
from penstock.stream.models import EventData, StreamData
from penstock.stream.packet import Packet


def packet(text: str) -> Packet:
    """``start`` or ``end`` with anything behind, ``f3`` or ``f3 again`` for frame 3, anything else for data without number."""
    data = StreamData("fake", [text.encode()])
    if text.startswith("start"):
        return Packet("start", data)
    if text.startswith("end"):
        return Packet("end", data)
    return Packet("data", data, int(text.split()[0][1:]) if text.startswith("f") else None)


def series(frames: Sequence[int]) -> list[str]:
    return ["start", *(f"f{k}" for k in frames), "end"]


def feed(builder: EventBuilder, packets: Sequence[tuple[str, str]]) -> list[EventData]:
    events = [event for stream, text in packets for event in builder.feed(stream, packet(text))]
    return events + builder.close()


def build(builder: EventBuilder, **streams: Sequence[str]) -> dict[int, dict[str, str]]:
    """Events from streams that are fed in turn, one packet each."""
    turns = max(map(len, streams.values()))
    events = feed(builder, [(name, texts[i]) for i in range(turns) for name, texts in streams.items() if i < len(texts)])
    return contents(events)


def contents(events: Sequence[EventData]) -> dict[int, dict[str, str]]:
    numbers = [event.event_number for event in events]
    assert numbers == sorted(set(numbers))
    return {event.event_number: {name: bytes(data.frames[0]).decode() for name, data in event.streams.items()} for event in events}


def alone(texts: Sequence[str], **wishes: int) -> tuple[list[str | None], dict[str, int]]:
    """What stands in each event of a single stream (None where its number stays free), and what was counted."""
    builder = EventBuilder(["a"], **wishes)
    events = build(builder, a=texts)
    return [events[n]["a"] if n in events else None for n in range(max(events) + 1)], dict(builder.report.streams["a"].counts)
