"""The minimum spanning tree of the mutual reachability of points: what hierarchical density clustering starts from.

For clouds of up to some thousand points: neighbours are looked up along one axis, the tree grows by comparing all pairs,
in loops that the compiler turns into vector instructions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit

__all__ = ["core_distances_squared", "spanning_tree"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@jit
def core_distances_squared(x: F8, y: F8, z: F8, min_samples: int) -> F8:
    """Squared distance of each point to its ``min_samples``-th nearest, itself included, (points,)."""
    n = len(x)
    along = x if np.var(x) > np.var(y) else y
    along = along if np.var(along) > np.var(z) else z
    order = np.argsort(along, kind="mergesort")
    u, v, w, along = x[order], y[order], z[order], along[order]
    core = np.empty(n)
    nearest = np.empty(min(min_samples, n))
    for i in range(n):
        nearest[:] = np.inf
        nearest[0] = 0.0
        j = i + 1
        while j < n and (along[j] - along[i]) ** 2 < nearest[-1]:
            _insert(nearest, (u[j] - u[i]) ** 2 + (v[j] - v[i]) ** 2 + (w[j] - w[i]) ** 2)
            j += 1
        j = i - 1
        while j >= 0 and (along[j] - along[i]) ** 2 < nearest[-1]:
            _insert(nearest, (u[j] - u[i]) ** 2 + (v[j] - v[i]) ** 2 + (w[j] - w[i]) ** 2)
            j -= 1
        core[order[i]] = nearest[-1]
    return core


@jit
def _insert(nearest: F8, distance: float) -> None:
    """Take a distance into the ascending `nearest`, of which the last falls out."""
    slot = len(nearest) - 1
    if distance < nearest[slot]:
        while slot > 0 and nearest[slot - 1] > distance:
            nearest[slot] = nearest[slot - 1]
            slot -= 1
        nearest[slot] = distance


@jit
def spanning_tree(x: F8, y: F8, z: F8, core: F8) -> tuple[I8, I8, F8]:
    """Minimum spanning tree of the mutual reachability max(distance, core distance of either), by Prim's algorithm.

    Parameters
    ----------
    x, y, z
        Points, (points,), at least one.
    core
        Their squared core distances, (points,).

    Returns
    -------
    first, second, lengths
        Points at the ends of each edge, and its length: by ascending length, (points - 1,). Among edges of equal
        length those to points of lesser index are preferred, and those from points that joined the tree earlier.
    """
    n = len(x)
    x, y, z, core = x.copy(), y.copy(), z.copy(), core.copy()
    points, places = np.arange(n), np.arange(n)
    reach, source = np.full(n, np.inf), np.zeros(n, np.int64)
    # Numbers that are not negative have the same order as their bits: integers are compared many at a time.
    bits = reach.view(np.int64)
    first, second, squared = np.empty(n - 1, np.int64), np.empty(n - 1, np.int64), np.empty(n - 1)
    place = 0
    for step in range(n - 1):
        joined, cx, cy, cz, cc = points[place], x[place], y[place], z[place], core[place]
        last = n - 1 - step
        for values in (x, y, z, core, reach):
            values[place] = values[last]
        points[place], source[place] = points[last], source[last]
        places[points[place]] = place
        for i in range(last):
            distance = max(max((x[i] - cx) ** 2 + (y[i] - cy) ** 2 + (z[i] - cz) ** 2, cc), core[i])
            nearer = distance < reach[i]
            reach[i] = distance if nearer else reach[i]
            source[i] = joined if nearer else source[i]
        least = bits[0]
        for i in range(1, last):
            least = min(least, bits[i])
        following = n
        for i in range(last):
            following = min(following, points[i] if bits[i] == least else n)
        place = places[following]
        first[step], second[step], squared[step] = source[place], following, reach[place]
    lengths = np.sqrt(squared)
    by_length = np.argsort(lengths, kind="mergesort")
    return first[by_length], second[by_length], lengths[by_length]
