"""Sums of the pixels of a frame by bin: compiled.

A frame is read once, in its own type. Integers are summed in 64 bits, so that no bin can overflow: a bin has fewer than 2**31 pixels of at most
32 bits. Pixels that are invalid in this frame are left out, and what they would have counted is returned.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit

__all__ = ["LANES", "finish", "fold", "sum_pairs", "sum_split", "sum_type", "sum_whole"]

Pixels = NDArray[Any]
F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

LANES = 4
"""Sums that a bin has where bins are few. Neighbours often share a bin; with sums of their own, no addition waits for the one before it."""

_AT_ONCE = 2048
"""Pixels that are searched for invalid ones, then summed: they stay in the first-level cache in between."""


def sum_type(dtype: np.dtype[Any]) -> str:
    """Type in which pixels of `dtype` are summed: of 64 bits."""
    return f"{dtype.kind}8"


@jit
def sum_whole(
    frame: Pixels,
    places: NDArray[np.unsignedinteger[Any]],
    lanes: int,
    lows: Pixels,
    highs: Pixels,
    nan_invalid: bool,
    weights: F4,
    sums: Pixels,
    lost: F8,
) -> int:
    """Add the pixels of a frame to the bins in which they lie whole; returns how many were invalid.

    Parameters
    ----------
    frame
        (pixels,), integers of at most 32 bits or floats.
    places
        Place of each pixel's bin in `sums`, (pixels,), a multiple of `lanes`. The last place takes the pixels that belong to no bin.
    lanes
        Sums of a bin: `LANES` or 1.
    lows, highs
        Values from ``lows[k]`` to ``highs[k]`` are invalid; in the type of the frame.
    nan_invalid
        Whether NaN is.
    weights
        What a pixel counts in the norm, (pixels,).
    sums
        Takes the sums, ((bins + 1) * lanes,), zero before; of `sum_type`.
    lost
        Takes count and norm of the invalid pixels by bin, (bins + 1, 2), zero before.
    """
    n_lost = 0
    marks = np.zeros(_AT_ONCE, np.uint8)
    for start in range(0, len(frame), _AT_ONCE):
        values = frame[start : start + _AT_ONCE]
        at = places[start : start + _AT_ONCE]
        if _any_invalid(values, at, len(sums) - lanes, lows, highs, nan_invalid):
            counts = weights[start : start + _AT_ONCE]
            n_lost += _add_valid(values, at, lanes, lows, highs, nan_invalid, counts, marks, sums, lost)
        else:
            _add(values, at, lanes, sums)
    return n_lost


@jit
def sum_pairs(
    frame: Pixels,
    places: NDArray[np.unsignedinteger[Any]],
    lanes: int,
    pairs: NDArray[np.uint16],
    firsts: NDArray[np.int64],
    seconds: NDArray[np.int64],
    lows: Pixels,
    highs: Pixels,
    weights: F4,
    sums: Pixels,
    lost: F8,
) -> int:
    """The same for unsigned integers of at most 16 bits, with half the additions.

    Two pixels side by side are added at once, one into the lower and one into the upper half of a sum that belongs to this pair of bins. Few
    pairs of bins are neighbours, and none may have more than 2**16 pairs of pixels: then a half cannot overflow.

    Parameters
    ----------
    pairs
        Number of the pair of bins of pixels 2k and 2k + 1, (pixels // 2,).
    firsts, seconds
        Places of both bins of each pair, (pairs of bins,).
    """
    n_lost = 0
    marks = np.zeros(_AT_ONCE, np.uint8)
    by_pair = np.zeros(len(firsts), np.uint64)
    for start in range(0, len(frame), _AT_ONCE):
        values = frame[start : start + _AT_ONCE]
        at = places[start : start + _AT_ONCE]
        if _any_value_invalid(values, lows, highs) and _any_invalid(values, at, len(sums) - lanes, lows, highs, False):
            counts = weights[start : start + _AT_ONCE]
            n_lost += _add_valid(values, at, lanes, lows, highs, False, counts, marks, sums, lost)
            continue
        pair = pairs[start // 2 : (start + len(values)) // 2]
        for k in range(len(pair)):
            by_pair[pair[k]] += np.uint64(values[2 * k]) | (np.uint64(values[2 * k + 1]) << np.uint64(32))
        if len(values) % 2:
            sums[at[-1]] += values[-1]
    for k in range(len(by_pair)):
        sums[firsts[k]] += by_pair[k] & np.uint64(0xFFFFFFFF)
        sums[seconds[k]] += by_pair[k] >> np.uint64(32)
    return n_lost


@jit
def sum_split(
    frame: Pixels,
    pixels: I4,
    bins: NDArray[np.unsignedinteger[Any]],
    parts: F4,
    factors: F4,
    lows: Pixels,
    highs: Pixels,
    nan_invalid: bool,
    weights: F4,
    sums: F8,
    lost: F8,
) -> int:
    """Add the parts of pixels to the bins in which they lie; returns how many parts were invalid.

    Parameters
    ----------
    frame, lows, highs, nan_invalid
        As in `sum_whole`.
    pixels, bins, parts
        Pixel, bin and part of that pixel in that bin, (parts,), in the order of the pixels, in which a frame is read fastest.
    factors
        What the value of the pixel is multiplied with, (parts,).
    weights
        What a whole pixel counts in the norm, (pixels,).
    sums
        Takes sum and Poisson variance, (bins, 2), zero before.
    lost
        Takes count and norm of invalid parts, (bins, 2), zero before.
    """
    n_lost = 0
    marks = np.empty(len(frame), np.uint8)
    careful = _mark_invalid(frame, lows, highs, nan_invalid, marks)
    for k in range(len(pixels)):
        pixel = np.uint32(pixels[k])
        if careful and marks[pixel]:
            n_lost += 1
            lost[bins[k], 0] += parts[k]
            lost[bins[k], 1] += np.float64(parts[k]) * weights[pixel]
            continue
        factor = np.float64(factors[k])
        product = factor * frame[pixel]
        sums[bins[k], 0] += product
        sums[bins[k], 1] += factor * product
    return n_lost


@jit
def fold(by_place: Pixels, lanes: int, sums: F8) -> None:
    """Sum of each bin from the sums by place; it is its Poisson variance as well: (bins, 2)."""
    for k in range(len(sums)):
        total = by_place[k * lanes]
        for lane in range(1, lanes):
            total += by_place[k * lanes + lane]
        sums[k, 0] = sums[k, 1] = total


@jit
def finish(sums: F8, count: F8, norm: F8, lost: F8, profile: F8) -> None:
    """Intensity, sigma, count, sum and norm of each bin into `profile`, (5, bins), from sum and variance (bins, 2) and the counts of a frame without invalid pixels."""
    for k in range(len(count)):
        left = count[k] - lost[k, 0]
        weight = norm[k] - lost[k, 1]
        # Parts that were added in another order leave a rest of rounding.
        empty = left <= 1e-6 * count[k]
        profile[0, k] = np.nan if empty else sums[k, 0] / weight
        profile[1, k] = np.nan if empty else np.sqrt(sums[k, 1]) / weight
        profile[2, k] = 0.0 if empty else left
        profile[3, k] = sums[k, 0]
        profile[4, k] = 0.0 if empty else weight


@jit
def _add(values: Pixels, at: Pixels, lanes: int, sums: Pixels) -> None:
    """Add values to the sums at these places, in turns to the sums that a bin has; the number of sums is a constant in each loop, which makes it faster."""
    if lanes == LANES:
        for i in range(len(values)):
            sums[np.uint64(at[i]) + np.uint64(i & (LANES - 1))] += values[i]
    else:
        for i in range(len(values)):
            sums[at[i]] += values[i]


@jit
def _add_valid(
    values: Pixels,
    at: Pixels,
    lanes: int,
    lows: Pixels,
    highs: Pixels,
    nan_invalid: bool,
    weights: F4,
    marks: NDArray[np.uint8],
    sums: Pixels,
    lost: F8,
) -> int:
    """Add the valid ones of some values, stretch by stretch; returns how many of the others belong to a bin."""
    _mark_invalid(values, lows, highs, nan_invalid, marks)
    n_lost, begin = 0, 0
    words = marks.view(np.uint64)
    for word in range(len(words)):
        if words[word] == 0:
            continue
        for i in range(8 * word, min(8 * word + 8, len(values))):
            if marks[i] == 0:
                continue
            _add(values[begin:i], at[begin:i], lanes, sums)
            begin = i + 1
            if at[i] != len(sums) - lanes:
                n_lost += 1
                lost[at[i] // lanes, 0] += 1.0
                lost[at[i] // lanes, 1] += weights[i]
    _add(values[begin:], at[begin:], lanes, sums)
    return n_lost


@jit
def _any_value_invalid(values: Pixels, lows: Pixels, highs: Pixels) -> bool:
    found = False
    for r in range(len(lows)):
        low, high = lows[r], highs[r]
        for i in range(len(values)):
            found |= (values[i] >= low) & (values[i] <= high)
    return found


@jit
def _any_invalid(values: Pixels, at: Pixels, nowhere: int, lows: Pixels, highs: Pixels, nan_invalid: bool) -> bool:
    """Whether a pixel that belongs to a bin is invalid. Without branches, which lets the compiler take many at once."""
    found = False
    for r in range(len(lows)):
        low, high = lows[r], highs[r]
        for i in range(len(values)):
            found |= (values[i] >= low) & (values[i] <= high) & (at[i] != nowhere)
    if nan_invalid:
        for i in range(len(values)):
            found |= (values[i] != values[i]) & (at[i] != nowhere)
    return found


@jit
def _mark_invalid(values: Pixels, lows: Pixels, highs: Pixels, nan_invalid: bool, marks: NDArray[np.uint8]) -> bool:
    """Set a mark for each value, whether it is invalid; returns whether one is."""
    found = False
    for i in range(len(values)):
        marks[i] = nan_invalid & (values[i] != values[i])
        found |= marks[i] != 0
    for r in range(len(lows)):
        low, high = lows[r], highs[r]
        for i in range(len(values)):
            invalid = (values[i] >= low) & (values[i] <= high)
            marks[i] |= invalid
            found |= invalid
    return found
