"""A look over a pickle before it is read: no length or place in it may be larger than the pickle itself.

Python's reader reserves what a pickle asks for, before it finds that the bytes are not there: one damaged byte can cost all memory.
Opcodes: the comments of Python's module `pickletools`.
"""

from __future__ import annotations

import re
import struct

from penstock.core.errors import BadEvent

__all__ = ["check_lengths"]

_HARMLESS = re.compile(
    rb"""(?xs: [(012N\x88\x89)t\]l\}daesubRo\x85\x86\x87\x81\x8f-\x94]++
        | [Kqh\x80]. | M.. | J.... | j.... | G........ | \x95........
        | [ILFSVg][^\n]*\n | [ci][^\n]*\n[^\n]*\n )*+"""
)
_LENGTH = {b"U": "<B", b"C": "<B", b"\x8c": "<B", b"\x8a": "<B", b"T": "<i", b"X": "<I", b"B": "<I", b"\x8b": "<i"}
_LENGTH |= {b"\x8d": "<Q", b"\x8e": "<Q", b"\x96": "<Q"}
_SIZES = {opcode: struct.Struct(size) for opcode, size in _LENGTH.items()}
_PLACE = struct.Struct("<I")
_TEXT_PLACE = re.compile(rb"p([0-9]{1,9})\n")


def check_lengths(pickled: bytes) -> None:
    """Go over the opcodes of a pickle up to its end.

    Raises
    ------
    BadEvent
        The pickle ends early, or has an opcode or a length that it cannot have.
    """
    position = 0
    while True:
        position = _HARMLESS.match(pickled, position).end()  # type: ignore[union-attr]
        opcode = pickled[position : position + 1]
        if opcode == b".":
            return
        after = _after(pickled, position, opcode)
        if after is None or not position < after <= len(pickled):
            raise BadEvent(f"not a whole pickle of {len(pickled)} bytes (opcode {opcode!r} at {position} does not fit).")
        position = after


def _after(pickled: bytes, position: int, opcode: bytes) -> int | None:
    """Where the next opcode is."""
    size = _SIZES.get(opcode)
    if size is not None:
        start = position + 1 + size.size
        return start + int(size.unpack_from(pickled, position + 1)[0]) if start <= len(pickled) else None
    if opcode == b"r" and position + 5 <= len(pickled):
        return position + 5 if _PLACE.unpack_from(pickled, position + 1)[0] < len(pickled) else None
    place = _TEXT_PLACE.match(pickled, position)
    return place.end() if place is not None and int(place[1]) < len(pickled) else None
