"""What parsed messages carry: forms of images and traces, and values by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["forms_of", "values_of"]

_FRAMING = ("message_id", "version", "message_type", "frame_number", "status", "type", "data")
"""Fields of messages that carry no value of their own."""


def forms_of(message: Any) -> list[str]:
    """Type, shape and compression of what a message carries."""
    kind = type(message).__name__
    if kind in ("StinsImage", "XspressImage"):
        return [_form(message.type, message.shape, message.compression)]
    if kind == "EigerImage":
        shape = message.data.get("shape")
        return [_form(message.data.get("type"), shape[::-1] if isinstance(shape, list) else shape, message.data.get("encoding"))]
    if kind == "LecroyTraces":
        return [
            f"channel {trace.ch}: {samples.dtype} {_sides(samples.shape)}"
            for trace, samples in zip(message.meta, message.data, strict=True)
        ]
    return []


def _form(dtype: object, shape: object, compression: object) -> str:
    return f"{dtype} {_sides(shape)}, {'not compressed' if compression in ('none', '<') else compression}"


def _sides(shape: object) -> str:
    return " x ".join(map(str, shape)) if isinstance(shape, list | tuple) else f"shape {shape!r}"


def values_of(message: Any) -> dict[str, Any]:
    """The values of a point of a scan or of one trigger, by name: positions, counters, currents. None for start and end messages and images."""
    reader = _VALUES.get(type(message).__name__)
    return reader(message) if reader is not None else {}


def _own(message: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(message).items() if name not in _FRAMING}


_VALUES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "ContrastRunning": _own,
    "PcapValues": lambda message: dict(message.fields),
    "PositioncapValues": lambda message: {name: column.value for name, column in message.fields.items()},
    "AlbaemValues": _own,
    "SardanaRecordData": _own,
}
