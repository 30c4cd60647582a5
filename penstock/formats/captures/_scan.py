"""Walks over captures item by item and notes where things lie, without reading what they hold.

One source for two ways: plain Python over `bytes` or a map, and compiled over uint8 arrays (`compile_scans`). It knows
the layouts that recorders write; anything else is left where it begins, to be looked at with more care.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Protocol

__all__ = [
    "ENTRY",
    "FRAME",
    "FULL",
    "ITEM",
    "ODD",
    "Bytes",
    "Scan",
    "Table",
    "compile_scans",
    "match_heads",
    "read_head",
    "scan_events",
    "scan_messages",
]

ITEM = 5
"""Numbers noted of an item: begin, end, event number, how many entries, where `created_at` begins (0: there is none)."""
ENTRY = 3
"""Numbers noted of a stream's entry: begin of its head (name, typ and the head of its list of frames), its length, how many frames."""
FRAME = 2
"""Numbers noted of a frame: where its bytes begin, how many."""
ODD = -1
"""What begins here is of another layout, or cut off."""
FULL = -2
"""A table is full."""
RECENT = 64
"""Heads that a new one is compared with."""

UINT, BYTES, TEXT, ARRAY, MAP = 0, 2, 3, 4, 5
"""Major types of CBOR: RFC 8949, section 3.1."""


class Bytes(Protocol):
    """Bytes that are read one at a time."""

    def __getitem__(self, at: int, /) -> int: ...


class Table(Protocol):
    """A flat row of 64-bit integers."""

    def __getitem__(self, at: int, /) -> int: ...
    def __setitem__(self, at: int, value: int, /) -> None: ...
    def __len__(self) -> int: ...


Scan = Callable[[Bytes, int, int, Table, Table, Table], tuple[int, int, int, int, int]]
"""``(buf, at, end, items, entries, frames)`` -> where it stopped, rows in each of the tables, and why: 0 (done), ODD or FULL."""


def read_head(buf: Bytes, at: int, end: int, major: int) -> tuple[int, int]:
    """Argument of a head of this major type, and where the head ends; ODD for any other, also for indefinite lengths.

    Bytes are multiplied, not shifted: compiled, a shifted byte is unsigned, and added to an offset it becomes a float.
    """
    if at >= end or buf[at] >> 5 != major:
        return ODD, at
    info = buf[at] & 31
    if info < 24:
        return info, at + 1
    if info > 27 or at + 1 + (1 << (info - 24)) > end:
        return ODD, at
    if info == 24:
        return buf[at + 1], at + 2
    if info == 25:
        return 256 * buf[at + 1] + buf[at + 2], at + 3
    size = 1 << (info - 24)
    value = 0
    for k in range(at + 1, at + 1 + size):
        value = 256 * value + buf[k]
    if value < 0 or value > 0x7FFFFFFFFFFFFFFF:
        return ODD, at
    return value, at + 1 + size


def _string(buf: Bytes, at: int, end: int, major: int) -> int:
    """Where a string of this major type ends."""
    length, at = read_head(buf, at, end, major)
    if length < 0 or length > end - at:
        return ODD
    return at + length


def _frames(buf: Bytes, at: int, end: int, count: int, frames: Table, row: int) -> int:
    """Where `count` byte strings end; each one makes a row."""
    if FRAME * (row + count) > len(frames):
        return FULL
    for k in range(FRAME * row, FRAME * (row + count), FRAME):
        first = buf[at] if at + 3 <= end else 0
        if first == 0x59:
            length, at = 256 * buf[at + 1] + buf[at + 2], at + 3
        elif first == 0x58:
            length, at = buf[at + 1], at + 2
        else:
            length, at = read_head(buf, at, end, BYTES)
        if length < 0 or length > end - at:
            return ODD
        frames[k] = at
        frames[k + 1] = length
        at += length
    return at


def _same(buf: Bytes, one: int, other: int, length: int) -> bool:
    """Whether bytes are equal: the fastest way in plain Python; `compile_scans` puts `_same_compiled` in its place."""
    return buf[one : one + length] == buf[other : other + length]  # type: ignore[index]


def _same_compiled(buf: Bytes, one: int, other: int, length: int) -> bool:
    for k in range(length):  # noqa: SIM110  numba compiles no generators
        if buf[one + k] != buf[other + k]:
            return False
    return True


def _entry(buf: Bytes, at: int, end: int, entries: Table, entry: int, like: int, frames: Table, row: int) -> tuple[int, int]:
    """Where a stream's entry ends, ``name: 42878([typ, [frame, ...]])``, and how many frames it has.

    Its head is most often the same as that of entry `like` (-1: there is none).
    """
    begin = at
    if like >= 0:
        length = entries[ENTRY * like + 1]
        if length <= end - at and _same(buf, at, entries[ENTRY * like], length):
            count = entries[ENTRY * like + 2]
            entries[ENTRY * entry] = at
            entries[ENTRY * entry + 1] = length
            entries[ENTRY * entry + 2] = count
            return _frames(buf, at + length, end, count, frames, row), count
    at = _string(buf, at, end, TEXT)
    if at < 0 or at + 4 > end or buf[at] != 0xD9 or buf[at + 1] != 0xA7 or buf[at + 2] != 0x7E or buf[at + 3] != 0x82:
        return ODD, 0
    at = _string(buf, at + 4, end, TEXT)
    if at < 0:
        return ODD, 0
    count, at = read_head(buf, at, end, ARRAY)
    if count < 0 or count > end - at:
        return ODD, 0
    entries[ENTRY * entry] = begin
    entries[ENTRY * entry + 1] = at - begin
    entries[ENTRY * entry + 2] = count
    return _frames(buf, at, end, count, frames, row), count


