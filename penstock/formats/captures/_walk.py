"""The end of any well-formed CBOR item, or where and why it is not well-formed: RFC 8949, section 3 and appendix C."""

from __future__ import annotations

from typing import NamedTuple

from penstock.formats.captures._scan import Bytes

__all__ = ["PARTS", "Walk", "walk"]

DEPTH = 64
PARTS = 1_000_000
"""Items within an item beyond which it counts as damaged: no detector sends that many frames at once."""
BREAK = 31
TAG, SIMPLE = 6, 7


class Walk(NamedTuple):
    """Where an item ends; or where it goes wrong, with the reason."""

    at: int
    fault: str = ""


def walk(buf: Bytes, at: int, end: int) -> Walk:
    """The end of the item that begins at `at`."""
    pending = [1]
    """Items to come on each level; less than 0 until a break."""
    for _ in range(PARTS):
        if at >= end:
            return Walk(at, "the file ends within an item")
        major, info = buf[at] >> 5, buf[at] & 31
        if major == SIMPLE and info == BREAK:
            if pending[-1] > 0:
                return Walk(at, "a break where an item should begin")
            pending.pop()
            at += 1
        else:
            if 28 <= info < BREAK or (info == BREAK and major in (0, 1, TAG)):
                return Walk(at, f"byte {buf[at]:#04x}, which begins no CBOR item")
            size = 1 << (info - 24) if 24 <= info < 28 else 0
            if at + 1 + size > end:
                return Walk(at, "the file ends within an item")
            value = info if info < 24 else int.from_bytes(bytes(buf[k] for k in range(at + 1, at + 1 + size)), "big")
            step = _enter(buf, at + 1 + size, end, major, -1 if info == BREAK else value, pending)
            if step.fault:
                return Walk(at, step.fault)
            at = step.at
        while pending and pending[-1] == 0:
            pending.pop()
        if not pending:
            return Walk(at)
    return Walk(at, f"an item of more than {PARTS:,} parts")


def _enter(buf: Bytes, at: int, end: int, major: int, value: int, pending: list[int]) -> Walk:
    """Behind a string, or into an array, map or tag, whose head ends at `at`; `value` is less than 0 for an indefinite length."""
    if pending[-1] > 0 and major != TAG:
        pending[-1] -= 1
    if major in (2, 3):
        if value < 0:
            return _chunks(buf, at, end, major)
        return Walk(at + value) if value <= end - at else Walk(at, f"a string of {value:,} bytes, of which the file holds {end - at:,}")
    if major in (4, 5):
        if value > end - at:
            return Walk(at, f"a list of {value:,} items in the last {end - at:,} bytes of the file")
        if len(pending) == DEPTH:
            return Walk(at, f"items nested more than {DEPTH} deep")
        pending.append(value if major == 4 or value < 0 else 2 * value)
    return Walk(at)


def _chunks(buf: Bytes, at: int, end: int, major: int) -> Walk:
    """Behind a string of indefinite length: strings of definite length, then a break."""
    while at < end and buf[at] != 0xFF:
        info = buf[at] & 31
        size = 1 << (info - 24) if 24 <= info < 28 else 0
        if buf[at] >> 5 != major or info >= 28 or at + 1 + size > end:
            return Walk(at, f"byte {buf[at]:#04x} within a string of several chunks")
        at += 1
        value = info if info < 24 else int.from_bytes(bytes(buf[k] for k in range(at, at + size)), "big")
        if value > end - at - size:
            return Walk(at, f"a chunk of {value:,} bytes, of which the file holds {end - at - size:,}")
        at += size + value
    return Walk(at + 1) if at < end else Walk(at, "the file ends within a string of several chunks")
