"""HDBSCAN: density clustering without a density threshold, compiled, for many small clouds.

Core distances, minimum spanning tree of the mutual reachability, condensed tree, clusters by excess of mass
(Campello, Moulavi and Sander 2013; Campello et al. 2015), merged below a distance (Malzer and Baum 2020). Ties are
broken by the order of the points, so a cloud has the same labels alone and among others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.kernels.spanning_tree import core_distances_squared, spanning_tree

__all__ = ["label_clouds"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

LEAST_DISTANCE = 1e-12
"""Coincident points count as this far apart: the density λ = 1/distance stays finite."""


@jit
def label_clouds(positions: F8, offsets: I8, min_cluster_sizes: I8, min_samples: int, epsilon: float) -> I8:
    """Cluster label of every point, -1 for noise; labels count from 0 within each cloud.

    The whole of a cloud is never one cluster, as with ``allow_single_cluster=False`` of scikit-learn.

    Parameters
    ----------
    positions
        Points, (3, points): one row a coordinate, all in the same unit.
    offsets
        Cloud ``i`` is ``positions[:, offsets[i]:offsets[i + 1]]``.
    min_cluster_sizes
        Fewest points of a cluster, one entry a cloud, at least 2.
    min_samples
        The core distance is that to the ``min_samples``-th nearest point, the point itself included.
    epsilon
        Clusters that part below this distance are not parted.

    Returns
    -------
    labels
        (points,)
    """
    labels = np.full(positions.shape[1], -1, np.int64)
    for i in range(len(offsets) - 1):
        start, stop = offsets[i], offsets[i + 1]
        if stop - start >= 2 and stop - start >= min_cluster_sizes[i]:
            _label_cloud(positions[:, start:stop], min_cluster_sizes[i], min_samples, epsilon, labels[start:stop])
    return labels


@jit
def _label_cloud(positions: F8, min_cluster_size: int, min_samples: int, epsilon: float, labels: I8) -> None:
    """Write the labels of one cloud into `labels`."""
    x, y, z = np.ascontiguousarray(positions[0]), np.ascontiguousarray(positions[1]), np.ascontiguousarray(positions[2])
    first, second, lengths = spanning_tree(x, y, z, core_distances_squared(x, y, z, min_samples))
    lengths = np.maximum(lengths, LEAST_DISTANCE)
    left, right, size = _merge(first, second, len(x))
    points, parents, births, stability = _condense(left, right, size, lengths, min_cluster_size)
    chosen = _excess_of_mass(parents, stability)
    if epsilon > 0.0 and len(parents) > 1:
        chosen = _merge_below(epsilon, parents, births, chosen)
    _write_labels(points, parents, chosen, labels)


@jit
def _root(links: I8, node: int) -> int:
    """The set that `node` belongs to; shortens the way for later calls."""
    root = node
    while links[root] != root:
        root = links[root]
    while links[node] != root:
        links[node], node = root, links[node]
    return root


@jit
def _merge(first: I8, second: I8, n: int) -> tuple[I8, I8, I8]:
    """Single-linkage dendrogram: children and size of each node; nodes below `n` are points."""
    links = np.arange(2 * n - 1)
    size = np.ones(2 * n - 1, np.int64)
    left, right = np.full(2 * n - 1, -1), np.full(2 * n - 1, -1)
    for edge in range(n - 1):
        node = n + edge
        left[node], right[node] = _root(links, first[edge]), _root(links, second[edge])
        links[left[node]] = links[right[node]] = node
        size[node] = size[left[node]] + size[right[node]]
    return left, right, size


@jit
def _condense(left: I8, right: I8, size: I8, lengths: F8, min_cluster_size: int) -> tuple[I8, I8, F8, F8]:
    """Condensed tree: clusters that part into two large enough clusters, or lose points.

    Clusters are numbered from 0 (the whole cloud), children after their parents. λ is the inverse of a length.

    Returns
    -------
    points, parents, births, stability
        Cluster that each point falls out of; parent of each cluster (-1 for the whole), λ at which it arises, and its
        excess of mass Σ (λ - birth) over its points.
    """
    n = (len(size) + 1) // 2
    points = np.zeros(n, np.int64)
    parents, births, stability = np.full(n, -1), np.zeros(n), np.zeros(n)
    n_clusters = 1
    queue, of_cluster = np.empty(2 * n, np.int64), np.empty(2 * n, np.int64)
    queue[0], of_cluster[0] = 2 * n - 2, 0
    head, tail = 0, 1
    while head < tail:
        node, cluster = queue[head], of_cluster[head]
        head += 1
        density = 1.0 / lengths[node - n]
        children = (left[node], right[node])
        parts = size[children[0]] >= min_cluster_size and size[children[1]] >= min_cluster_size
        for child in children:
            if parts:
                parents[n_clusters], births[n_clusters] = cluster, density
                stability[cluster] += (density - births[cluster]) * size[child]
                queue[tail], of_cluster[tail] = child, n_clusters
                n_clusters += 1
                tail += 1
            elif size[child] >= min_cluster_size:
                queue[tail], of_cluster[tail] = child, cluster
                tail += 1
            else:
                stability[cluster] += (density - births[cluster]) * size[child]
                _drop(child, cluster, left, right, points)
    return points, parents[:n_clusters], births[:n_clusters], stability[:n_clusters]


@jit
def _drop(node: int, cluster: int, left: I8, right: I8, points: I8) -> None:
    """Let all points below `node` fall out of `cluster`."""
    n = len(points)
    stack = np.empty(n, np.int64)
    stack[0] = node
    depth = 1
    while depth:
        depth -= 1
        node = stack[depth]
        if node < n:
            points[node] = cluster
        else:
            stack[depth], stack[depth + 1] = left[node], right[node]
            depth += 2


@jit
def _excess_of_mass(parents: I8, stability: F8) -> NDArray[np.bool_]:
    """Which clusters are chosen: those that hold more mass than all that they part into."""
    n = len(parents)
    mass = stability.copy()
    below = np.zeros(n)
    chosen = np.zeros(n, np.bool_)
    for cluster in range(n - 1, 0, -1):
        if below[cluster] > mass[cluster]:
            mass[cluster] = below[cluster]
        else:
            chosen[cluster] = True
        below[parents[cluster]] += mass[cluster]
    return _outermost(parents, chosen)


@jit
def _merge_below(epsilon: float, parents: I8, births: F8, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Replace chosen clusters that arise below `epsilon` by the ancestor that arises above it."""
    merged = np.zeros(len(parents), np.bool_)
    for cluster in range(1, len(parents)):
        if not chosen[cluster]:
            continue
        ancestor = cluster
        if 1.0 / births[ancestor] < epsilon:
            while parents[ancestor] > 0:
                ancestor = parents[ancestor]
                if 1.0 / births[ancestor] > epsilon:
                    break
        merged[ancestor] = True
    return _outermost(parents, merged)


@jit
def _outermost(parents: I8, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The chosen clusters that lie in no other chosen one."""
    inside = np.zeros(len(parents), np.bool_)
    outermost = np.zeros(len(parents), np.bool_)
    for cluster in range(1, len(parents)):
        inside[cluster] = inside[parents[cluster]] or chosen[parents[cluster]]
        outermost[cluster] = chosen[cluster] and not inside[cluster]
    return outermost


@jit
def _write_labels(points: I8, parents: I8, chosen: NDArray[np.bool_], labels: I8) -> None:
    """Number the chosen clusters and give each point the number of the one that holds it."""
    numbers = np.full(len(parents), -1)
    count = 0
    for cluster in range(1, len(parents)):
        if chosen[cluster]:
            numbers[cluster] = count
            count += 1
        else:
            numbers[cluster] = numbers[parents[cluster]]
    for i in range(len(points)):
        labels[i] = numbers[points[i]]
