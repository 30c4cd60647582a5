"""PCAP: values that a PandABox captured, as its Tango device publishes them over ZMQ.

On the wire a message holds several triggers, a list a field; in events it holds one, a number a field.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from penstock.core.errors import BadEvent
from penstock.stream._assembler import WholeMessages, only_frame
from penstock.stream._json_message import time_of, whole_number, write_object
from penstock.stream._json_series import HEAD, read_series
from penstock.stream.models import Frame, StreamData
from penstock.stream.packet import Message, Packet

__all__ = ["TYP", "PcapAssembler", "PcapEnd", "PcapMessage", "PcapStart", "PcapValues", "parse"]

TYP = "PCAP"
"""Name of the protocol in captures."""
_DATA_HEAD = (*HEAD, "frame_number")


class PcapStart(Message):
    """A series begins; `arm_time` says when the PandABox was armed (a `datetime` with its time zone)."""

    required = (*HEAD, "arm_time")
    arm_time: datetime


class PcapValues(Message):
    """What was captured at one trigger, the number `frame_number` of the series, from 0."""

    required = _DATA_HEAD
    frame_number: int

    @property
    def fields(self) -> dict[str, Any]:
        """Captured values by name, such as ``INENC3.VAL.Mean``."""
        return {name: value for name, value in self.__dict__.items() if name not in _DATA_HEAD}


class PcapEnd(Message):
    """A series is over."""

    required = HEAD


PcapMessage = PcapStart | PcapValues | PcapEnd


def parse(data: StreamData) -> PcapMessage:
    """The message that a stream contributed to an event.

    Raises
    ------
    BadEvent
        It is damaged, or of another protocol.
    """
    kind, fields = read_series(only_frame(data, TYP), TYP)
    message: PcapMessage
    if kind == "data":
        whole_number(fields, "frame_number", TYP)
        message = PcapValues.of(fields)
    elif kind == "start":
        start: PcapStart = PcapStart.of(fields)
        start.arm_time = time_of(fields["arm_time"], "arm_time", TYP)
        message = start
    else:
        message = PcapEnd.of(fields)
    return message


class PcapAssembler(WholeMessages):
    """A packet a trigger, numbered by `frame_number`."""

    def _packets(self, message: Sequence[Frame]) -> list[Packet]:
        frame = only_frame(message, TYP)
        kind, fields = read_series(frame, TYP)
        if kind != "data":
            return [Packet(kind, StreamData(TYP, [frame]))]
        first = whole_number(fields, "frame_number", TYP)
        triggers = _triggers(fields)
        if triggers is None:
            return [Packet(kind, StreamData(TYP, [frame]), first)]
        if not triggers:
            self._left_out["message without triggers"] += 1
        frames = [write_object(trigger) for trigger in triggers]
        return [Packet(kind, StreamData(TYP, [content]), first + i) for i, content in enumerate(frames)]


def _triggers(fields: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The message of each trigger; None where the message holds a single one already."""
    lists = {name: value for name, value in fields.items() if isinstance(value, list)}
    if not lists:
        return None
    lengths = {name: len(value) for name, value in lists.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
        raise BadEvent(f"{TYP}: lists of frame {fields['frame_number']} differ in length, expected one value a trigger in each: {found}.")
    shared = {name: fields[name] for name in _DATA_HEAD if name in fields} | fields
    return [
        shared | {name: value[i] for name, value in lists.items()} | {"frame_number": fields["frame_number"] + i}
        for i in range(next(iter(lengths.values())))
    ]
