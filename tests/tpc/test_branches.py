from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penstock.tpc.branches import split_branches

F8 = NDArray[np.float64]


def star(*lengths: int) -> F8:
    """Rays of points 1 mm apart from the origin, which is the first point, in a plane."""
    rays = [
        np.arange(1.0, n + 1)[:, None] * [np.cos(angle), np.sin(angle), 0.0]
        for n, angle in zip(lengths, np.arange(9.0) * 2.0, strict=False)
    ]
    return np.concatenate([np.zeros((1, 3)), *rays])


def split(points: F8, min_depth: int) -> list[int]:
    return [int(label) for label in split_branches(points, np.zeros(len(points), np.int64), min_depth)]


def test_three_long_branches_come_apart() -> None:
    assert split(star(30, 30, 30), 25) == [0] * 31 + [1] * 30 + [2] * 30


def test_result_does_not_depend_on_where_the_tree_begins() -> None:
    labels = split(star(30, 30, 30)[::-1].copy(), 25)

    assert np.unique(labels, return_counts=True)[1].tolist() == [31, 30, 30]
    assert len(set(labels[:30])) == len(set(labels[30:60])) == len(set(labels[60:90])) == 1


def test_short_branch_makes_no_fork() -> None:
    assert set(split(star(30, 30, 10), 25)) == {0}


def test_greater_depth_splits_less() -> None:
    assert set(split(star(30, 30, 30), 31)) == {0}


def test_short_branch_stays_with_the_fork() -> None:
    labels = split(star(30, 30, 30, 3), 25)

    assert labels[91:] == [labels[0]] * 3


def test_curve_without_forks_stays_whole() -> None:
    line = np.arange(200.0)[:, None] * [1.0, 0.5, 0.2]

    assert set(split(line, 25)) == {0}


def test_noise_stays_noise_and_labels_count_on() -> None:
    points = np.concatenate([star(30, 30, 30), star(10) + 500.0, np.full((2, 3), -900.0)])
    labels = np.concatenate([np.zeros(91, np.int64), np.full(11, 1), np.full(2, -1)])

    found = split_branches(points, labels, 25)

    assert found[91:].tolist() == [3] * 11 + [-1, -1]
