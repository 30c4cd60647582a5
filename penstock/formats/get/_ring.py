"""Ring items of .evt files (FRIBDAQ): begin and end of runs, scalers, and where the physics items lie.

All words are little-endian. What is cut by the end of a file or is no item is counted; see `EvtNotes`.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penstock.formats.get._physics import strip_buffer_words
from penstock.formats.scalers import ScalerRecord

__all__ = ["PHYSICS", "EvtIndex", "EvtNotes", "Recording", "index_evt"]

BEGIN_RUN, END_RUN, DUMMY, SCALERS, PHYSICS_EVENT, COUNTER = 1, 2, 12, 20, 30, 31
IGNORED = (DUMMY, COUNTER)
BODY_HEADER_BYTES = 20
ITEM_HEADER_BYTES = 12
HEAD_BYTES = 48
LARGEST_ITEM = 1 << 28

PHYSICS = np.dtype([("file", "i4"), ("offset", "i8"), ("size", "i8"), ("recording", "i4"), ("event", "i8"), ("timestamp", "i8")])
"""Body of a physics item: where it lies (bytes), and its event number and time stamp."""


@dataclass(slots=True)
class EvtNotes:
    """What was not as it should be."""

    skipped: Counter[int] = field(default_factory=Counter)
    """Items of unknown types."""
    truncated: int = 0
    """Items that the end of a file cuts off, or behind which no item begins."""
    lost_bytes: int = 0
    """Bytes that belong to no whole item."""


@dataclass(slots=True)
class Recording:
    """One run of the FRIB crate: number, title, begin and end (Unix time, s), duration (s); -1 where unknown."""

    run: int = -1
    title: str = ""
    start: int = -1
    stop: int = -1
    elapsed: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class EvtIndex:
    """The items of all .evt files of a run: physics (`PHYSICS`, in order), scalers, and the runs of the crate."""

    physics: NDArray[np.void]
    scalers: list[ScalerRecord]
    recordings: list[Recording]
    notes: EvtNotes


def index_evt(paths: Sequence[Path]) -> EvtIndex:
    """Look at all items of some files, in order.

    A physics item that the end of its file cuts is kept if its event number is there.

    Raises
    ------
    OSError
        The disk cannot be read.
    """
    stats = [path.stat() for path in paths]
    return _index(tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in zip(paths, stats, strict=True)))


@lru_cache(maxsize=8)
def _index(files: tuple[tuple[Path, int, int], ...]) -> EvtIndex:
    notes, recordings, scalers = EvtNotes(), [Recording()], list[ScalerRecord]()
    rows: list[tuple[int, int, int, int, int, int]] = []
    begun = False
    for file, (path, _, _) in enumerate(files):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            for kind, offset, size in _items(descriptor, os.fstat(descriptor).st_size, notes):
                if kind == PHYSICS_EVENT:
                    head = strip_buffer_words(os.pread(descriptor, min(size, HEAD_BYTES), offset))
                    if len(head) >= 8:
                        rows.append((file, offset, size, len(recordings) - 1, *struct.unpack_from("<II", head)))
                elif kind == BEGIN_RUN:
                    if begun:
                        recordings.append(Recording())
                    begun = True
                    _begin(recordings[-1], os.pread(descriptor, size, offset))
                elif kind == END_RUN:
                    _end(recordings[-1], os.pread(descriptor, size, offset))
                elif kind == SCALERS:
                    _add_scalers(scalers, os.pread(descriptor, size, offset), notes)
                elif kind not in IGNORED:
                    notes.skipped[kind] += 1
        finally:
            os.close(descriptor)
    return EvtIndex(np.array(rows, PHYSICS), scalers, recordings, notes)


def _items(descriptor: int, end: int, notes: EvtNotes) -> Iterator[tuple[int, int, int]]:
    """Type of each item, and offset and size of its body."""
    position = 0
    while position < end:
        head = os.pread(descriptor, ITEM_HEADER_BYTES, position)
        size, kind, inner = struct.unpack("<III", head) if len(head) == ITEM_HEADER_BYTES else (0, 0, 0)
        if not ITEM_HEADER_BYTES <= size <= LARGEST_ITEM:
            notes.truncated += 1
            notes.lost_bytes += end - position
            return
        body = position + (8 + inner if inner >= BODY_HEADER_BYTES else ITEM_HEADER_BYTES)
        following = position + size
        if following > end:
            notes.truncated += 1
            notes.lost_bytes += end - position
            if kind & 0xFF == PHYSICS_EVENT and body < end:
                yield PHYSICS_EVENT, body, end - body
            return
        if body <= following:
            yield kind & 0xFF, body, following - body
        else:
            notes.skipped[kind & 0xFF] += 1
        position = following


def _begin(recording: Recording, body: bytes) -> None:
    if len(body) >= 16:
        recording.run, _, recording.start = struct.unpack_from("<III", body)
        recording.title = body[16:].split(b"\0")[0].decode(errors="replace").strip()


def _end(recording: Recording, body: bytes) -> None:
    """Run, elapsed, time is the documented order; some readouts write time, elapsed."""
    if len(body) >= 12:
        first, recording.elapsed, third = struct.unpack_from("<III", body)
        recording.stop = third if first == recording.run else first


def _add_scalers(scalers: list[ScalerRecord], body: bytes, notes: EvtNotes) -> None:
    if len(body) < 24:
        notes.truncated += 1
        return
    start, stop, timestamp, _, count, incremental = struct.unpack_from("<6I", body)
    words = np.frombuffer(body, "<u4", min(count, (len(body) - 24) // 4), 24).astype(np.uint32)
    scalers.append(ScalerRecord(words, start, stop, timestamp, incremental))
