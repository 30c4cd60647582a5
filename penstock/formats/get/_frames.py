"""Frames of a .graw file (MFM format of the GET electronics): found one after the other, headers only, nothing decoded.

What is no frame is counted and skipped; see `FileNotes`.
"""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.formats.get.folders import board_of_name

__all__ = ["FRAME", "FULL", "PARTIAL", "FileNotes", "walk_frames"]

PARTIAL, FULL = 1, 2
"""Types of the frames that hold samples: items with an address, and all channels in a fixed order."""
ITEM_BYTES = {PARTIAL: 4, FULL: 2}

FRAME = np.dtype(
    [
        ("file", "i4"),
        ("offset", "i8"),
        ("size", "i8"),
        ("header", "i4"),
        ("kind", "u1"),
        ("little", "?"),
        ("items", "i8"),
        ("repaired", "?"),
        ("time", "i8"),
        ("event", "i8"),
        ("cobo", "i2"),
        ("asad", "i2"),
    ]
)
"""One frame: where it lies (bytes), its type, byte order, number of items, time (10 ns), event id and board."""

HEADER_BYTES = 28
"""Bytes of a header that are read."""
BIG_FIELDS, LITTLE_FIELDS = struct.Struct(">xBHxHxHHI"), struct.Struct("<xHBxHxHHI")
LITTLE = 0x80
LEAST_SHIFT, GREATEST_SHIFT = 4, 12
"""Units of 16 to 4096 bytes."""
SHORTEST_FRAME = 16
SEARCH_BYTES = 1 << 20
HEADER_MARK = re.compile(
    rb"\x00[\x01\x02][\x00-\x0f]\x00[\x01\x04]\x00[\x02\x04]|[\x01\x02]\x00[\x00-\x0f][\x01\x04]\x00[\x02\x04]\x00", re.DOTALL
)
"""Type, revision, header size and item size of a frame with samples, from its byte 5, in either byte order."""
MARK_OFFSET, MARK_BYTES = 5, 7

I8 = NDArray[np.int64]


@dataclass(slots=True)
class FileNotes:
    """What was not as it should be: frames of other types, refused ones, a cut last frame, bytes that are no frame."""

    skipped: Counter[int] = field(default_factory=Counter)
    """Frames without samples (topology, MuTanT, merged) by their type."""
    refused: int = 0
    """Frames whose header contradicts itself."""
    truncated: int = 0
    """Frames that the end of a file cuts off."""
    gaps: int = 0
    """Places where no frame begins where one should."""
    lost_bytes: int = 0
    """Bytes of cut frames and of gaps."""


