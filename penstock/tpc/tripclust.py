"""Triplet clustering: curves of any shape, found by joining triplets of nearly collinear points.

Dalitz, Ayyad, Wilberg and Aymans, Comput. Phys. Commun. 235 (2019) 159: smooth the points, make triplets, cluster the
triplets by single linkage in a metric of position and direction, hand their clusters down to the points.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.tpc.branches import split_branches
from penstock.tpc.params import TripclustParams

__all__ = ["label_curves"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

FAR = 1e8
"""Distance of triplets whose directions stand at a right angle or worse."""

COINCIDENT = 1e-6
"""Triplets nearer than this consist of the same points."""

JUMP = 2.0
"""The dendrogram is cut before a merging distance that grows by more than so many standard deviations."""


def label_curves(positions: F8, offsets: I8, params: TripclustParams) -> I8:
    """Curve of every point, -1 for noise; labels count from 0 within each cloud.

    Parameters
    ----------
    positions
        Points in mm, (3, points), in order of time (of z).
    offsets
        Cloud ``i`` is ``positions[:, offsets[i]:offsets[i + 1]]``.
    params
        Settings of the algorithm.

    Returns
    -------
    labels
        (points,)
    """
    lengths = np.array([params.r, params.s, params.dmax])
    relative = np.array([params.rdnn, params.sdnn, params.dmax_dnn])
    cut = math.nan if params.tauto else params.t
    depth = params.min_depth if params.postprocess else 0
    return _label_clouds(positions, offsets, lengths, relative, params.k, params.n, params.a, cut, params.ordered, params.m, depth)


@jit
def _label_clouds(
    positions: F8,
    offsets: I8,
    lengths: F8,
    relative: NDArray[np.bool_],
    k: int,
    n: int,
    a: float,
    cut: float,
    ordered: bool,
    m: int,
    depth: int,
) -> I8:
    """Labels of all clouds; `lengths` are r, s and dmax, each in mm or, where `relative`, in dnn."""
    labels = np.full(positions.shape[1], -1)
    for i in range(len(offsets) - 1):
        start, stop = offsets[i], offsets[i + 1]
        if stop - start < 3:
            continue
        points = np.ascontiguousarray(positions[:, start:stop].T)
        dnn = _characteristic_distance(points)
        r, s, dmax = lengths * np.where(relative, dnn, 1.0)
        members, triplets = _make_triplets(_smooth(points, r), k, n, a, dmax if dmax > 0.0 else math.inf, ordered)
        if len(members) < m:
            continue
        of_triplet = _link_triplets(triplets, max(s, 1e-9), cut, ordered)
        found = _hand_down(of_triplet, members, len(points), m)
        labels[start:stop] = split_branches(points, found, depth) if depth > 0 else found
    return labels


@jit
def _distances_from(points: F8, i: int) -> F8:
    """Distance of every point from point `i`."""
    result = np.empty(len(points))
    for j in range(len(points)):
        result[j] = math.sqrt((points[j, 0] - points[i, 0]) ** 2 + (points[j, 1] - points[i, 1]) ** 2 + (points[j, 2] - points[i, 2]) ** 2)
    return result


@jit
def _characteristic_distance(points: F8) -> float:
    """dnn: first quartile of the distances to the nearest neighbour."""
    nearest = np.empty(len(points))
    for i in range(len(points)):
        distances = _distances_from(points, i)
        distances[i] = math.inf
        nearest[i] = distances.min()
    return float(np.sort(nearest)[len(points) // 4])


@jit
def _smooth(points: F8, r: float) -> F8:
    """Each point replaced by the mean of all points within `r` of it."""
    smooth = np.empty_like(points)
    for i in range(len(points)):
        distances = _distances_from(points, i)
        total = np.zeros(3)
        count = 0
        for j in range(len(points)):
            if distances[j] <= r:
                total += points[j]
                count += 1
        smooth[i] = total / count
    return smooth


@jit
def _make_triplets(points: F8, k: int, n: int, a: float, dmax: float, ordered: bool) -> tuple[I8, F8]:
    """The `n` straightest triplets around each point, out of its `k` nearest neighbours.

    Returns
    -------
    members, triplets
        The three points of each triplet, (triplets, 3); its centre and unit direction, (triplets, 6).
    """
    members, triplets = np.empty((len(points) * n, 3), np.int64), np.empty((len(points) * n, 6))
    count = 0
    k = min(k, len(points) - 1)
    for middle in range(len(points)):
        distances = _distances_from(points, middle)
        distances[middle] = math.inf
        near = np.argsort(distances, kind="mergesort")[:k]
        best = np.full(n, math.inf)
        pairs = np.empty((n, 2), np.int64)
        for p in range(k):
            for q in range(p + 1, k):
                # Points that smoothing has made one have no direction.
                if distances[near[p]] == 0.0 or max(distances[near[p]], distances[near[q]]) > dmax:
                    continue
                first, last = min(near[p], near[q]), max(near[p], near[q])
                if ordered and not first < middle < last:
                    continue
                bend = 1.0 - _cosine(points[middle] - points[first], points[last] - points[middle])
                if bend <= a and bend < best[n - 1]:
                    slot = n - 1
                    while slot > 0 and best[slot - 1] > bend:
                        best[slot], pairs[slot] = best[slot - 1], pairs[slot - 1]
                        slot -= 1
                    best[slot], pairs[slot, 0], pairs[slot, 1] = bend, first, last
        for slot in range(n):
            if best[slot] < math.inf:
                first, last = pairs[slot]
                members[count, 0], members[count, 1], members[count, 2] = first, middle, last
                way = points[last] - points[first]
                triplets[count, :3] = (points[first] + points[middle] + points[last]) / 3.0
                triplets[count, 3:] = way / math.sqrt(np.sum(way * way))
                count += 1
    return members[:count], triplets[:count]


@jit
def _cosine(u: F8, v: F8) -> float:
    """Cosine of the angle between two vectors, neither zero."""
    dot = u[0] * v[0] + u[1] * v[1] + u[2] * v[2]
    return float(dot / math.sqrt((u[0] ** 2 + u[1] ** 2 + u[2] ** 2) * (v[0] ** 2 + v[1] ** 2 + v[2] ** 2)))


@jit
def _triplet_distance(p: F8, q: F8, s: float, ordered: bool) -> float:
    """Metric of triplets: distance of the centres across the directions over `s`, plus tangent of the angle."""
    ux, uy, uz = q[0] - p[0], q[1] - p[1], q[2] - p[2]
    squared = ux * ux + uy * uy + uz * uz
    along_p = ux * p[3] + uy * p[4] + uz * p[5]
    along_q = ux * q[3] + uy * q[4] + uz * q[5]
    across = math.sqrt(max(squared - min(along_p * along_p, along_q * along_q), 0.0))
    cosine = p[3] * q[3] + p[4] * q[4] + p[5] * q[5]
    if not ordered:
        cosine = abs(cosine)
    if cosine <= 1e-8:
        return FAR
    return float(across / s + math.sqrt(max(1.0 - cosine * cosine, 0.0)) / cosine)


@jit
def _link_triplets(triplets: F8, s: float, cut: float, ordered: bool) -> I8:
    """Single-linkage clusters of the triplets, cut at a distance; where that is NaN, before the jump."""
    n = len(triplets)
    reach, source = np.full(n, math.inf), np.zeros(n, np.int64)
    first, second, lengths = np.zeros(n - 1, np.int64), np.zeros(n - 1, np.int64), np.zeros(n - 1)
    outside = np.ones(n, np.bool_)
    current = 0
    for edge in range(n - 1):
        outside[current] = False
        best, following = math.inf, -1
        for j in range(n):
            if not outside[j]:
                continue
            distance = _triplet_distance(triplets[current], triplets[j], s, ordered)
            if distance < reach[j]:
                reach[j], source[j] = distance, current
            if reach[j] < best:
                best, following = reach[j], j
        first[edge], second[edge], lengths[edge] = source[following], following, best
        current = following
    limit = _find_jump(np.sort(lengths)) if math.isnan(cut) else cut
    clusters = np.arange(n)
    # Prim's edges come in the order of growth: the source is labelled before its successor.
    for edge in range(n - 1):
        if lengths[edge] <= limit:
            clusters[second[edge]] = clusters[first[edge]]
    return clusters


@jit
def _find_jump(lengths: F8) -> float:
    """The merging distance before the first great jump, sought in the upper half of the ascending distances.

    The jump is measured against the spread of the distances up to it. Triplets of the same points lie on each other
    and say nothing about that, so their distances of (nearly) zero do not count.
    """
    apart = lengths[lengths > COINCIDENT]
    n = len(apart)
    for i in range(max(n // 2, 1), n):
        if apart[i] > apart[i - 1] + JUMP * np.std(apart[: i + 1]):
            return float(apart[i - 1])
    return float(lengths[-1]) if len(lengths) else 0.0


@jit
def _hand_down(of_triplet: I8, members: I8, n_points: int, m: int) -> I8:
    """Label of each point: the largest cluster of triplets, of at least `m`, that uses it."""
    size = np.zeros(len(of_triplet), np.int64)
    for cluster in of_triplet:
        size[cluster] += 1
    numbers = np.full(len(of_triplet), -1)
    count = 0
    for cluster in range(len(of_triplet)):
        if size[cluster] >= m:
            numbers[cluster] = count
            count += 1
    labels, votes = np.full(n_points, -1), np.zeros(n_points, np.int64)
    for triplet in range(len(of_triplet)):
        cluster = of_triplet[triplet]
        if numbers[cluster] < 0:
            continue
        for point in members[triplet]:
            if size[cluster] > votes[point]:
                labels[point], votes[point] = numbers[cluster], size[cluster]
    return labels
