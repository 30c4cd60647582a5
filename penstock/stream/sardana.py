"""Sardana: records of a scan, posted over HTTP as JSON: its description, a record a point, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core.errors import BadEvent
from penstock.stream._assembler import Kind, WholeMessages, only_frame
from penstock.stream._json_message import read_object, write_object
from penstock.stream.models import Frame, StreamData
from penstock.stream.packet import Message, Packet

__all__ = ["TYP", "SardanaAssembler", "SardanaDataDesc", "SardanaMessage", "SardanaRecordData", "SardanaRecordEnd", "parse"]

TYP = "sardana"
"""Name of the protocol in captures."""


class SardanaDataDesc(Message):
    """A scan begins: its number `serialno`, the folder of its files, its `title` (the macro), `column_desc` and more."""

    required = ("type", "serialno", "scandir", "title")
    serialno: int
    scandir: str
    title: str


class SardanaRecordData(Message):
    """A point of the scan: `timestamp`, in s since the scan began, and the columns by name."""

    required = ("type", "timestamp")
    timestamp: float


class SardanaRecordEnd(Message):
    """A scan is over."""

    required = ("type",)


SardanaMessage = SardanaDataDesc | SardanaRecordData | SardanaRecordEnd
_CLASSES: dict[str, type[SardanaMessage]] = {
    "DataDescription": SardanaDataDesc,
    "RecordData": SardanaRecordData,
    "RecordEnd": SardanaRecordEnd,
}
_KINDS: dict[str, Kind] = {"DataDescription": "start", "RecordData": "data", "RecordEnd": "end"}
_ROUTES = {"data_desc": "DataDescription", "record_data": "RecordData", "record_end": "RecordEnd"}


def parse(data: StreamData) -> SardanaMessage:
    """The message that a stream contributed to an event.

    Raises
    ------
    BadEvent
        It is damaged, or of another protocol.
    """
    fields = _typed(read_object(only_frame(data, TYP), TYP))
    message: SardanaMessage = _CLASSES[fields["type"]].of(fields)
    return message


def _typed(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with their type, which senders may leave out: told by what only one of the messages has."""
    if "type" not in fields:
        kind = "DataDescription" if "serialno" in fields else "RecordData" if "timestamp" in fields else "RecordEnd"
        if kind == "RecordEnd" and fields:
            raise BadEvent(f"{TYP}: field 'type' is missing; there are {', '.join(map(repr, fields))}.")
        return {"type": kind, **fields}
    if not isinstance(fields["type"], str) or fields["type"] not in _CLASSES:
        raise BadEvent(f"{TYP}: field 'type' is {fields['type']!r}, expected {', '.join(map(repr, _CLASSES))}.")
    return fields


class SardanaAssembler(WholeMessages):
    """A packet a post. A message is the body alone, or the route (such as ``/v1/record_data``) and the body; custom data are left out."""

    def _packets(self, message: Sequence[Frame]) -> list[Packet]:
        told: str | None = None
        if len(message) == 2:
            route = bytes(message[0]).decode(errors="replace").rstrip("/").rpartition("/")[2]
            if route == "custom_data":
                self._left_out["custom data"] += 1
                return []
            if route not in _ROUTES:
                raise BadEvent(f"{TYP}: the route is {route!r}, expected {', '.join(map(repr, _ROUTES))}, 'custom_data'.")
            told, message = _ROUTES[route], message[1:]
        frame = only_frame(message, TYP)
        fields = read_object(frame, TYP)
        typed = _typed(fields if told is None or "type" in fields else {"type": told, **fields})
        if told not in (None, typed["type"]):
            raise BadEvent(f"{TYP}: field 'type' is {typed['type']!r}, expected {told!r} for this route.")
        content = frame if "type" in fields else write_object(typed)
        return [Packet(_KINDS[typed["type"]], StreamData(TYP, [content]))]
