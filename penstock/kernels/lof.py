"""Local outlier factor: points whose neighbourhood is much thinner than that of their neighbours, compiled.

Breunig, Kriegel, Ng and Sander, "LOF: identifying density-based local outliers", SIGMOD 2000, with the threshold of
scikit-learn's ``contamination="auto"``. Many small groups in one call; a group has the same result alone and among others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit

__all__ = ["find_inliers", "outlier_factors"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

GREATEST_FACTOR = 1.5
"""Points with a greater factor are outliers (section 4.1 of the paper; scikit-learn's "auto")."""

LEAST_REACH = 1e-10
"""Added to the mean reach, so that the density of coincident points is finite."""

BINS = 64
"""Of the histogram in which the farthest neighbour is looked up."""


@jit
def find_inliers(positions: F8, offsets: I8, neighbours: I8) -> NDArray[np.bool_]:
    """Which points are no outliers of their group.

    Parameters
    ----------
    positions
        Points, (3, points): one row a coordinate, all in the same unit. Groups that ascend in the last one are quicker.
    offsets
        Group ``i`` is ``positions[:, offsets[i]:offsets[i + 1]]``.
    neighbours
        Neighbours that are looked at, one entry a group. More than a group has are cut to all of it; a group with
        none, or of one point, keeps every point.

    Returns
    -------
    inlier
        (points,)
    """
    inlier = np.ones(positions.shape[1], np.bool_)
    for i in range(len(offsets) - 1):
        start, stop = offsets[i], offsets[i + 1]
        k = min(neighbours[i], stop - start - 1)
        if k > 0:
            inlier[start:stop] = outlier_factors(positions[:, start:stop], k) <= GREATEST_FACTOR
    return inlier


@jit
def outlier_factors(positions: F8, k: int) -> F8:
    """Local outlier factor of each point of one group: about 1 inside, greater outside.

    Parameters
    ----------
    positions
        Points, (3, points).
    k
        Neighbours, 1 to one less than the points. Of equally far ones the earlier count.

    Returns
    -------
    factor
        (points,)
    """
    n = positions.shape[1]
    nearest, distances, farthest = _neighbours(positions, k)
    density = np.empty(n)
    for i in range(n):
        reach = 0.0
        for slot in range(k):
            reach += max(distances[i, slot], farthest[nearest[i, slot]])
        density[i] = 1.0 / (reach / k + LEAST_REACH)
    factor = np.empty(n)
    for i in range(n):
        total = 0.0
        for slot in range(k):
            total += density[nearest[i, slot]]
        factor[i] = total / k / density[i]
    return factor


@jit
def _neighbours(positions: F8, k: int) -> tuple[NDArray[np.int32], F8, F8]:
    """The `k` nearest points of each, in order of index; their distances, and the greatest of these."""
    n = positions.shape[1]
    x, y, z = np.ascontiguousarray(positions[0]), np.ascontiguousarray(positions[1]), np.ascontiguousarray(positions[2])
    ascending = bool(np.all(z[1:] >= z[:-1]))
    nearest, squared, farthest = np.empty((n, k), np.int32), np.empty((n, k)), np.empty(n)
    candidates, near, scratch = np.empty(n, np.int32), np.empty(n), np.empty(n)
    counts = np.empty(BINS + 1, np.int32)
    for i in range(n):
        first, stop, bound = 0, n, np.inf
        if i > 0:
            # No neighbour is farther than the farthest one of the point before plus the way from there.
            way = (x[i - 1] - x[i]) ** 2 + (y[i - 1] - y[i]) ** 2 + (z[i - 1] - z[i]) ** 2
            bound = (np.sqrt(farthest[i - 1]) + np.sqrt(way)) ** 2 * (1.0 + 1e-9)
        if ascending:
            first = stop = i
            while first > 0 and (z[first - 1] - z[i]) ** 2 <= bound:
                first -= 1
            while stop < n and (z[stop] - z[i]) ** 2 <= bound:
                stop += 1
        count = 0
        for j in range(first, stop):
            distance = (x[j] - x[i]) ** 2 + (y[j] - y[i]) ** 2 + (z[j] - z[i]) ** 2
            candidates[count], near[count] = j, distance
            count += distance <= bound and j != i
        farthest[i] = _kth_smallest(near[:count], k, bound, scratch, counts)
        _keep(candidates[:count], near[:count], farthest[i], nearest[i], squared[i])
    return nearest, np.sqrt(squared), np.sqrt(farthest)


@jit
def _keep(candidates: NDArray[np.int32], near: F8, limit: float, nearest: NDArray[np.int32], squared: F8) -> None:
    """Write the candidates up to the distance `limit`; of those at the limit the first that still have room."""
    room = len(nearest) - np.sum(near < limit)
    slot = 0
    for i in range(len(near)):
        at_limit = near[i] == limit
        if near[i] < limit or (at_limit and room > 0):
            room -= at_limit
            nearest[slot], squared[slot] = candidates[i], near[i]
            slot += 1


@jit
def _kth_smallest(values: F8, k: int, bound: float, scratch: F8, counts: NDArray[np.int32]) -> float:
    """The `k`-th smallest of values from 0 to `bound`: looked up in a histogram, then among the values of one bin."""
    if not 1e-100 < bound < np.inf:
        scratch[: len(values)] = values
        return _smallest(scratch[: len(values)], k)
    scale = BINS / bound
    counts[:] = 0
    for value in values:
        counts[int(value * scale)] += 1
    wanted = 0
    while counts[wanted] < k:
        k -= counts[wanted]
        wanted += 1
    count = 0
    for value in values:
        scratch[count] = value
        count += int(value * scale) == wanted
    return _smallest(scratch[:count], k)


@jit
def _smallest(values: F8, k: int) -> float:
    """The `k`-th smallest value, by Hoare's selection; reorders `values`."""
    low, high = 0, len(values) - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    return float(values[k - 1])
