from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from toytracks import ToyTrack, cloud_of

from penstock.core.schema import Rejection
from penstock.tpc.clusters import find_clusters
from penstock.tpc.params import ClusterParams, ContinuityParams, HdbscanParams, OverlapParams, TripclustParams
from penstock.tpc.schemas import Clusters, PointCloud

F8 = NDArray[np.float64]


def one_track(seed: int, **changes: Any) -> F8:
    return ToyTrack(**changes).points(seed)


def two_tracks(seed: int) -> F8:
    points = np.concatenate([one_track(seed, azimuthal_rad=0.5), one_track(seed + 1, azimuthal_rad=3.6, polar_rad=0.8)])
    return points[np.argsort(points[:, 2])]


def counts(clusters: Clusters) -> list[int]:
    """Clusters of each event."""
    return np.diff(clusters.offsets["clusters"]).tolist()


def assert_same(one: Clusters, two: Clusters) -> None:
    for name, table in one.columns.items():
        for column, values in table.items():
            np.testing.assert_array_equal(values, two[name][column], err_msg=f"{name}.{column}")
    for name, offsets in one.offsets.items():
        np.testing.assert_array_equal(offsets, two.offsets[name], err_msg=name)


def event_of(clusters: Clusters, i: int) -> Clusters:
    """One event of a block, as a block of its own."""
    first, last = clusters.offsets["clusters"][i : i + 2]
    start, stop = clusters.offsets["points"][[first, last]]
    parts = {"events": slice(i, i + 1), "clusters": slice(first, last), "points": slice(start, stop)}
    return Clusters(
        n_events=1,
        columns={name: {c: values[parts[name]] for c, values in table.items()} for name, table in clusters.columns.items()},
        offsets={"clusters": np.array([0, last - first]), "points": clusters.offsets["points"][first : last + 1] - start},
    )


@pytest.mark.parametrize("method", ["hdbscan", "tripclust"])
@pytest.mark.parametrize("join", ["continuity", "overlap"])
def test_every_track_is_one_cluster(method: Any, join: Any) -> None:
    events = [one_track(1, noise_mm=0.5), two_tracks(2), one_track(4, polar_rad=2.1, vertex_z_mm=800.0, noise_mm=0.5)]

    clusters = find_clusters(cloud_of(events), ClusterParams(method=method, join=join))

    assert counts(clusters) == [1, 2, 1]
    assert clusters["clusters"]["direction"].tolist() == [1, 1, 1, -1]


def test_without_joining_each_turn_is_a_cluster() -> None:
    clusters = find_clusters(cloud_of([one_track(1)]), ClusterParams(join="none"))

    assert counts(clusters)[0] > 1
    assert set(clusters["clusters"]["direction"].tolist()) == {1}


def test_tables_have_the_declared_columns_and_types() -> None:
    clusters = find_clusters(cloud_of([one_track(1), np.zeros((0, 3))]), ClusterParams())

    for table in Clusters.tables:
        assert [(name, values.dtype.str[1:]) for name, values in clusters[table.name].items()] == [(c.name, c.dtype) for c in table.columns]


def test_points_are_those_of_the_cloud_and_ascend_in_z() -> None:
    cloud = cloud_of([two_tracks(1), two_tracks(5)])

    clusters = find_clusters(cloud, ClusterParams())

    event = np.repeat(np.repeat([0, 1], counts(clusters)), np.diff(clusters.offsets["points"]))
    rows = cloud.offsets["points"][event] + clusters["points"]["index"]
    assert len(np.unique(rows)) == len(rows)
    for name in ("x", "y", "z", "integral", "scale"):
        np.testing.assert_array_equal(clusters["points"][name], cloud["points"][name][rows])
    within = np.ones(len(rows) - 1, bool)
    within[clusters.offsets["points"][1:-1] - 1] = False
    assert np.all(np.diff(clusters["points"]["z"])[within] >= 0)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["hdbscan", "tripclust"]), st.sampled_from(["continuity", "overlap", "none"]))
def test_event_has_the_same_clusters_alone_and_in_a_block(seed: int, method: Any, join: Any) -> None:
    events = [
        one_track(seed, n=150),
        np.zeros((0, 3)),
        two_tracks(seed + 1)[::3],
        one_track(seed, n=20),
        one_track(seed, polar_rad=2.0)[::2],
    ]
    params = ClusterParams(method=method, join=join)

    block = find_clusters(cloud_of(events), params)

    for i in range(len(events)):
        cloud = cloud_of(events)
        start, stop = cloud.offsets["points"][i : i + 2]
        columns = {
            "events": {name: values[i : i + 1] for name, values in cloud["events"].items()},
            "points": {name: values[start:stop] for name, values in cloud["points"].items()},
        }
        alone = find_clusters(PointCloud(1, columns, {"points": np.array([0, stop - start])}), params)
        assert_same(alone, event_of(block, i))


