from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.neighbors import LocalOutlierFactor

from penstock.kernels.lof import find_inliers, outlier_factors

F8 = NDArray[np.float64]


def cloud(seed: int, n: int) -> F8:
    """A blob with a thin halo, (3, n)."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0.0, 30.0, (3, n))
    points[:, : n // 8] *= 4.0
    return points


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 150), st.floats(0.02, 0.9))
def test_factors_equal_those_of_scikit_learn(seed: int, n: int, fraction: float) -> None:
    points, k = cloud(seed, n), max(2, int(fraction * n))

    expected = LocalOutlierFactor(n_neighbors=k).fit(points.T)

    np.testing.assert_allclose(outlier_factors(points, k), -expected.negative_outlier_factor_, rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 150))
def test_inliers_equal_those_of_scikit_learn(seed: int, n: int) -> None:
    points, k = cloud(seed, n), max(2, n // 10)

    expected = LocalOutlierFactor(n_neighbors=k).fit_predict(points.T) == 1

    np.testing.assert_array_equal(find_inliers(points, np.array([0, n]), np.array([k])), expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_group_has_the_same_inliers_alone_and_among_others(seed: int, sizes: list[int]) -> None:
    groups = [cloud(seed + i, n) for i, n in enumerate(sizes)]
    offsets = np.append(0, np.cumsum(sizes))

    together = find_inliers(np.concatenate(groups, axis=1), offsets, np.full(len(sizes), 5))

    alone = [find_inliers(group, np.array([0, group.shape[1]]), np.array([5])) for group in groups]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_far_point_is_an_outlier() -> None:
    points = cloud(1, 60)
    points[:, 17] = 2000.0

    assert not find_inliers(points, np.array([0, 60]), np.array([6]))[17]


@pytest.mark.parametrize("n", [0, 1], ids=["empty", "one point"])
def test_group_without_neighbours_keeps_all_points(n: int) -> None:
    assert np.all(find_inliers(np.zeros((3, n)), np.array([0, n]), np.array([2])))


def test_no_neighbours_asked_for_keeps_all_points() -> None:
    points = cloud(1, 60)
    points[:, 17] = 2000.0

    assert np.all(find_inliers(points, np.array([0, 60]), np.array([0])))


def test_coincident_points_are_inliers() -> None:
    assert np.all(find_inliers(np.zeros((3, 20)), np.array([0, 20]), np.array([3])))


def test_of_equally_far_neighbours_the_earlier_count() -> None:
    points = np.array([[0.0, 1.0, -1.0, 3.0, 7.0], [0.0] * 5, [0.0] * 5])

    # One neighbour: the origin takes point 1, not 2, so the reach of its neighbour is that of point 1.
    density = 1.0 / (np.array([1.0, 1.0, 1.0, 2.0, 4.0]) + 1e-10)
    neighbour = np.array([1, 0, 0, 1, 3])
    np.testing.assert_allclose(outlier_factors(points, 1), density[neighbour] / density)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 150), st.floats(0.02, 0.9))
def test_factors_of_points_ascending_in_z_equal_those_of_scikit_learn(seed: int, n: int, fraction: float) -> None:
    points, k = cloud(seed, n), max(2, int(fraction * n))
    points = points[:, np.argsort(points[2])]

    expected = LocalOutlierFactor(n_neighbors=k).fit(points.T)

    np.testing.assert_allclose(outlier_factors(points, k), -expected.negative_outlier_factor_, rtol=1e-9)


@pytest.mark.parametrize("order", ["ascending", "as drawn"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 80), k=st.integers(1, 79))
def test_factors_of_equally_far_points_equal_those_of_a_plain_calculation(order: str, seed: int, n: int, k: int) -> None:
    points, k = np.random.default_rng(seed).integers(0, 4, (3, n)).astype(np.float64), min(k, n - 1)
    if order == "ascending":
        points = points[:, np.argsort(points[2])]
    distances = np.sqrt(((points[:, :, None] - points[:, None, :]) ** 2).sum(axis=0))
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    reach = np.maximum(np.take_along_axis(distances, nearest, axis=1), np.sort(distances, axis=1)[:, k - 1][nearest])
    density = 1.0 / (reach.mean(axis=1) + 1e-10)

    np.testing.assert_allclose(outlier_factors(points, k), density[nearest].mean(axis=1) / density, rtol=1e-9)