class _Header(NamedTuple):
    """The first bytes of a frame, as far as walking needs them; sizes in bytes."""

    raw: bytes
    kind: int
    size: int
    header: int
    item: int
    items: int
    unit: int

    @classmethod
    def parse(cls, raw: bytes) -> _Header:
        """What the bytes say; size 0 where they are no header."""
        shift = raw[0] & 15 if len(raw) >= SHORTEST_FRAME else 0
        if not LEAST_SHIFT <= shift <= GREATEST_SHIFT:
            return cls(raw, 0, 0, 0, 0, 0, 1)
        if raw[0] & LITTLE:
            low, high, kind, header, item, items = LITTLE_FIELDS.unpack_from(raw)
        else:
            high, low, kind, header, item, items = BIG_FIELDS.unpack_from(raw)
        return cls(raw, kind, (high << 16 | low) << shift, header << shift, item, items, 1 << shift)

    @property
    def sound(self) -> bool:
        """Whether header and items have the sizes that the type asks for."""
        return len(self.raw) == HEADER_BYTES <= self.header <= self.size and self.item == ITEM_BYTES[self.kind]

    @property
    def count_fits(self) -> bool:
        """Whether the number of items comes to the size of the frame, padding included."""
        return -(-(self.header + self.items * self.item) // self.unit) * self.unit == self.size


def walk_frames(path: Path, file: int) -> tuple[NDArray[np.void], FileNotes]:
    """All frames with samples of a file, in its order.

    Frames follow each other by their size in units of 2 ** (meta type & 15) bytes. Where none begins, the file is
    searched for the next one.

    Parameters
    ----------
    path
        The .graw file.
    file
        Its number, which stands in each row.

    Returns
    -------
    frames
        `FRAME`, (frames,).
    notes
        What else was found.

    Raises
    ------
    OSError
        The disk cannot be read.
    """
    notes = FileNotes()
    rows: list[tuple[int, int]] = []
    headers: list[bytes] = []
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        for position, header in _headers(descriptor, os.fstat(descriptor).st_size, notes):
            rows.append((position, header.size))
            headers.append(header.raw)
    finally:
        os.close(descriptor)
    return _table(rows, headers, file, board_of_name(path)), notes


def _headers(descriptor: int, end: int, notes: FileNotes) -> Iterator[tuple[int, _Header]]:
    position = 0
    while position < end:
        header = _Header.parse(os.pread(descriptor, HEADER_BYTES, position))
        known = header.size > 0 and header.kind in ITEM_BYTES
        following = position + header.size
        if known and following <= end and header.sound and (header.count_fits or _is_header(descriptor, following, end)):
            yield position, header
        elif 0 < header.size <= end - position and _is_header(descriptor, following, end):
            if known:
                notes.refused += 1
            else:
                notes.skipped[header.kind] += 1
        else:
            following = _find_frame(descriptor, position + 1, end)
            notes.lost_bytes += following - position
            if following == end and (known or end - position < HEADER_BYTES):
                notes.truncated += 1
            else:
                notes.gaps += 1
        position = following


def _is_header(descriptor: int, position: int, end: int) -> bool:
    """Whether a frame may begin at `position`, or the file ends there."""
    if position == end:
        return True
    header = _Header.parse(os.pread(descriptor, HEADER_BYTES, position))
    return header.size > 0 and (header.kind in ITEM_BYTES or header.size <= end - position)


def _find_frame(descriptor: int, start: int, end: int) -> int:
    """Where the next whole frame with samples begins; `end` where there is none."""
    for base in range(start, end, SEARCH_BYTES):
        piece = os.pread(descriptor, SEARCH_BYTES + MARK_OFFSET + MARK_BYTES - 1, base)
        for match in HEADER_MARK.finditer(piece, MARK_OFFSET):
            position = base + match.start() - MARK_OFFSET
            header = _Header.parse(os.pread(descriptor, HEADER_BYTES, position))
            if 0 < header.size <= end - position and header.kind in ITEM_BYTES and header.sound and header.count_fits:
                return position
    return end


def _fields(order: str) -> np.dtype[np.void]:
    u2, u4 = f"{order}u2", f"{order}u4"
    return np.dtype(
        {
            "names": ["meta", "kind", "header", "items", "time", "event", "cobo", "asad"],
            "formats": ["u1", u2, u2, u4, ("u1", 6), u4, "u1", "u1"],
            "offsets": [0, 5, 8, 12, 16, 22, 26, 27],
            "itemsize": HEADER_BYTES,
        }
    )


def _table(rows: list[tuple[int, int]], headers: list[bytes], file: int, named: tuple[int | None, int | None]) -> NDArray[np.void]:
    frames = np.zeros(len(rows), FRAME)
    if not rows:
        return frames
    blob = b"".join(headers)
    big, little = np.frombuffer(blob, _fields(">")), np.frombuffer(blob, _fields("<"))
    frames["file"] = file
    frames["offset"], frames["size"] = np.array(rows, np.int64).T
    frames["little"] = big["meta"] & LITTLE != 0
    for name in ("kind", "items", "event"):
        frames[name] = np.where(frames["little"], little[name], big[name])
    powers = 256 ** np.arange(6, dtype=np.int64)
    frames["time"] = np.where(frames["little"], big["time"] @ powers, big["time"] @ powers[::-1])
    unit = np.left_shift(1, big["meta"].astype(np.int64) & 15)
    frames["header"] = np.where(frames["little"], little["header"], big["header"]) * unit
    frames["cobo"], frames["asad"] = big["cobo"], big["asad"]
    if named[0] is not None and not frames["cobo"].any():
        frames["cobo"] = named[0]
    item = np.where(frames["kind"] == PARTIAL, ITEM_BYTES[PARTIAL], ITEM_BYTES[FULL])
    room = (frames["size"] - frames["header"]) // item
    frames["repaired"] = -(-(frames["header"] + frames["items"] * item) // unit) * unit != frames["size"]
    frames["items"] = np.where(frames["repaired"], room, frames["items"])
    return frames