def test_points_need_not_come_in_order_of_z() -> None:
    points = one_track(1)
    shuffled = points[np.random.default_rng(1).permutation(len(points))]

    ordered, unordered = (find_clusters(cloud_of([p]), ClusterParams()) for p in (points, shuffled))

    np.testing.assert_array_equal(ordered["points"]["x"], unordered["points"]["x"])


def test_equal_z_does_no_harm() -> None:
    points = one_track(1)
    points[:, 2] = np.round(points[:, 2] / 4.0) * 4.0

    assert counts(find_clusters(cloud_of([points]), ClusterParams())) == [1]


def test_small_cloud_has_no_clusters() -> None:
    points = one_track(1, n=200)

    assert counts(find_clusters(cloud_of([points]), ClusterParams(min_cloud_size=len(points)))) == [1]
    assert counts(find_clusters(cloud_of([points]), ClusterParams(min_cloud_size=len(points) + 1))) == [0]


def test_block_without_points_has_no_clusters() -> None:
    assert counts(find_clusters(cloud_of([np.zeros((0, 3))] * 3), ClusterParams())) == [0, 0, 0]


def test_noise_far_from_the_track_is_left_out() -> None:
    rng = np.random.default_rng(1)
    points = np.concatenate([one_track(1), rng.uniform(-250, 250, (15, 3)) + np.array([0.0, 0.0, 500.0])])

    clusters = find_clusters(cloud_of([points[np.argsort(points[:, 2])]]), ClusterParams())

    apart = np.hypot(clusters["points"]["x"], clusters["points"]["y"])
    assert apart.max() < 170.0


def test_without_outlier_scale_every_point_of_a_cluster_stays() -> None:
    cloud = cloud_of([one_track(1)])

    kept, cleaned = (len(find_clusters(cloud, ClusterParams(outlier_scale_factor=f))["points"]["x"]) for f in (0.0, 0.1))

    assert kept > cleaned


@pytest.mark.parametrize(
    "changes",
    [
        {"hdbscan": HdbscanParams(min_points=12)},
        {"hdbscan": HdbscanParams(min_size_scale_factor=0.3)},
        {"hdbscan": HdbscanParams(min_size_lower_cutoff=200)},
        {"hdbscan": HdbscanParams(cluster_selection_epsilon_mm=60.0)},
        {"continuity": ContinuityParams(join_radius_fraction=0.001)},
        {"continuity": ContinuityParams(join_z_fraction=0.001)},
        {"join": "overlap", "overlap": OverlapParams(circle_overlap_ratio=0.99)},
        {"join": "overlap", "overlap": OverlapParams(min_cluster_size_join=400)},
        {"method": "tripclust", "tripclust": TripclustParams(k=5)},
        {"detector_length_mm": 100.0},
        {"outlier_scale_factor": 0.02},
        {"direction_threshold": 0.99},
    ],
    ids=lambda changes: " ".join(
        next(iter(value.model_dump(exclude_defaults=True)), name) if hasattr(value, "model_dump") else name
        for name, value in changes.items()
    ),
)
def test_every_parameter_changes_the_clusters(changes: dict[str, Any]) -> None:
    cloud = cloud_of([two_tracks(1), one_track(2, noise_mm=6.0, polar_rad=1.5, n=300)])
    fixed = {name: changes[name] for name in ("method", "join") if name in changes and len(changes) > 1 and changes[name] != "tripclust"}

    changed = find_clusters(cloud, ClusterParams(**changes))

    with pytest.raises(AssertionError):
        assert_same(find_clusters(cloud, ClusterParams(**fixed)), changed)


def test_event_columns_and_rejections_are_handed_on() -> None:
    cloud = cloud_of([one_track(1), np.zeros((0, 3))])
    cloud.rejections = (Rejection(1, "down-scale trigger", excluded=True),)

    clusters = find_clusters(cloud, ClusterParams())

    assert clusters["events"]["event"].tolist() == [10, 11]
    assert clusters["events"]["ic_amplitude"].tolist() == [0.0, 1.0]
    assert clusters.rejections == cloud.rejections
