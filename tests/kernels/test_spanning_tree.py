from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from penstock.kernels.spanning_tree import core_distances_squared, spanning_tree

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


def points_of(kind: str, seed: int, n: int) -> F8:
    """Points of one kind, (3, n)."""
    rng = np.random.default_rng(seed)
    if kind == "lattice":
        return rng.integers(0, 5, (3, n)).astype(np.float64)
    angle = np.sort(rng.uniform(0.0, 20.0, n))
    return np.stack([100.0 * np.cos(angle), 100.0 * np.sin(angle), 30.0 * angle]) + rng.normal(0.0, 1.0, (3, n))


def squared_distances(points: F8) -> F8:
    x, y, z = points[:, :, None] - points[:, None, :]
    return x**2 + y**2 + z**2


def prim(reach: F8) -> tuple[I8, I8, F8]:
    """Edges by Prim's algorithm on a matrix of squared lengths, first index first."""
    n = len(reach)
    outside = np.ones(n, dtype=bool)
    shortest, source = np.full(n, np.inf), np.zeros(n, dtype=np.int64)
    edges, current = [], 0
    for _ in range(n - 1):
        outside[current] = False
        nearer = reach[current] < shortest
        shortest[nearer], source[nearer] = reach[current][nearer], current
        current = int(np.argmin(np.where(outside, shortest, np.inf)))
        edges.append((source[current], current, np.sqrt(shortest[current])))
    edges.sort(key=lambda edge: edge[2])
    first, second, lengths = zip(*edges, strict=True)
    return np.array(first), np.array(second), np.array(lengths)


kinds = pytest.mark.parametrize("kind", ["lattice", "helix"])


@kinds
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 90), samples=st.integers(1, 8))
def test_core_distances_are_those_of_sorted_distances(kind: str, seed: int, n: int, samples: int) -> None:
    points = points_of(kind, seed, n)

    core = core_distances_squared(*points, samples)

    np.testing.assert_array_equal(core, np.sort(squared_distances(points), axis=1)[:, min(samples, n) - 1])


@kinds
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 90), samples=st.integers(1, 8))
def test_edges_are_those_of_the_plain_algorithm_also_where_lengths_are_equal(kind: str, seed: int, n: int, samples: int) -> None:
    points = points_of(kind, seed, n)
    core = core_distances_squared(*points, samples)

    edges = spanning_tree(*points, core)

    expected = prim(np.maximum(squared_distances(points), np.maximum(core[:, None], core[None, :])))
    for found, wanted in zip(edges, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_one_point_has_no_edges() -> None:
    alone = np.zeros(1)

    assert [len(column) for column in spanning_tree(alone, alone, alone, alone)] == [0, 0, 0]
