"""Events with known contents: a series of images in STINS, 10 a second, each of them drawn from its number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray

from penstock.stream.models import EventData, StreamData

BEGAN_NS = 1_700_000_000_000_000_000
INTERVAL_NS = 100_000_000


def image(frame: int, shape: tuple[int, int] = (10, 10)) -> NDArray[np.uint16]:
    """Counts of one image."""
    return np.random.default_rng(frame).integers(0, 21, shape, dtype=np.uint16)


def stins_frames(number: int, images: int, shape: tuple[int, int], filename: str) -> list[bytes]:
    """The message of an event: start, image or end."""
    if number == 0:
        return [json.dumps({"htype": "header", "filename": filename, "msg_number": 0}).encode()]
    if number == images + 1:
        return [json.dumps({"htype": "series_end", "msg_number": number}).encode()]
    header = {"htype": "image", "frame": number - 1, "shape": list(shape), "type": "uint16", "compression": "none", "msg_number": number}
    return [json.dumps(header).encode(), image(number - 1, shape).tobytes()]


def stins_events(images: int, shape: tuple[int, int] = (10, 10), filename: str = "", stream: str = "xrd") -> list[EventData]:
    """A series with a start event, `images` events with one image each, and an end event."""
    return [
        EventData(number, {stream: StreamData("STINS", stins_frames(number, images, shape, filename))}, BEGAN_NS + number * INTERVAL_NS)
        for number in range(images + 2)
    ]


class Recorded:
    """Events in memory with the access by position that captures have."""

    def __init__(self, events: list[EventData]) -> None:
        self._events = events
        self.numbers = np.array([event.event_number for event in events], np.int64)
        self.created_at = np.array([event.created_at for event in events], np.int64)
        self.problems: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def event(self, position: int) -> EventData:
        """The event at a position."""
        return self._events[position]


def recorded(images: int, shape: tuple[int, int] = (10, 10), filename: str = "") -> Recorded:
    """A series in memory; as a partial function it opens the same in every process."""
    return Recorded(stins_events(images, shape, filename))


class Source:
    """A source without files, such as ``replay -s`` takes: two generators with a stream each."""

    def get_source_generators(self) -> list[Iterator[EventData]]:
        """One generator a stream; both number their events from 0."""
        return [iter(stins_events(9, stream=name)) for name in ("xrd", "saxs")]
