from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from toytracks import ToyTrack

from penstock.tpc import tripclust
from penstock.tpc.params import TripclustParams

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


def label(points: F8, **settings: Any) -> I8:
    params = TripclustParams(**{"m": 10, **settings})
    return tripclust.label_curves(points.T.copy(), np.array([0, len(points)]), params)


def crossing_lines(noise: float = 0.3) -> tuple[F8, I8]:
    """Two lines through one point, in order of z, and which line each point is of."""
    rng = np.random.default_rng(1)
    way = np.arange(-80.0, 80.0, 2.0)[:, None]
    points = np.concatenate([way * [1.0, 0.0, 1.0], way * [-1.0, 0.2, 1.0]]) + rng.normal(0.0, noise, (160, 3))
    order = np.argsort(points[:, 2])
    return points[order], np.repeat([0, 1], 80)[order]


def clusters(labels: I8) -> int:
    return len(np.unique(labels[labels >= 0]))


def reference_distance(p: F8, q: F8, s: float, ordered: bool) -> float:
    """The metric of the paper for two triplets."""
    apart = q[:3] - p[:3]
    across = max(np.linalg.norm(apart - (apart @ d) * d) for d in (p[3:], q[3:]))
    cosine = p[3:] @ q[3:] if ordered else abs(p[3:] @ q[3:])
    return float(across / s + np.tan(np.arccos(min(cosine, 1.0)))) if cosine > 1e-8 else 1e8


def reference_triplets(points: F8, k: int, n: int, a: float, ordered: bool) -> set[tuple[int, int, int]]:
    """Members of the best triplets around each point."""
    found: set[tuple[int, int, int]] = set()
    for middle, point in enumerate(points):
        near = np.argsort(np.linalg.norm(points - point, axis=1), kind="stable")[1 : k + 1]
        candidates = []
        for first in near:
            for last in near:
                u, v = point - points[first], points[last] - point
                bend = 1.0 - (u @ v) / np.linalg.norm(u) / np.linalg.norm(v)
                if first < last and bend <= a and (not ordered or first < middle < last):
                    candidates.append((bend, int(first), middle, int(last)))
        found |= {(first, middle, last) for _, first, middle, last in sorted(candidates)[:n]}
    return found


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
def test_triplets_are_the_straightest_of_the_neighbours(ordered: bool) -> None:
    points = crossing_lines()[0][:60]

    members, triplets = tripclust._make_triplets(points, 8, 2, 0.05, np.inf, ordered)

    assert {(int(f), int(m), int(c)) for f, m, c in members} == reference_triplets(points, 8, 2, 0.05, ordered)
    np.testing.assert_allclose(triplets[:, :3], points[members].mean(axis=1))
    np.testing.assert_allclose(np.linalg.norm(triplets[:, 3:], axis=1), 1.0)


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
def test_linking_equals_single_linkage_of_scipy(ordered: bool) -> None:
    _, triplets = tripclust._make_triplets(crossing_lines()[0], 8, 2, 0.05, np.inf, ordered)
    square = np.array([[reference_distance(p, q, 2.0, ordered) for q in triplets] for p in triplets])
    np.fill_diagonal(square, 0.0)

    expected = fcluster(linkage(squareform(square, checks=False), "single"), 1.5, "distance")

    found = tripclust._link_triplets(triplets, 2.0, 1.5, ordered)
    assert len(np.unique(found)) == len(np.unique(expected)) == len(np.unique(np.stack([found, expected]), axis=1).T)


def test_crossing_lines_are_told_apart() -> None:
    points, line = crossing_lines()

    labels = label(points)

    agrees = [np.mean(line[labels == name] == round(line[labels == name].mean())) for name in np.unique(labels[labels >= 0])]
    assert clusters(labels) == 2
    assert min(agrees) > 0.9


def test_noise_belongs_to_no_curve() -> None:
    points, _ = crossing_lines()
    rng = np.random.default_rng(2)
    noisy = np.concatenate([points, rng.uniform(-400.0, 400.0, (20, 3))])
    order = np.argsort(noisy[:, 2])

    labels = label(noisy[order])

    assert np.mean(labels[order >= len(points)] < 0) > 0.8
    assert np.mean(labels[order < len(points)] >= 0) > 0.8


def test_curves_hold_single_turns_of_a_track() -> None:
    points = ToyTrack(n=400, noise_mm=0.5).points(1)
    turn = np.cumsum(np.diff(points[:, 2], prepend=points[0, 2]) > 8.0)

    labels = label(points, m=50)

    shares = [np.bincount(turn[labels == name]).max() / np.sum(labels == name) for name in range(labels.max() + 1)]
    assert min(shares) > 0.95
    assert np.mean(labels >= 0) > 0.9


def test_single_triplet_is_a_curve_where_one_is_enough() -> None:
    line = np.arange(3.0)[:, None] * [1.0, 1.0, 1.0]

    assert label(line, m=1, r=0.0).tolist() == [0, 0, 0]


def test_cloud_has_the_same_labels_alone_and_among_others() -> None:
    one, two = crossing_lines()[0], ToyTrack(n=200).points(2)
    offsets = np.array([0, len(one), len(one) + len(two)])

    together = tripclust.label_curves(np.concatenate([one, two]).T.copy(), offsets, TripclustParams(m=10))

    np.testing.assert_array_equal(together, np.concatenate([label(one), label(two)]))


@pytest.mark.parametrize("n", [0, 1, 2, 5], ids=str)
def test_too_few_points_are_noise(n: int) -> None:
    assert np.all(label(np.zeros((n, 3))) == -1)


@pytest.mark.parametrize(
    "settings",
    [
        {"r": 0.0},
        {"r": 10.0, "rdnn": False},
        {"k": 4},
        {"n": 1},
        {"a": 1e-6},
        {"s": 30.0},
        {"s": 0.3, "sdnn": False, "tauto": False, "t": 4.0},
        {"tauto": False, "t": 0.3},
        {"dmax": 2.5},
        {"dmax": 1.0, "dmax_dnn": True},
        {"ordered": False},
        {"m": 120},
        {"postprocess": True, "min_depth": 5},
    ],
    ids=lambda settings: " ".join(settings),
)
def test_every_parameter_changes_the_labels_of_some_cloud(settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    points = np.concatenate([crossing_lines(1.0)[0], rng.uniform(-80.0, 80.0, (80, 3)), ToyTrack(n=150).points(4) - [0.0, 0.0, 400.0]])
    points = points[np.argsort(points[:, 2])]

    assert not np.array_equal(label(points, **settings), label(points))
