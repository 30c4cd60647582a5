"""The stage ``mygroup.inside``: a point cloud without the points that lie outside of the detector."""

import numpy as np

from mygroup_stages.params import InsideParams
from penstock.tpc.schemas import PointCloud

__all__ = ["keep_inside"]


def keep_inside(points: PointCloud, params: InsideParams) -> PointCloud:
    """The same events with the points between `z_min_mm` and `z_max_mm` only."""
    table, offsets = points["points"], points.offsets["points"]
    inside = (table["z"] >= params.z_min_mm) & (table["z"] <= params.z_max_mm)
    kept = np.concatenate([[0], np.cumsum(inside)])
    return PointCloud(
        n_events=points.n_events,
        columns={"events": points["events"], "points": {name: values[inside] for name, values in table.items()}},
        offsets={"points": kept[offsets]},
        rejections=points.rejections,
    )
