"""Frames of some events become traces: read, decoded board by board, laid out by channel."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import BadRun
from penstock.formats.get._frames import PARTIAL
from penstock.formats.get._items import (
    BUCKETS,
    CHANNELS,
    FULL_ITEMS,
    SLOTS,
    mark_slots,
    place_counted,
    place_full,
    place_partial,
    strip_padding,
)

__all__ = ["BoardDecoder", "OpenFiles"]

MOST_OPEN = 96
"""Files that are kept open at a time."""

I2 = NDArray[np.int16]
I8 = NDArray[np.int64]


class OpenFiles:
    """Files that are read at many places, opened when they are needed and not too many at a time.

    Parameters
    ----------
    paths
        Files by their number.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._open: OrderedDict[int, int] = OrderedDict()
        self._buffer = np.empty(0, np.uint8)

    def close(self) -> None:
        """Close all."""
        while self._open:
            os.close(self._open.popitem()[1])

    def read(self, file: int, offset: int, size: int) -> NDArray[np.uint8]:
        """Bytes of a file; they are overwritten by the next call.

        Raises
        ------
        BadRun
            The file has become shorter.
        """
        if self._buffer.size < size:
            self._buffer = np.empty(size, np.uint8)
        piece = self._buffer[:size]
        done = 0
        while done < size:
            if (got := os.preadv(self._descriptor(file), [piece[done:].data], offset + done)) == 0:
                raise BadRun(
                    f"{self._paths[file]}: the file ends at byte {offset + done}, and was longer before. Wait until it is complete."
                )
            done += got
        return piece

    def _descriptor(self, file: int) -> int:
        if file not in self._open:
            if len(self._open) >= MOST_OPEN:
                os.close(self._open.popitem(last=False)[1])
            self._open[file] = os.open(self._paths[file], os.O_RDONLY)
        self._open.move_to_end(file)
        return self._open[file]


class BoardDecoder:
    """Decodes the frames of events; counts the items that have no place.

    Attributes
    ----------
    bad_items
        Items so far that name a channel beyond 67 or a bucket beyond 511.
    """

    def __init__(self, files: OpenFiles) -> None:
        self.bad_items = 0
        self._files = files
        self._rows = np.zeros(SLOTS, np.int64)

    def decode(self, frames: NDArray[np.void], offsets: I8) -> tuple[dict[str, I2], I8]:
        """Traces of all channels that were read out, ascending by CoBo, AsAd, AGET and channel within an event.

        Several frames of one board and event are one: of two samples with one address the last one stays. Samples
        that were not read out are 0.

        Parameters
        ----------
        frames
            `penstock.formats.get._frames.FRAME` by event, CoBo, AsAd.
        offsets
            (events + 1,): frames of each event.

        Returns
        -------
        columns
            ``cobo``, ``asad``, ``aget``, ``channel``, int16 (rows,), and ``samples``, int16 (rows, 512), ADC counts.
        offsets
            (events + 1,): rows of each event.
        """
        event = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        board = np.stack([event, frames["cobo"], frames["asad"]])
        starts = np.flatnonzero(np.any(np.diff(board, axis=1, prepend=-1), axis=0))
        items = np.minimum(np.where(frames["kind"] == PARTIAL, frames["items"], SLOTS), SLOTS)
        room = np.minimum(np.add.reduceat(items, starts), SLOTS) if len(starts) else items
        samples = np.empty((int(room.sum()), BUCKETS), np.int16)
        slots: list[I8] = []
        filled = 0
        for start, stop in zip(starts, [*starts[1:], len(frames)], strict=True):
            slots.append(self._decode_board(frames[start:stop], samples[filled:]))
            filled += len(slots[-1])
        counts = np.array([len(s) for s in slots], np.int64)
        slot = np.concatenate(slots) if slots else np.zeros(0, np.int64)
        rows = np.bincount(event[starts], counts, minlength=len(offsets) - 1).astype(np.int64)
        columns: dict[str, Any] = {name: np.repeat(frames[name][starts], counts) for name in ("cobo", "asad")}
        columns |= {"aget": (slot // CHANNELS).astype(np.int16), "channel": (slot % CHANNELS).astype(np.int16), "samples": samples[:filled]}
        return columns, np.concatenate([[0], np.cumsum(rows)])

    def _decode_board(self, frames: NDArray[np.void], out: I2) -> I8:
        """Slots of one board in one event; their samples stand in the first rows of `out`."""
        if len(frames) == 1 and frames["kind"][0] != PARTIAL:
            self._place_full(frames[0], out[:SLOTS])
            return np.arange(SLOTS)
        present = np.zeros(SLOTS, np.bool_)
        for frame in frames:
            if frame["kind"] == PARTIAL:
                self.bad_items += mark_slots(self._items(frame), _swapped(frame), present)
            else:
                present[:] = True
        slots = np.flatnonzero(present)
        self._rows[slots] = np.arange(len(slots))
        out[: len(slots)] = 0
        for frame in frames:
            if frame["kind"] == PARTIAL:
                place_partial(self._items(frame), _swapped(frame), self._rows, out)
            else:
                self._place_full(frame, out[:SLOTS])
        return slots

    def _place_full(self, frame: np.void, out: I2) -> None:
        items = self._items(frame)
        if len(items) == FULL_ITEMS and place_full(items, _swapped(frame), out):
            return
        out[:] = 0
        self.bad_items += place_counted(items, _swapped(frame), out)

    def _items(self, frame: np.void) -> NDArray[Any]:
        code: Any = np.uint32 if frame["kind"] == PARTIAL else np.uint16
        header, count = int(frame["header"]), int(frame["items"])
        piece = self._files.read(int(frame["file"]), int(frame["offset"]) + header, count * np.dtype(code).itemsize)
        items = piece.view(code)
        return strip_padding(items) if frame["repaired"] and not (frame["kind"] != PARTIAL and count == FULL_ITEMS) else items


def _swapped(frame: np.void) -> bool:
    return bool(frame["little"]) != (sys.byteorder == "little")
