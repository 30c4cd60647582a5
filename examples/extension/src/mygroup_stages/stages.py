"""Our stages. Light: declarations only; bodies are imported where they run."""

from mygroup_stages.params import EnergyParams, InsideParams, OneTrackParams
from mygroup_stages.schemas import Energies
from penstock.core.stage import stage
from penstock.tpc.schemas import Clusters, Estimates, PointCloud

__all__ = ["energies", "inside", "one_track"]

inside = stage(
    "mygroup.inside",
    version=1,
    body="mygroup_stages.inside:keep_inside",
    params=InsideParams,
    reads={"points": PointCloud},
    writes=PointCloud,
    lane="tpc",
    block=32,
    summary=("points",),
)

one_track = stage(
    "mygroup.one_track",
    version=1,
    body="mygroup_stages.one_track:take_all_points",
    params=OneTrackParams,
    reads={"points": PointCloud},
    writes=Clusters,
    lane="tpc",
    summary=("clusters",),
)

energies = stage(
    "mygroup.energies",
    version=1,
    body="mygroup_stages.energies:find_energies",
    params=EnergyParams,
    reads={"clusters": Clusters, "estimates": Estimates},
    writes=Energies,
    lane="tpc",
    block=128,
    summary=("energies",),
)