def _created_at(buf: Bytes, at: int, end: int) -> int:
    """Where a time ends: tag 0 of a text, tag 1 of a whole number or a float, or null."""
    if at >= end:
        return ODD
    if buf[at] == 0xF6:
        return at + 1
    if buf[at] == 0xC0:
        if at + 3 <= end and buf[at + 1] == 0x78 and buf[at + 2] <= end - at - 3:
            return at + 3 + buf[at + 2]
        return _string(buf, at + 1, end, TEXT)
    if buf[at] != 0xC1:
        return ODD
    if at + 1 < end and 0xF9 <= buf[at + 1] <= 0xFB:
        stop = at + 2 + (1 << (buf[at + 1] - 0xF8))
        return stop if stop <= end else ODD
    value, at = read_head(buf, at + 1, end, UINT)
    return at if value >= 0 else ODD


def scan_events(buf: Bytes, at: int, end: int, items: Table, entries: Table, frames: Table) -> tuple[int, int, int, int, int]:
    """A `Scan` of events: ``55799(42877([number, {stream: 42878([typ, [frame, ...]])}, created_at]))``, the outer tag optional."""
    n_items, n_entries, n_frames = 0, 0, 0
    while at < end:
        if ITEM * (n_items + 1) > len(items):
            return at, n_items, n_entries, n_frames, FULL
        begin = at
        if at + 7 <= end and buf[at] == 0xD9 and buf[at + 1] == 0xD9 and buf[at + 2] == 0xF7:
            at += 3
        if at + 4 > end or buf[at] != 0xD9 or buf[at + 1] != 0xA7 or buf[at + 2] != 0x7D or buf[at + 3] | 1 != 0x83:
            return begin, n_items, n_entries, n_frames, ODD
        timed = buf[at + 3] == 0x83
        number, at = read_head(buf, at + 4, end, UINT)
        count, at = read_head(buf, at, end, MAP)
        if number < 0 or count < 0 or count > end - at:
            return begin, n_items, n_entries, n_frames, ODD
        if ENTRY * (n_entries + count) > len(entries):
            return begin, n_items, n_entries, n_frames, FULL
        row = n_frames
        for k in range(count):
            at, found = _entry(buf, at, end, entries, n_entries + k, n_entries + k - count, frames, row)
            if at < 0:
                return begin, n_items, n_entries, n_frames, at
            row += found
        created_at = at if timed else 0
        if timed:
            at = _created_at(buf, at, end)
            if at < 0:
                return begin, n_items, n_entries, n_frames, ODD
        k = ITEM * n_items
        items[k] = begin
        items[k + 1] = at
        items[k + 2] = number
        items[k + 3] = count
        items[k + 4] = created_at
        n_items, n_entries, n_frames = n_items + 1, n_entries + count, row
    return at, n_items, n_entries, n_frames, 0


def scan_messages(buf: Bytes, at: int, end: int, items: Table, entries: Table, frames: Table) -> tuple[int, int, int, int, int]:
    """A `Scan` of messages, ``[frame, ...]``: each one is an item with an entry without name, and has no number."""
    n_items, n_frames = 0, 0
    while at < end:
        if ITEM * (n_items + 1) > len(items) or ENTRY * (n_items + 1) > len(entries):
            return at, n_items, n_items, n_frames, FULL
        begin = at
        count, at = read_head(buf, at, end, ARRAY)
        if count < 0 or count > end - at:
            return begin, n_items, n_items, n_frames, ODD
        at = _frames(buf, at, end, count, frames, n_frames)
        if at < 0:
            return begin, n_items, n_items, n_frames, at
        k = ITEM * n_items
        items[k] = begin
        items[k + 1] = at
        items[k + 2] = 0
        items[k + 3] = 1
        items[k + 4] = 0
        entries[ENTRY * n_items] = begin
        entries[ENTRY * n_items + 1] = 0
        entries[ENTRY * n_items + 2] = count
        n_items, n_frames = n_items + 1, n_frames + count
    return at, n_items, n_items, n_frames, 0


def match_heads(buf: Bytes, entries: Table, count: int, same: Table, first: Table) -> int:
    """Find the entries whose heads are equal, so that each head is read once.

    Parameters
    ----------
    entries, count
        Table of entries, and its rows.
    same
        Set to the number of each entry's head. Equal heads may get several numbers where there are very many heads.
    first
        Set to the first entry that has the head of each number.

    Returns
    -------
    int
        Heads.
    """
    heads = 0
    for entry in range(count):
        begin, length = entries[ENTRY * entry], entries[ENTRY * entry + 1]
        match = -1
        for head in range(heads - 1, max(heads - 1 - RECENT, -1), -1):
            other = ENTRY * first[head]
            if entries[other + 1] == length and _same(buf, begin, entries[other], length):
                match = head
                break
        if match < 0:
            match = heads
            first[heads] = entry
            heads += 1
        same[entry] = match
    return heads


def compile_scans(jit: Callable[[FunctionType], object]) -> dict[str, object]:
    """The functions of this module by name, compiled with `jit`, and calling each other's compiled form."""
    names = ("read_head", "_string", "_frames", "_same", "_entry", "_created_at", "scan_events", "scan_messages", "match_heads")
    room = dict(globals(), _same=_same_compiled)
    for name in names:
        plain: FunctionType = room[name]
        room[name] = jit(FunctionType(plain.__code__, room, name))
    return {name: room[name] for name in names}
