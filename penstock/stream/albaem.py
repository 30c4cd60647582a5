"""AlbaEM: currents of the electrometer, a message a trigger."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.stream._assembler import WholeMessages, only_frame
from penstock.stream._json_message import whole_number
from penstock.stream._json_series import HEAD, read_series
from penstock.stream.models import Frame, StreamData
from penstock.stream.packet import Message, Packet

__all__ = ["TYP", "AlbaemAssembler", "AlbaemEnd", "AlbaemMessage", "AlbaemStart", "AlbaemValues", "parse"]

TYP = "albaem"
"""Name of the protocol in captures."""


class AlbaemStart(Message):
    """A series begins."""

    required = HEAD


class AlbaemValues(Message):
    """The channels at one trigger.

    Attributes
    ----------
    frame_number
        Number of the trigger in the series, from 0.
    timestamp
        In s, from a zero of the electrometer's own.
    acquisition_timestamp
        In ns since 1970.
    channel1, channel2, channel3, channel4
        Currents in A; as many as the electrometer has.
    """

    required = (*HEAD, "frame_number", "timestamp", "acquisition_timestamp")
    frame_number: int
    timestamp: float
    acquisition_timestamp: int


class AlbaemEnd(Message):
    """A series is over; `detector_specific` says whether the electrometer lost values."""

    required = HEAD


AlbaemMessage = AlbaemStart | AlbaemValues | AlbaemEnd
_CLASSES: dict[str, type[AlbaemMessage]] = {"start": AlbaemStart, "data": AlbaemValues, "end": AlbaemEnd}


def parse(data: StreamData) -> AlbaemMessage:
    """The message that a stream contributed to an event.

    Raises
    ------
    BadEvent
        It is damaged, or of another protocol.
    """
    kind, fields = read_series(only_frame(data, TYP), TYP)
    if kind == "data":
        whole_number(fields, "frame_number", TYP)
    message: AlbaemMessage = _CLASSES[kind].of(fields)
    return message


class AlbaemAssembler(WholeMessages):
    """A packet a message, numbered by `frame_number`."""

    def _packets(self, message: Sequence[Frame]) -> list[Packet]:
        frame = only_frame(message, TYP)
        kind, fields = read_series(frame, TYP)
        number = whole_number(fields, "frame_number", TYP) if kind == "data" else None
        return [Packet(kind, StreamData(TYP, [frame]), number)]
