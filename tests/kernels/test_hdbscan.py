from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN

from penstock.kernels.hdbscan import label_clouds

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


def blobs(rng: np.random.Generator, n: int) -> F8:
    """Some blobs of different density, and noise, (3, points)."""
    parts = [rng.normal(rng.uniform(-100, 100, 3), rng.uniform(1, 20), (rng.integers(10, n), 3)) for _ in range(4)]
    return np.ascontiguousarray(np.concatenate([*parts, rng.uniform(-150, 150, (30, 3))]).T)


def label(points: F8, smallest: int, samples: int, epsilon: float) -> I8:
    return label_clouds(points, np.array([0, points.shape[1]]), np.array([smallest]), samples, epsilon)


def partition(labels: I8) -> set[frozenset[int]]:
    """Clusters as sets of points: what is the same for any numbering."""
    return {frozenset(np.flatnonzero(labels == name).tolist()) for name in np.unique(labels) if name >= 0}


def label_with_scikit_learn(points: F8, smallest: int, samples: int, epsilon: float) -> I8:
    """Labels of scikit-learn, made to break ties of the tree's edges as we do: in the order in which they were found."""
    argsort = np.argsort
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "argsort", lambda values, *_, **__: argsort(values, kind="stable"))
        model = HDBSCAN(min_cluster_size=smallest, min_samples=samples, cluster_selection_epsilon=epsilon, copy=True)
        try:
            labels: I8 = model.fit_predict(points.T)
        except TypeError:
            pytest.skip("scikit-learn makes a scalar of an array here, which this NumPy refuses")
    return labels


@pytest.mark.parametrize("epsilon", [0.0, 2.0, 10.0, 30.0])
@pytest.mark.parametrize("seed", range(20))
def test_partition_equals_that_of_scikit_learn(seed: int, epsilon: float) -> None:
    rng = np.random.default_rng(seed)
    points = blobs(rng, 120)
    smallest, samples = int(rng.integers(2, 20)), int(rng.integers(1, 8))

    expected = label_with_scikit_learn(points, smallest, samples, epsilon)

    assert partition(label(points, smallest, samples, epsilon)) == partition(expected)


def test_epsilon_keeps_near_clusters_together() -> None:
    rng = np.random.default_rng(3)
    centers = [[0.0, 0.0, 0.0], [12.0, 0.0, 0.0], [200.0, 0.0, 0.0]]
    points = np.concatenate([rng.normal(center, 1.0, (40, 3)) for center in centers]).T.copy()

    assert len(partition(label(points, 10, 3, 0.0))) == 3
    assert len(partition(label(points, 10, 3, 30.0))) == 2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 5), st.sampled_from([0.0, 10.0]))
def test_cloud_has_the_same_labels_alone_and_among_others(seed: int, smallest: int, samples: int, epsilon: float) -> None:
    rng = np.random.default_rng(seed)
    clouds = [blobs(rng, 30) for _ in range(3)]
    offsets = np.append(0, np.cumsum([cloud.shape[1] for cloud in clouds]))

    together = label_clouds(np.concatenate(clouds, axis=1), offsets, np.full(3, smallest), samples, epsilon)

    alone = np.concatenate([label(cloud, smallest, samples, epsilon) for cloud in clouds])
    np.testing.assert_array_equal(together, alone)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 5), st.sampled_from([0.0, 10.0]))
def test_no_cluster_is_smaller_than_asked_for(seed: int, smallest: int, samples: int, epsilon: float) -> None:
    labels = label(blobs(np.random.default_rng(seed), 30), smallest, samples, epsilon)

    assert all(len(cluster) >= smallest for cluster in partition(labels))


@pytest.mark.parametrize("n", [0, 1, 2, 3], ids=str)
def test_cloud_without_enough_points_is_noise(n: int) -> None:
    assert np.all(label(np.zeros((3, n)), 5, 3, 0.0) == -1)


def test_coincident_points_form_clusters() -> None:
    points = np.zeros((3, 20))
    points[:, 10:] = 5.0

    assert partition(label(points, 5, 3, 0.0)) == {frozenset(range(10)), frozenset(range(10, 20))}


def test_more_samples_than_points_are_cut_to_all() -> None:
    points = blobs(np.random.default_rng(5), 20)

    np.testing.assert_array_equal(label(points, 5, 10_000, 0.0), label(points, 5, points.shape[1], 0.0))
