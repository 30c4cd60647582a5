"""The stage ``tpc.clusters``: the points of each event, grouped into tracks.

Groups are formed by HDBSCAN or triplet clustering, freed of outliers, joined where they are pieces of one track, and
freed of outliers again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.kernels.hdbscan import label_clouds
from penstock.kernels.lof import find_inliers
from penstock.tpc.helix import turning_direction
from penstock.tpc.join import join_continuous, join_overlapping
from penstock.tpc.params import ClusterParams
from penstock.tpc.schemas import Clusters, PointCloud
from penstock.tpc.tripclust import label_curves

__all__ = ["find_clusters"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

PLANE_DIAMETER_MM = 584.0
"""Diameter of the pad plane: the clustering scales the length of the detector to it, so that all axes count alike."""


def find_clusters(points: PointCloud, params: ClusterParams) -> Clusters:
    """Group the points of each event into tracks.

    Parameters
    ----------
    points
        Point clouds, mm.
    params
        How to cluster, join and clean.

    Returns
    -------
    clusters
        Clusters of at least two points by ascending label, points ascending in z; events without any stay empty.
    """
    table = points["points"]
    offsets = points.offsets["points"]
    of_event = np.repeat(np.arange(points.n_events), np.diff(offsets))
    order = np.lexsort((table["z"], of_event))
    positions = np.stack([table[axis][order].astype(np.float64) for axis in "xyz"])
    labels = _form(positions, offsets, params)
    labels = _clean(positions, of_event, labels, params.outlier_scale_factor)
    labels = _join(positions, of_event, labels, points.n_events, params)
    labels = _clean(positions, of_event, labels, params.outlier_scale_factor)
    groups = Groups.of(of_event, labels, smallest=2)
    rows = order[groups.rows]
    columns = {name: table[name][rows] for name in ("x", "y", "z", "integral", "scale")}
    columns["index"] = (rows - offsets[of_event[groups.rows]]).astype(np.int32)
    directions = _directions(positions[:, groups.rows], groups.offsets, params.direction_threshold)
    return Clusters(
        n_events=points.n_events,
        columns={
            "events": {c.name: points["events"][c.name] for c in Clusters.table("events").columns},
            "clusters": {"label": groups.labels.astype(np.int32), "direction": directions.astype(np.int32)},
            "points": columns,
        },
        offsets={"clusters": groups.by_event(points.n_events), "points": groups.offsets},
        rejections=points.rejections,
    )


@dataclass(frozen=True, slots=True)
class Groups:
    """Points by group, groups by event: points in rows ``rows[offsets[i]:offsets[i + 1]]`` form group ``i``."""

    rows: I8
    offsets: I8
    events: I8
    labels: I8

    @classmethod
    def of(cls, of_event: I8, labels: I8, smallest: int = 1) -> Groups:
        """Groups by ascending event and label; noise and groups of fewer than `smallest` points belong to none."""
        rows = np.lexsort((labels, of_event))
        rows = rows[labels[rows] >= 0]
        new = np.ones(len(rows), dtype=bool)
        new[1:] = (np.diff(of_event[rows]) != 0) | (np.diff(labels[rows]) != 0)
        sizes = np.diff(np.append(np.flatnonzero(new), len(rows)))
        rows = rows[np.repeat(sizes >= smallest, sizes)]
        offsets = np.append(0, np.cumsum(sizes[sizes >= smallest]))
        first = rows[offsets[:-1]]
        return cls(rows, offsets, of_event[first], labels[first])

    def by_event(self, n_events: int) -> I8:
        """Offsets of the groups of each event, (n_events + 1,)."""
        return np.searchsorted(self.events, np.arange(n_events + 1)).astype(np.int64)


def _form(positions: F8, offsets: I8, params: ClusterParams) -> I8:
    """Label of each point before joining, -1 for noise and in events that are too small."""
    sizes = np.diff(offsets)
    large = sizes >= params.min_cloud_size
    rows = np.repeat(large, sizes)
    cloud_offsets = np.append(0, np.cumsum(sizes[large]))
    clouds = positions[:, rows] * np.array([[1.0], [1.0], [PLANE_DIAMETER_MM / params.detector_length_mm]])
    labels = np.full(positions.shape[1], -1)
    if params.method == "hdbscan":
        chosen = params.hdbscan
        smallest = np.maximum((chosen.min_size_scale_factor * sizes[large]).astype(np.int64), chosen.min_size_lower_cutoff)
        labels[rows] = label_clouds(clouds, cloud_offsets, smallest, chosen.min_points, chosen.cluster_selection_epsilon_mm)
    else:
        labels[rows] = label_curves(positions[:, rows], cloud_offsets, params.tripclust)
    return labels


def _clean(positions: F8, of_event: I8, labels: I8, scale_factor: float) -> I8:
    """The same labels, outliers of their group made noise."""
    if scale_factor == 0.0:
        return labels
    groups = Groups.of(of_event, labels, smallest=2)
    neighbours = np.maximum(2, (scale_factor * np.diff(groups.offsets)).astype(np.int64))
    inlier = find_inliers(positions[:, groups.rows], groups.offsets, neighbours)
    cleaned = np.full_like(labels, -1)
    kept = groups.rows[inlier]
    cleaned[kept] = labels[kept]
    return cleaned


def _join(positions: F8, of_event: I8, labels: I8, n_events: int, params: ClusterParams) -> I8:
    """The same labels, pieces of one track given that of the first."""
    if params.join == "none":
        return labels
    groups = Groups.of(of_event, labels)
    pieces = positions[:, groups.rows], groups.offsets, groups.by_event(n_events)
    if params.join == "continuity":
        near = params.continuity
        joined = join_continuous(*pieces, near.join_radius_fraction, near.join_z_fraction, params.direction_threshold)
    else:
        common = params.overlap
        joined = join_overlapping(*pieces, common.circle_overlap_ratio, common.min_cluster_size_join, params.direction_threshold)
    result = np.full_like(labels, -1)
    result[groups.rows] = np.repeat(groups.labels[joined], np.diff(groups.offsets))
    return result


@jit
def _directions(positions: F8, offsets: I8, threshold: float) -> I8:
    """Direction of each cluster: 1 to +z, -1 to -z, 0 undecided."""
    directions = np.zeros(len(offsets) - 1, np.int64)
    for i in range(len(directions)):
        x, y, z = positions[:, offsets[i] : offsets[i + 1]]
        directions[i] = turning_direction(x.copy(), y.copy(), z.copy(), threshold)
    return directions
