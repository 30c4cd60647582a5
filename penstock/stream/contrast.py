"""Contrast: what the scan program publishes, a pickled dict a message: a scan starts, its points, and its end.

Only arrays and plain containers are unpickled (`penstock.stream.safe_pickle`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.core.errors import BadEvent
from penstock.stream import safe_pickle
from penstock.stream._assembler import Kind, WholeMessages, only_frame
from penstock.stream.models import Frame, StreamData
from penstock.stream.packet import Message, Packet

__all__ = [
    "TYP",
    "ContrastAssembler",
    "ContrastFinished",
    "ContrastHeartbeat",
    "ContrastMessage",
    "ContrastRunning",
    "ContrastStarted",
    "parse",
]

TYP = "contrast"
"""Name of the protocol in captures."""


class ContrastStarted(Message):
    """A scan begins: its number `scannr`, the `path` of its files, its `description` (the command), and where motors stand (`snapshot`)."""

    required = ("status", "path", "scannr", "description")
    status: str
    path: str
    scannr: int
    description: str


class ContrastRunning(Message):
    """A point of the scan: `dt`, in s since the scan began, motor positions, and a dict of arrays for each detector, by their names."""

    required = ("status", "dt")
    status: str
    dt: float


class ContrastFinished(Message):
    """A scan is over; the fields are those of its start."""

    required = ("status", "path", "scannr", "description")
    status: str
    path: str
    scannr: int
    description: str


class ContrastHeartbeat(Message):
    """The scan program is alive; it belongs to no event."""

    required = ("status",)


ContrastMessage = ContrastStarted | ContrastRunning | ContrastFinished | ContrastHeartbeat
_CLASSES: dict[str, type[ContrastMessage]] = {
    "started": ContrastStarted,
    "running": ContrastRunning,
    "finished": ContrastFinished,
    "heartbeat": ContrastHeartbeat,
}
_KINDS: dict[str, Kind] = {"started": "start", "running": "data", "finished": "end"}


def parse(data: StreamData) -> ContrastMessage:
    """The message that a stream contributed to an event; keys of the dict are its attributes.

    Raises
    ------
    BadEvent
        It is damaged, asks for more than arrays and plain containers, or is of another protocol.
    """
    fields = _read(only_frame(data, TYP))
    message: ContrastMessage = _CLASSES[fields["status"]].of(fields)
    return message


def _read(frame: Frame) -> dict[str, Any]:
    """The pickled dict; its status is known."""
    fields = safe_pickle.loads(frame, TYP)
    if not isinstance(fields, dict):
        raise BadEvent(f"{TYP}: the message is {type(fields).__name__}, expected a dict with a status.")
    status = fields.get("status")
    if not isinstance(status, str) or status not in _CLASSES:
        raise BadEvent(f"{TYP}: field 'status' is {status!r}, expected {', '.join(map(repr, _CLASSES))}.")
    if not all(isinstance(name, str) for name in fields):
        raise BadEvent(f"{TYP}: the names of fields are {', '.join(map(repr, fields))}, expected text.")
    return dict(fields)


class ContrastAssembler(WholeMessages):
    """A packet a message, heartbeats left out.

    Contrast does not number its points, so they are numbered here. A message that cannot be read takes a number too: it costs its
    own event, and those after it stay where they belong.
    """

    def __init__(self) -> None:
        super().__init__()
        self._next: int | None = None

    def _packets(self, message: Sequence[Frame]) -> list[Packet]:
        try:
            frame = only_frame(message, TYP)
            status = _read(frame)["status"]
        except BadEvent:
            if not any(b"heartbeat" in bytes(part) for part in message):
                self._count()
            raise
        if status == "heartbeat":
            self._left_out["heartbeat"] += 1
            return []
        if status == "started":
            self._next = 0
        number = self._count() if status == "running" else None
        if status == "finished":
            self._next = None
        return [Packet(_KINDS[status], StreamData(TYP, [frame]), number)]

    def _count(self) -> int | None:
        """The number of this point; None outside of a scan."""
        number = self._next
        if number is not None:
            self._next = number + 1
        return number
