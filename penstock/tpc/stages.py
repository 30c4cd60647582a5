"""The stages of the TPC family. Light: declarations only; bodies are imported where they run."""

from __future__ import annotations

from penstock.core.stage import stage
from penstock.formats.scalers import Scalers
from penstock.tpc.assets import Electronics, FieldMap, GasTable, Gates, PadMap, StoppingTables
from penstock.tpc.params import (
    BaselineParams,
    ClusterParams,
    EstimateParams,
    FitParams,
    KinematicsParams,
    MergeParams,
    MeshParams,
    PointParams,
    ReadoutParams,
    ScalerParams,
)
from penstock.tpc.schemas import Clusters, Estimates, Fits, FlatTraces, Kinematics, PointCloud, Readout, Traces, TrackMesh

__all__ = ["STAGES"]

readout = stage(
    "tpc.readout",
    version=2,
    body="penstock.tpc.readout:note_readout",
    params=ReadoutParams,
    reads={},
    assets={"electronics": Electronics},
    writes=Readout,
    lane="tpc",
    unit="run",
    summary=("incomplete", "silent"),
    figure="penstock.views.tpc_readout:draw_readout",
    modules=("penstock.tpc.electronics",),
)

merge = stage(
    "tpc.merge",
    version=1,
    body="penstock.tpc.merge:merge_traces",
    params=MergeParams,
    reads={"traces": Traces},
    assets={"electronics": Electronics},
    writes=Traces,
    lane="tpc",
    block=16,
    summary=("pads", "silicon"),
    figure="penstock.views.tpc_traces:draw_traces",
    modules=("penstock.tpc.electronics",),
)

baselines = stage(
    "tpc.baselines",
    version=1,
    body="penstock.tpc.baselines:subtract_baselines",
    params=BaselineParams,
    reads={"traces": Traces},
    tables={"traces": ("pads",)},
    writes=FlatTraces,
    lane="gpu",
    block=16,
    tolerance=1e-5,
    summary=("pads",),
    figure="penstock.views.tpc_baselines:draw_baselines",
)

points = stage(
    "tpc.points",
    version=1,
    body="penstock.tpc.points:find_points",
    params=PointParams,
    reads={"traces": Traces},
    tables={"traces": ("pads", "frib", "frib_samples")},
    assets={"pads": PadMap, "field": FieldMap},
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

mesh = stage(
    "tpc.mesh",
    version=1,
    body="penstock.tpc.mesh:make_mesh",
    subject="none",
    count="penstock.tpc.mesh:count_nodes",
    params=MeshParams,
    reads={},
    assets={"gas": GasTable, "stopping": StoppingTables},
    writes=TrackMesh,
    lane="tpc",
    block=512,
    tolerance=1e-4,
    figure="penstock.views.tpc_mesh:draw_mesh",
)

fits = stage(
    "tpc.fits",
    version=1,
    body="penstock.tpc.fits:fit_tracks",
    params=FitParams,
    reads={"clusters": Clusters, "estimates": Estimates, "mesh": TrackMesh},
    assets={"gates": Gates, "gas": GasTable},
    writes=Fits,
    lane="tpc",
    block=64,
    tolerance=1e-4,
    summary=("fits",),
    figure="penstock.views.tpc_fit:draw_fits",
)

kinematics = stage(
    "tpc.kinematics",
    version=1,
    body="penstock.tpc.kinematics:reconstruct_reaction",
    params=KinematicsParams,
    reads={"fits": Fits},
    assets={"gas": GasTable, "stopping": StoppingTables},
    writes=Kinematics,
    lane="tpc",
    block=1024,
    tolerance=1e-4,
    summary=("kinematics",),
    figure="penstock.views.tpc_kinematics:draw_kinematics",
)

scalers = stage(
    "tpc.scalers",
    version=1,
    body="penstock.tpc.scalers:read_scalers_of_run",
    params=ScalerParams,
    reads={},
    writes=Scalers,
    lane="tpc",
    unit="run",
    summary=("scalers",),
    figure="penstock.views.tpc_scalers:draw_scalers",
)

STAGES = (readout, scalers, merge, baselines, points, clusters, estimates, mesh, fits, kinematics)
