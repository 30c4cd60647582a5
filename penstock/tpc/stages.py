"""The stages of the TPC family. Light: declarations only; bodies are imported where they run."""

from __future__ import annotations

from penstock.core.stage import stage
from penstock.tpc.params import ClusterParams, EstimateParams, PointParams
from penstock.tpc.schemas import Clusters, Estimates, PadMap, PointCloud, Traces

__all__ = ["STAGES"]

points = stage(
    "tpc.points",
    version=1,
    body="penstock.tpc.points:find_points",
    params=PointParams,
    reads={"traces": Traces},
    assets={"pads": PadMap},
    writes=PointCloud,
    lane="tpc",
    block=32,
    tolerance=1e-5,
    summary=("points",),
    figure="penstock.views.tpc_run:draw_points",
    modules=("penstock.tpc.pads",),
)

clusters = stage(
    "tpc.clusters",
    version=1,
    body="penstock.tpc.clusters:find_clusters",
    params=ClusterParams,
    reads={"points": PointCloud},
    writes=Clusters,
    lane="tpc",
    block=64,
    tolerance=1e-5,
    summary=("clusters",),
    figure="penstock.views.tpc_run:draw_clusters",
)

estimates = stage(
    "tpc.estimates",
    version=1,
    body="penstock.tpc.estimates:estimate_tracks",
    params=EstimateParams,
    reads={"clusters": Clusters},
    writes=Estimates,
    lane="tpc",
    block=128,
    tolerance=1e-6,
    summary=("estimates",),
    figure="penstock.views.tpc_run:draw_estimates",
)

STAGES = (points, clusters, estimates)
