"""Peaks of a trace, as `scipy.signal.find_peaks` defines them, compiled, with their integrals.

A peak is the middle of a highest sample or plateau; it goes by distance to higher peaks, prominence and width.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit

__all__ = ["find_pulses"]

I4 = NDArray[np.int32]
I8 = NDArray[np.int64]


MOST_COUNTS = 2.0**31 - 1
"""Greatest sample that a trace can have."""


@jit
def find_pulses(
    trace: I4,
    threshold: float,
    distance: float,
    prominence: float,
    least_width: float,
    greatest_width: float,
    rel_height: float,
    scratch: I4,
    pulses: I8,
) -> int:
    """Peaks of one trace that are higher than a threshold; returns how many there are, in `pulses` where they lie.

    The same peaks as those of ``scipy.signal.find_peaks(trace, distance=..., prominence=..., width=(least_width,
    greatest_width), rel_height=...)`` with ``trace[peak] > threshold``. The threshold comes first here, which changes
    nothing: only a higher peak can displace a peak. Of equal peaks the later one displaces the earlier.

    Parameters
    ----------
    trace
        Samples above the baseline, (samples,).
    threshold
        Only higher peaks count.
    distance
        Least distance of two peaks, in samples, at least 1.
    prominence
        Least height above the higher one of the two lowest points between the peak and the next higher ground.
    least_width, greatest_width
        Bounds of the width in samples at `rel_height` of the prominence below the peak.
    rel_height
        Over 0 to 1.
    scratch
        Scratch, (3, samples // 2 + 1).
    pulses
        Takes peak, first sample and last sample + 1 of each pulse, (samples // 2 + 1, 3), ascending; the extent is that
        at which the width is taken, rounded outwards.
    """
    peaks, order, kept = scratch[0], scratch[1], scratch[2]
    found = _maxima(trace, math.floor(min(threshold, MOST_COUNTS)), peaks)
    if found > 1:
        found = _displace(trace, math.ceil(distance), peaks[:found], order, kept)
    count = 0
    for k in range(found):
        peak = peaks[k]
        first, last = _lower_ground(trace, peak)
        height = trace[peak] - max(_least(trace[first : peak + 1]), _least(trace[peak : last + 1]))
        if height < prominence:
            continue
        left, right = _extent(trace, peak, first, last, trace[peak] - height * rel_height)
        if least_width <= right - left <= greatest_width:
            pulses[count, 0] = peak
            pulses[count, 1] = math.floor(left)
            pulses[count, 2] = math.ceil(right)
            count += 1
    return count


@jit
def _maxima(trace: I4, threshold: int, peaks: I4) -> int:
    """Middles of the maxima above the threshold; the first and the last sample are never one."""
    found = 0
    last = len(trace) - 1
    i = 1
    while i < last:
        if trace[i] > threshold and trace[i - 1] < trace[i]:
            ahead = i + 1
            while ahead < last and trace[ahead] == trace[i]:
                ahead += 1
            if trace[ahead] < trace[i]:
                peaks[found] = (i + ahead - 1) // 2
                found += 1
                i = ahead
        i += 1
    return found


@jit
def _displace(trace: I4, distance: int, peaks: I4, order: I4, kept: I4) -> int:
    """Keep peaks that no higher kept peak is nearer to than `distance`; packs `peaks` and returns their number."""
    found = len(peaks)
    for k in range(found):
        kept[k] = 1
        place = k
        while place > 0 and trace[peaks[order[place - 1]]] > trace[peaks[k]]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = k
    for place in range(found - 1, -1, -1):
        k = order[place]
        if not kept[k]:
            continue
        other = k - 1
        while other >= 0 and peaks[k] - peaks[other] < distance:
            kept[other] = 0
            other -= 1
        other = k + 1
        while other < found and peaks[other] - peaks[k] < distance:
            kept[other] = 0
            other += 1
    count = 0
    for k in range(found):
        if kept[k]:
            peaks[count] = peaks[k]
            count += 1
    return count


@jit
def _lower_ground(trace: I4, peak: int) -> tuple[int, int]:
    """First and last sample of the stretch around the peak that is nowhere higher than it."""
    top = trace[peak]
    n = len(trace)
    # Almost every trace has one peak, its highest sample: that is seen at a glance, without a search.
    highest = top
    for i in range(n):
        highest = max(highest, trace[i])
    if highest == top:
        return 0, n - 1
    first = last = peak
    while first > 0 and trace[first - 1] <= top:
        first -= 1
    while last < n - 1 and trace[last + 1] <= top:
        last += 1
    return first, last


@jit
def _least(trace: I4) -> int:
    least: int = trace[0]
    for i in range(len(trace)):
        least = min(least, trace[i])
    return least


@jit
def _extent(trace: I4, peak: int, first: int, last: int, level: float) -> tuple[float, float]:
    """Where the trace crosses `level` on both sides of the peak, interpolated between samples."""
    i = peak
    while i > first and level < trace[i]:
        i -= 1
    left = float(i)
    if trace[i] < level:
        left += (level - trace[i]) / (trace[i + 1] - trace[i])
    i = peak
    while i < last and level < trace[i]:
        i += 1
    right = float(i)
    if trace[i] < level:
        right -= (level - trace[i]) / (trace[i - 1] - trace[i])
    return left, right
