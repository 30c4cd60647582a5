"""Assemblers for protocols in which each message is whole by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from penstock.core.errors import BadEvent
from penstock.stream.models import Frame, StreamData
from penstock.stream.packet import Packet

__all__ = ["Kind", "WholeMessages", "only_frame"]

Kind = Literal["start", "data", "end"]
"""What a packet is in its series."""


class WholeMessages:
    """Turns each message into packets on its own, and counts those that were left out."""

    def __init__(self) -> None:
        self._left_out: Counter[str] = Counter()

    def feed(self, message: Sequence[Frame]) -> Iterator[Packet]:
        """The packets of this message: none, one, or several.

        Raises
        ------
        BadEvent
            The message is damaged; it is left out, and later ones can still be fed.
        """
        try:
            return iter(self._packets(message))
        except BadEvent:
            self._left_out["damaged message"] += 1
            raise

    def _packets(self, message: Sequence[Frame]) -> Sequence[Packet]:
        raise NotImplementedError

    def close(self) -> Mapping[str, int]:
        """What was left out so far, counted by reason."""
        return dict(self._left_out)


def only_frame(message: Sequence[Frame] | StreamData, typ: str) -> Frame:
    """The frame of a message of one part; of a stream's contribution, after a look at its type.

    Raises
    ------
    BadEvent
        There is another number of parts, or the contribution is of another protocol.
    """
    if isinstance(message, StreamData):
        if message.typ != typ:
            raise BadEvent(f"{typ}: typ is {message.typ!r}, expected {typ!r}. Parse it with its own protocol.")
        message = message.frames
    if len(message) != 1:
        raise BadEvent(f"{typ}: the message has {len(message)} parts, expected 1.")
    return message[0]
