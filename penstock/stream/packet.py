"""What wire protocols have in common: parsed messages, and the way from messages on the wire to events.

A parsed message keeps the fields of its JSON header as attributes, fields of later firmware included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import orjson

from penstock.core.errors import BadEvent
from penstock.stream.models import Frame, StreamData

__all__ = ["Assembler", "Message", "Packet", "read_header"]


class Message:
    """Fields of a parsed message as attributes; the base of each protocol's messages."""

    required: ClassVar[tuple[str, ...]] = ()
    """Fields without which the message is bad, in the order in which they are printed, before all others."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Any:
        """A message with `fields`, taken over without a copy.

        Raises
        ------
        BadEvent
            A required field is missing.
        """
        for name in cls.required:
            if name not in fields:
                raise BadEvent(f"{cls.__name__}: field {name!r} is missing; there are {', '.join(map(repr, fields)) or 'none'}.")
        message = cls.__new__(cls)
        message.__dict__ = fields
        return message

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    __hash__ = None  # type: ignore[assignment]

    def _shown(self) -> list[str]:
        first = [name for name in self.required if name in self.__dict__]
        rest = [name for name in self.__dict__ if name not in first]
        return [f"{name}={self.__dict__[name]!r}" for name in (*first, *rest)]

    def __str__(self) -> str:
        return " ".join(self._shown())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._shown())})"


def read_header(frame: Frame, protocol: str) -> dict[str, Any]:
    """The JSON object in a frame.

    Raises
    ------
    BadEvent
        The frame is not a JSON object.
    """
    try:
        fields = orjson.loads(frame)
    except orjson.JSONDecodeError as error:
        raise BadEvent(f"{protocol}: the header is not JSON ({error}); it begins with {bytes(frame[:40])!r}.") from error
    if not isinstance(fields, dict):
        raise BadEvent(f"{protocol}: the header is {type(fields).__name__}, not a JSON object.")
    return fields


@dataclass(frozen=True, slots=True)
class Packet:
    """One stream's contribution to one event, in the order of the wire.

    Attributes
    ----------
    kind
        ``start`` opens a series, ``end`` closes it, ``data`` belongs to one trigger.
    frame
        Number of the trigger in the series, from 0, where the protocol carries one.
    """

    kind: Literal["start", "data", "end"]
    data: StreamData
    frame: int | None = None


class Assembler(Protocol):
    """Turns the messages of one stream, as they come from the wire, into packets; one a stream, with its state."""

    def feed(self, message: Sequence[Frame]) -> Iterator[Packet]:
        """The packets that this message completes: none, one, or several.

        Raises
        ------
        BadEvent
            The message is damaged; it is left out, and later ones can still be fed.
        """

    def close(self) -> Mapping[str, int]:
        """What was left over or skipped so far, counted by reason."""
