"""The JSON that PCAP and AlbaEM share: a series has a start, data with frame numbers, and an end."""

from __future__ import annotations

from typing import Any

from penstock.core.errors import BadEvent
from penstock.stream._assembler import Kind
from penstock.stream._json_message import read_object
from penstock.stream.models import Frame

__all__ = ["HEAD", "read_series"]

HEAD = ("message_id", "version", "message_type")
"""Fields of every message."""
_KINDS: dict[str, Kind] = {"series-start": "start", "data": "data", "series-end": "end"}


def read_series(frame: Frame, protocol: str) -> tuple[Kind, dict[str, Any]]:
    """What the message is, and its fields.

    Raises
    ------
    BadEvent
        The frame is not a JSON object of version 1, or of an unknown type.
    """
    fields = read_object(frame, protocol)
    if fields.get("version") != 1:
        raise BadEvent(f"{protocol}: field 'version' is {fields.get('version')!r}, expected 1.")
    found = fields.get("message_type")
    kind = _KINDS.get(found) if isinstance(found, str) else None
    if kind is None:
        raise BadEvent(f"{protocol}: field 'message_type' is {found!r}, expected {', '.join(map(repr, _KINDS))}.")
    return kind, fields
