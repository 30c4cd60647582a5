"""The stage ``mygroup.one_track``: all points of an event are one track, for runs with a source instead of a beam."""

from itertools import pairwise

import numpy as np

from mygroup_stages.params import OneTrackParams
from penstock.tpc.helix import turning_direction
from penstock.tpc.schemas import Clusters, PointCloud

__all__ = ["take_all_points"]


def take_all_points(points: PointCloud, params: OneTrackParams) -> Clusters:
    """One cluster an event, with the label 0; none where there are fewer than `min_points` points."""
    table, offsets = points["points"], points.offsets["points"]
    sizes = np.diff(offsets)
    large = sizes >= params.min_points
    rows = np.flatnonzero(np.repeat(large, sizes))
    borders = np.concatenate([[0], np.cumsum(sizes[large])])
    columns = {name: table[name][rows] for name in ("x", "y", "z", "integral", "scale")}
    columns["index"] = (rows - np.repeat(offsets[:-1], sizes)[rows]).astype("i4")
    place = [columns[axis].astype("f8") for axis in "xyz"]
    directions = [
        turning_direction(*(values[start:stop] for values in place), params.direction_threshold) for start, stop in pairwise(borders)
    ]
    return Clusters(
        n_events=points.n_events,
        columns={
            "events": {c.name: points["events"][c.name] for c in Clusters.table("events").columns},
            "clusters": {"label": np.zeros(len(directions), "i4"), "direction": np.array(directions, "i4")},
            "points": columns,
        },
        offsets={"clusters": np.concatenate([[0], np.cumsum(large)]), "points": borders},
        rejections=points.rejections,
    )
