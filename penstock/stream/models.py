"""Events of streams: what a worker gets, and what it hands on to the reducer.

A stream contributes at most one `StreamData` to an event: the frames of one message, or of several that belong together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from penstock.core.errors import BadEvent

__all__ = ["EventData", "Frame", "ResultData", "StreamData", "merge_parts"]

Frame = bytes | memoryview
"""One frame of a message. Large ones are read-only views into the capture, so that nothing is copied."""


@dataclass(slots=True)
class StreamData:
    """What one stream contributes to an event.

    Parameters
    ----------
    typ
        Wire protocol, as captures name it: ``STINS``, ``EIGER_LEGACY``, ``xspress``, ``contrast``, ``PCAP``, ``PCAP_RAW``,
        ``albaem``, ``lecroy_9fwdWp6Rq7``, ``sardana``.
    frames
        Frames in the order of the message.
    """

    typ: str
    frames: list[Frame]

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.frames)

    @property
    def nbytes(self) -> int:
        """Bytes of all frames."""
        return sum(len(frame) for frame in self.frames)

    def get_bytes(self) -> StreamData:
        """The same with frames that are `bytes` of their own."""
        return StreamData(self.typ, [bytes(frame) for frame in self.frames])

    def __repr__(self) -> str:
        return f"StreamData(typ={self.typ!r}, frames={[bytes(f) for f in self.frames]!r}, length={self.length})"


@dataclass(slots=True)
class EventData:
    """All that streams contribute to one event.

    Parameters
    ----------
    event_number
        Its number in the run: 0 holds the start messages, the last one the end messages.
    streams
        Contribution by name of the stream; a stream without one is absent.
    created_at
        When it was recorded, in ns since 1970 UTC; None where the capture does not say.
    """

    event_number: int
    streams: dict[str, StreamData]
    created_at: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"event_number={self.event_number} streams={self.streams!r}"

    def __repr__(self) -> str:
        return f"EventData(event_number={self.event_number}, streams={self.streams!r})"


@dataclass(slots=True)
class ResultData:
    """What a worker made of an event, as the reducer gets it.

    Parameters
    ----------
    worker
        Name of the virtual worker.
    parameters_hash
        Hash of the parameters' contents (`penstock.stream.parameters.hash_parameters`).
    payload
        What the worker returned.
    """

    event_number: int
    worker: str
    parameters_hash: str | None
    payload: Any

    def __str__(self) -> str:
        return f"event_number={self.event_number} worker={self.worker!r} parameters_hash={self.parameters_hash!r} payload={self.payload!r}"

    def __repr__(self) -> str:
        return f"ResultData({', '.join(str(self).split(' ', 3))})"


def merge_parts(parts: Iterable[EventData]) -> EventData:
    """One event from parts that carry the same number and different streams.

    Raises
    ------
    BadEvent
        Two parts have different numbers or the same stream.
    """
    whole: EventData | None = None
    for part in parts:
        if whole is None:
            whole = EventData(part.event_number, dict(part.streams), part.created_at)
            continue
        if part.event_number != whole.event_number:
            raise BadEvent(f"event {whole.event_number}: a part has number {part.event_number}.")
        if twice := whole.streams.keys() & part.streams.keys():
            raise BadEvent(
                f"event {whole.event_number}: stream {', '.join(sorted(twice))} comes twice. Give each capture streams of its own."
            )
        whole.streams.update(part.streams)
        if part.created_at is not None:
            whole.created_at = part.created_at if whole.created_at is None else min(whole.created_at, part.created_at)
    if whole is None:
        raise BadEvent("an event needs at least one part.")
    return whole
