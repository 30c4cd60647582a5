"""``dranspose.event``: events, their parts as sources and captures give them, and hooks that read captures with cbor2."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.stream import models
from penstock.stream.models import Frame, ResultData, StreamData, merge_parts

__all__ = ["EventData", "InternalWorkerMessage", "ResultData", "StreamData", "message_encoder", "message_tag_hook"]

_EVENT, _STREAM = 42877, 42878
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


class _AnyEvent(type):
    def __instancecheck__(cls, found: object) -> bool:
        return isinstance(found, models.EventData)


class EventData(models.EventData, metaclass=_AnyEvent):
    """An event; every event of penstock is an instance."""

    __slots__ = ()

    @classmethod
    def from_internals(cls, msgs: Iterable[models.EventData]) -> models.EventData:
        """One event from parts with the same number and different streams.

        Raises
        ------
        BadEvent
            The parts have different numbers, or the same stream.
        """
        return merge_parts(msgs)


class InternalWorkerMessage(models.EventData):
    """A part of an event, as a source yields it; ``created_at`` is kept in ns since 1970 UTC.

    Parameters
    ----------
    created_at
        When it was recorded: a time with its zone, or ns since 1970 UTC. Now, where it is left out.
    """

    __slots__ = ()

    def __init__(self, event_number: int, streams: dict[str, StreamData] | None = None, created_at: datetime | int | None = None) -> None:
        at = datetime.now(UTC) if created_at is None else created_at
        ns = (at - _BEGIN) // timedelta(microseconds=1) * 1000 if isinstance(at, datetime) else at
        super().__init__(event_number, {} if streams is None else streams, ns)

    def get_all_frames(self) -> list[Frame]:
        """Frames of all streams, one after the other."""
        return [frame for stream in self.streams.values() for frame in stream.frames]


def message_tag_hook(first: Any, second: Any, *_: Any) -> Any:
    """For ``cbor2.CBORDecoder(file, tag_hook=message_tag_hook)``: parts of events and their streams out of captures.

    Every version of cbor2 works: the tag comes first or second.
    """
    tag = first if hasattr(first, "tag") else second
    if tag.tag == _EVENT:
        number, streams, *created_at = tag.value
        return InternalWorkerMessage(number, dict(streams), *created_at)
    if tag.tag == _STREAM:
        typ, frames = tag.value
        return StreamData(typ, list(frames))
    return tag


def message_encoder(encoder: Any, value: Any) -> None:
    """For ``cbor2.CBOREncoder(file, default=message_encoder)``: events, their parts and streams as captures hold them.

    Raises
    ------
    TypeError
        The value is none of them.
    """
    from cbor2 import CBORTag

    if isinstance(value, StreamData):
        encoder.encode(CBORTag(_STREAM, [value.typ, [bytes(frame) for frame in value.frames]]))
    elif isinstance(value, models.EventData):
        at = value.created_at
        when = [] if at is None else [_BEGIN + timedelta(microseconds=at // 1000)]
        encoder.encode(CBORTag(_EVENT, [value.event_number, value.streams, *when]))
    else:
        raise TypeError(f"{type(value).__name__}: only events and streams are written.")
