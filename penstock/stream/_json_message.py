"""JSON objects as programs in Python send them: `NaN` and `Infinity` included, which JSON proper does not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from penstock.core.errors import BadEvent
from penstock.stream.models import Frame
from penstock.stream.packet import read_header

__all__ = ["read_object", "time_of", "whole_number", "write_object"]


def read_object(frame: Frame, protocol: str) -> dict[str, Any]:
    """The JSON object in a frame.

    Raises
    ------
    BadEvent
        The frame is not a JSON object.
    """
    try:
        return read_header(frame, protocol)
    except BadEvent:
        content = bytes(frame)
        if b"NaN" not in content and b"Infinity" not in content:
            raise
        try:
            fields = json.loads(content)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            raise
        return fields


def write_object(fields: dict[str, Any]) -> bytes:
    """The object as compact JSON, numbers that are not finite as Python spells them."""
    try:
        content = orjson.dumps(fields)
    except orjson.JSONEncodeError:
        content = b"null"
    # orjson turns numbers that are not finite into null.
    return json.dumps(fields, separators=(",", ":")).encode() if b"null" in content else content


def whole_number(fields: Mapping[str, Any], name: str, protocol: str) -> int:
    """The field, which counts something from 0 on.

    Raises
    ------
    BadEvent
        It is missing, or something else.
    """
    value = fields.get(name)
    if type(value) is not int or value < 0:
        raise BadEvent(f"{protocol}: field {name!r} is {value!r}, expected a whole number from 0 on.")
    return value


def time_of(value: object, name: str, protocol: str) -> datetime:
    """The time that an ISO 8601 text names; one without an offset is UTC.

    Raises
    ------
    BadEvent
        The value is no such text.
    """
    try:
        time = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise BadEvent(f"{protocol}: field {name!r} is {value!r}, expected a time such as '2024-10-07T08:49:10.627Z'.") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
