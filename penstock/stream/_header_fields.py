"""Fields of JSON headers that decide what a message is, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from orjson import JSONDecodeError, loads

from penstock.core.errors import BadEvent
from penstock.stream._json_message import read_object
from penstock.stream.models import Frame, StreamData

__all__ = ["Kind", "frames_of", "header_of", "kind_of", "sides_of"]

Kind = Literal["start", "data", "end"]


def frames_of(data: StreamData, typ: str, protocol: str) -> list[Frame]:
    """The frames of a stream's contribution.

    Raises
    ------
    BadEvent
        The contribution is of another protocol.
    """
    if data.typ != typ:
        raise BadEvent(f"{protocol}: typ is {data.typ!r}, expected {typ!r}. Parse it with its own protocol.")
    return data.frames


def header_of(frames: Sequence[Frame], protocol: str) -> dict[str, Any]:
    """The JSON object in the first frame.

    Raises
    ------
    BadEvent
        There is no frame, or no JSON object in it.
    """
    if not frames:
        raise BadEvent(f"{protocol}: the message has no frame, expected a header.")
    try:
        fields = loads(frames[0])
    except JSONDecodeError:
        fields = None
    # What is not plainly an object goes the long way, which says what is wrong with it.
    return fields if type(fields) is dict else read_object(frames[0], protocol)


def kind_of(header: Mapping[str, Any], kinds: Mapping[str, Kind], protocol: str) -> Kind:
    """What a header opens, closes or carries.

    Raises
    ------
    BadEvent
        Its ``htype`` is missing or unknown.
    """
    htype = header.get("htype")
    kind = kinds.get(htype) if isinstance(htype, str) else None
    if kind is None:
        raise BadEvent(f"{protocol}: field 'htype' is {htype!r}, expected {', '.join(map(repr, kinds))}.")
    return kind


def sides_of(header: Mapping[str, Any], where: str) -> tuple[int, ...]:
    """The field ``shape``.

    Raises
    ------
    BadEvent
        It is not a list of whole numbers.
    """
    shape = header.get("shape")
    if not isinstance(shape, list) or not all(type(side) is int and side >= 0 for side in shape):
        raise BadEvent(f"{where}: field 'shape' is {shape!r}, expected a list of whole numbers.")
    return tuple(shape)
