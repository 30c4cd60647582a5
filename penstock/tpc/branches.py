"""Splitting a cluster where curves meet: points of its minimum spanning tree from which three long branches go out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit

__all__ = ["split_branches"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@jit
def split_branches(points: F8, labels: I8, min_depth: int) -> I8:
    """Labels with each cluster taken apart at its forks.

    Parameters
    ----------
    points
        Points in mm, (points, 3).
    labels
        Cluster of each point, -1 for noise, (points,).
    min_depth
        A branch counts when a way of at least so many edges leads into it; three of them make a fork. The fork
        and its shorter branches stay with the first of the three.

    Returns
    -------
    labels
        Counted from 0 in order of cluster and branch, (points,).
    """
    split = np.full(len(labels), -1)
    count = 0
    for label in range(labels.max() + 1):
        rows = np.flatnonzero(labels == label)
        if len(rows) == 0:
            continue
        parts = _part(points[rows], min_depth)
        for i in range(len(rows)):
            if parts[i] >= 0:
                split[rows[i]] = count + parts[i]
        count += parts.max() + 1
    return split


@jit
def _part(points: F8, min_depth: int) -> I8:
    """Part of each point of one cluster, counted from 0."""
    order, parents = _spanning_tree(points)
    down, up = _depths(order, parents)
    deep_branches = np.zeros(len(points), np.int64)
    for point in order:
        deep_branches[point] += up[point] >= min_depth
        if parents[point] >= 0:
            deep_branches[parents[point]] += down[point] + 1 >= min_depth
    continued = up >= min_depth
    parts = np.zeros(len(points), np.int64)
    count = 1
    for point in order[1:]:
        parent = parents[point]
        parts[point] = parts[parent]
        if deep_branches[parent] >= 3 and down[point] + 1 >= min_depth:
            if continued[parent]:
                parts[point] = count
                count += 1
            continued[parent] = True
    return parts


@jit
def _spanning_tree(points: F8) -> tuple[I8, I8]:
    """Minimum spanning tree by Prim's algorithm: points in the order in which they join, and the parent of each."""
    n = len(points)
    reach = np.full(n, math.inf)
    order, parents = np.zeros(n, np.int64), np.full(n, -1)
    outside = np.ones(n, np.bool_)
    for step in range(1, n):
        current = order[step - 1]
        outside[current] = False
        best = math.inf
        for j in range(n):
            if outside[j]:
                distance = np.sum((points[j] - points[current]) ** 2)
                if distance < reach[j]:
                    reach[j], parents[j] = distance, current
                if reach[j] < best:
                    best, order[step] = reach[j], j
    return order, parents


@jit
def _depths(order: I8, parents: I8) -> tuple[I8, I8]:
    """Edges of the longest way from each point away from the root, and of the longest that begins towards it."""
    n = len(order)
    down, second, up = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    for point in order[:0:-1]:
        parent, length = parents[point], down[point] + 1
        second[parent] = max(second[parent], min(down[parent], length))
        down[parent] = max(down[parent], length)
    for point in order[1:]:
        parent = parents[point]
        beside = second[parent] if down[parent] == down[point] + 1 else down[parent]
        up[point] = 1 + max(up[parent], beside)
    return down, up
