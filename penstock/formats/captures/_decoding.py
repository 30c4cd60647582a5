"""Decodes whole items with cbor2: those that are well-formed, but not written as recorders usually do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import cbor2

from penstock.formats.captures._times import UNKNOWN, datetime_ns

__all__ = ["Item", "Unlike", "decode_event", "decode_message"]


class Unlike(Exception):
    """A well-formed item that is none of this layout; says what it is. Never leaves this package."""


@dataclass(frozen=True, slots=True)
class Item:
    """An item that was decoded as a whole: number, (name, typ, frames) of each stream, ns since 1970."""

    number: int
    streams: list[tuple[str, str, list[bytes]]]
    created_at: int


def decode_event(data: bytes) -> Item:
    """The event in an item.

    Raises
    ------
    Unlike
        It is none.
    """
    value = _loads(data)
    if not isinstance(value, cbor2.CBORTag) or value.tag != 42877:
        raise Unlike(f"{_what(value)} instead of an event (tag 42877)")
    parts = value.value
    if not isinstance(parts, list | tuple) or len(parts) not in (2, 3):
        raise Unlike(f"an event that holds {_what(parts)} instead of [number, streams, created_at]")
    number, streams, created_at = (*parts, None)[:3]
    if type(number) is not int or not 0 <= number < 1 << 63:
        raise Unlike(f"an event with number {number!r}")
    if not isinstance(streams, Mapping):
        raise Unlike(f"event {number}: {_what(streams)} instead of streams by name")
    if created_at is not None and not isinstance(created_at, datetime | int | float | str):
        raise Unlike(f"event {number}: {_what(created_at)} instead of a time")
    return Item(number, [_entry(number, *entry) for entry in streams.items()], _nanoseconds(created_at))


def decode_message(data: bytes) -> Item:
    """The message in an item, as the only entry of an event without number.

    Raises
    ------
    Unlike
        It is none.
    """
    return Item(0, [("", "", _frames("a message", _loads(data)))], UNKNOWN)


def _loads(data: bytes) -> Any:
    try:
        value = cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, OverflowError, RecursionError) as error:
        raise Unlike(f"CBOR that does not decode ({error})") from error
    while isinstance(value, cbor2.CBORTag) and value.tag == 55799:
        value = value.value
    return value


def _entry(number: int, name: object, entry: object) -> tuple[str, str, list[bytes]]:
    if not isinstance(name, str):
        raise Unlike(f"event {number}: a stream named {name!r}")
    if not isinstance(entry, cbor2.CBORTag) or entry.tag != 42878 or not isinstance(entry.value, list | tuple) or len(entry.value) != 2:
        raise Unlike(f"event {number}, stream {name!r}: {_what(entry)} instead of [typ, frames] (tag 42878)")
    typ, frames = entry.value
    if not isinstance(typ, str):
        raise Unlike(f"event {number}, stream {name!r}: {_what(typ)} instead of a typ")
    return name, typ, _frames(f"event {number}, stream {name!r}", frames)


def _frames(where: str, frames: object) -> list[bytes]:
    if not isinstance(frames, list | tuple) or not all(isinstance(frame, bytes) for frame in frames):
        raise Unlike(f"{where}: {_what(frames)} instead of a list of byte strings")
    return list(frames)


def _nanoseconds(created_at: object) -> int:
    if isinstance(created_at, datetime):
        return datetime_ns(created_at)
    if isinstance(created_at, int | float) and abs(created_at) < 9e9:
        return round(created_at * 1e6) * 1000
    return UNKNOWN


def _what(value: object) -> str:
    if isinstance(value, cbor2.CBORTag):
        return f"an item of tag {value.tag}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return f"{type(value).__name__} {value!r:.60}"
