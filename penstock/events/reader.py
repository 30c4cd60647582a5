"""The reader of captured runs: events as records, for stages that work on blocks of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penstock.core.schema import EVENTS
from penstock.events.schemas import CapturedEvents
from penstock.events.sources import EventSource, open_files
from penstock.stream.models import EventData
from penstock.stream.protocols import PROTOCOLS

__all__ = ["CaptureRun"]

_TYPS = {protocol.typ: place for place, protocol in enumerate(PROTOCOLS.values())}
UNKNOWN_PROTOCOL = 255
"""Stands for a protocol that `PROTOCOLS` does not list."""


class CaptureRun:
    """The events of one run, from the captures of all its ingesters; see `penstock.core.instrument.RunReader`.

    Stages of a whole run take `source`, which gives the frames without a copy.
    """

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self.source: EventSource = open_files(paths)
        self._names: list[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.source.__exit__(*details)

    @property
    def n_events(self) -> int:
        """Events in the run."""
        return len(self.source)

    @property
    def bytes_per_event(self) -> int:
        """Estimated memory of one event."""
        return max(1, sum(path.stat().st_size for path in self._paths) // max(1, self.n_events))

    @property
    def stream_names(self) -> list[str]:
        """Names of the run's streams, sorted."""
        if self._names is None:
            known = getattr(self.source, "stream_names", None)
            names = known if known is not None else {n for i in range(self.n_events) for n in self.source.event(i).streams}
            self._names = sorted(names)
        return self._names

    def read(self, start: int, stop: int, step: int = 1, *, tables: Sequence[str] | None = None) -> CapturedEvents:
        """The events at positions ``range(start, stop, step)``, with copies of their frames."""
        events = [self.source.event(position) for position in range(start, stop, step)]
        places = {name: place for place, name in enumerate(self.stream_names)}
        streams = [(places[name], data) for event in events for name, data in sorted(event.streams.items())]
        frames = [frame for _, data in streams for frame in data.frames]
        sizes = np.array([len(frame) for frame in frames], np.int64)
        joined = np.frombuffer(b"".join(frames), np.uint8)
        return CapturedEvents(
            n_events=len(events),
            columns={
                EVENTS: {"number": np.array([e.event_number for e in events], np.int64), "created_at": _times(events)},
                "streams": {
                    "stream": np.array([place for place, _ in streams], np.uint16),
                    "protocol": np.array([_TYPS.get(data.typ, UNKNOWN_PROTOCOL) for _, data in streams], np.uint8),
                },
                "frames": {"size": sizes},
                "bytes": {"byte": joined},
            },
            offsets={
                "streams": _offsets([len(event.streams) for event in events]),
                "frames": _offsets([data.length for _, data in streams]),
                "bytes": _offsets(sizes),
            },
        )


def _times(events: Sequence[EventData]) -> NDArray[np.int64]:
    unknown = int(np.iinfo(np.int64).min)
    return np.array([unknown if e.created_at is None else e.created_at for e in events], np.int64)


def _offsets(counts: Any) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64))).astype(np.int64)
