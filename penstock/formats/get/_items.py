"""Items of frames become traces: compiled, one frame at a time. Items without a place are counted, nothing else is judged.

A slot is AGET * 68 + channel, 0 to 271. Samples have 12 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit

__all__ = ["BUCKETS", "CHANNELS", "FULL_ITEMS", "SLOTS", "mark_slots", "place_counted", "place_full", "place_partial", "strip_padding"]

CHANNELS = 68
SLOTS = 4 * CHANNELS
BUCKETS = 512
FULL_ITEMS = SLOTS * BUCKETS
"""Items of a full readout."""
ROUND = 8
"""Items after which the AGETs of a full readout come round again: two channels each."""
TILE = 32
"""Buckets of a full readout that are turned over at once, so that they stay in the nearest cache."""

U2 = NDArray[np.uint16]
U4 = NDArray[np.uint32]
I2 = NDArray[np.int16]


@jit(inline=True)
def _swap4(word: np.uint32) -> np.uint32:
    return np.uint32((word >> 24) | ((word >> 8) & 0xFF00) | ((word << 8) & 0xFF0000) | (word << 24))


@jit(inline=True)
def _swap2(word: np.uint16) -> np.uint16:
    return np.uint16((word >> 8) | (word << 8))


@jit
def mark_slots(items: U4, swap: bool, present: NDArray[np.bool_]) -> int:
    """Mark the slots that items of a partial readout name.

    Parameters
    ----------
    items
        (items,), as they lie in the frame.
    swap
        Whether their bytes are in the other order than this machine's.
    present
        (272,), marked where a slot occurs; others are left.

    Returns
    -------
    int
        Items that name a channel beyond 67.
    """
    bad = 0
    for i in range(items.size):
        word = _swap4(items[i]) if swap else items[i]
        channel = (word >> 23) & 127
        if channel < CHANNELS:
            present[(word >> 30) * CHANNELS + channel] = True
        else:
            bad += 1
    return bad


@jit
def place_partial(items: U4, swap: bool, rows: NDArray[np.int64], out: I2) -> None:
    """Put items of a partial readout where their address says; of two with one address the last one stays.

    Parameters
    ----------
    items, swap
        As in `mark_slots`.
    rows
        (272,): row of `out` of each slot.
    out
        (rows, 512) ADC counts.
    """
    for i in range(items.size):
        word = _swap4(items[i]) if swap else items[i]
        channel = (word >> 23) & 127
        if channel < CHANNELS:
            out[rows[(word >> 30) * CHANNELS + channel], (word >> 14) & 511] = np.int16(word & 0xFFF)


@jit
def place_full(items: U2, swap: bool, out: I2) -> bool:
    """Put the 139,264 items of a full readout, if their AGETs come in the order of the electronics.

    That order is bucket, pair of channels, AGET (from whichever), channel of the pair.

    Parameters
    ----------
    items, swap
        (139264,), as in `mark_slots`.
    out
        (272, 512) ADC counts.

    Returns
    -------
    bool
        False where the AGETs come in any other order; `out` then holds nothing of use.
    """
    agets = np.empty(ROUND, np.uint16)
    places = np.full(4, -1, np.int64)
    for k in range(ROUND):
        agets[k] = (_swap2(items[k]) if swap else items[k]) >> 14
        if k % 2 == 0:
            places[agets[k]] = k
    if places.min() < 0:
        return False
    wrong = np.uint16(0)
    for begin in range(0, BUCKETS, TILE):
        for slot in range(SLOTS):
            aget, channel = np.uint16(slot // CHANNELS), slot % CHANNELS
            at = begin * SLOTS + channel // 2 * ROUND + places[aget] + channel % 2
            for bucket in range(begin, begin + TILE):
                word = _swap2(items[at]) if swap else items[at]
                wrong |= (word >> 14) ^ aget
                out[slot, bucket] = np.int16(word & 0xFFF)
                at += SLOTS
    return bool(wrong == 0)


@jit
def place_counted(items: U2, swap: bool, out: I2) -> int:
    """Put items of a full readout by counting those of each AGET: bucket = count // 68, channel = count % 68.

    Parameters
    ----------
    items, swap
        (items,), as in `mark_slots`.
    out
        (272, 512) ADC counts; places without an item are left.

    Returns
    -------
    int
        Items beyond the last bucket.
    """
    channel, bucket = np.zeros(4, np.int64), np.zeros(4, np.int64)
    bad = 0
    for i in range(items.size):
        word = _swap2(items[i]) if swap else items[i]
        aget = int(word >> 14)
        if bucket[aget] == BUCKETS:
            bad += 1
            continue
        out[aget * CHANNELS + channel[aget], bucket[aget]] = np.int16(word & 0xFFF)
        channel[aget] += 1
        if channel[aget] == CHANNELS:
            channel[aget] = 0
            bucket[aget] += 1
    return bad


def strip_padding(items: NDArray[Any]) -> NDArray[Any]:
    """Items without the zeros at their end that fill up the last block of a frame whose number of items is not known.

    An item of zeros would be sample 0 of the first channel in the first bucket, which no chip sends last.
    """
    filled = np.flatnonzero(items)
    return items[: int(filled[-1]) + 1 if filled.size else 0]
