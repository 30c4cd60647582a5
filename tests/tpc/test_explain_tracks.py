"""Why a cluster gives no estimate: the reasons come from the same kernel as the rows."""

from __future__ import annotations

import numpy as np
import pytest
from toytracks import ToyTrack

from penstock.tpc.estimates import estimate_tracks, explain_tracks
from penstock.tpc.params import EstimateParams
from penstock.tpc.schemas import Clusters

POINTS = ToyTrack().points(1)
FAR = POINTS + np.array([400.0, 0.0, 0.0])
LINE = np.column_stack([np.full(60, 5.0), np.full(60, 5.0), np.arange(60.0)])


def clusters_of(groups: list[np.ndarray], directions: list[int]) -> Clusters:
    """One event with the given clusters."""
    points = np.concatenate(groups).astype(np.float32)
    columns = {name: dict(table) for name, table in Clusters.empty(1).columns.items()}
    columns["clusters"] = {"label": np.arange(len(groups), dtype=np.int32), "direction": np.array(directions, np.int32)}
    columns["points"] = {c.name: np.full(len(points), 100, c.dtype) for c in Clusters.table("points").columns}
    columns["points"] |= {name: points[:, axis].copy() for axis, name in enumerate("xyz")}
    offsets = {"clusters": np.array([0, len(groups)]), "points": np.cumsum([0, *map(len, groups)])}
    return Clusters(n_events=1, columns=columns, offsets=offsets)


@pytest.mark.parametrize(
    "group, direction, changes, reason",
    [
        (POINTS, 1, {}, ""),
        (POINTS[:20], 1, {}, "20 points, fewer than min_total_trajectory_points (30)"),
        (POINTS, 0, {}, "its direction is undecided"),
        (LINE, 1, {}, "no spiral fits its first turn"),
        (FAR, 1, {}, " mm from the axis, beyond beam_region_radius_mm (25)"),
        (POINTS, -1, {"beam_region_radius_mm": 1000.0}, "it turns as a particle that runs to the window, but its slope (polar "),
        (POINTS, 1, {"small_pad_radius_mm": 20.0}, "it has no length within small_pad_radius_mm (20)"),
    ],
    ids=["a track", "few points", "no direction", "a line", "far from the axis", "wrong way", "no length"],
)
def test_the_reason_names_the_rule_and_the_value(group, direction: int, changes: dict[str, float], reason: str) -> None:
    (found,) = explain_tracks(clusters_of([group], [direction]), EstimateParams(**changes))

    assert reason in found
    assert bool(found) == bool(reason)


def test_a_cluster_has_either_a_row_or_a_reason() -> None:
    clusters = clusters_of([POINTS, POINTS[:10], FAR, POINTS], [1, 1, 1, -1])

    reasons = explain_tracks(clusters, EstimateParams())

    rows = estimate_tracks(clusters, EstimateParams())["estimates"]["cluster_index"].tolist()
    assert [i for i, reason in enumerate(reasons) if not reason] == rows == [0]
