"""Stages that stand in for mesh and fits where a test only looks at results: a coarse mesh, estimates posing as fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.core.params import Params
from penstock.core.stage import stage
from penstock.tpc.mesh import make_mesh
from penstock.tpc.nuclei import nucleus
from penstock.tpc.params import KinematicsParams, MeshParams
from penstock.tpc.schemas import Clusters, Estimates, Fits, Kinematics, TrackMesh

GRID = MeshParams(ke_min_mev=0.8, ke_max_mev=8.0, ke_bins=40, polar_min_deg=15.0, polar_max_deg=90.0, polar_bins=20)
SIGMA = {"vx": 0.3, "vy": 0.3, "vz": 0.5, "brho": 0.002, "ke": 0.03, "polar": 0.005, "azimuthal": 0.01}


class QuickParams(Params):
    """Nothing to choose."""

    status: int = 0
    """Status of every fit."""


def count_nodes(params: QuickParams) -> int:
    """Nodes of the mesh."""
    return GRID.ke_bins * GRID.polar_bins


def quick_mesh(positions: range, params: QuickParams) -> TrackMesh:
    """A coarse mesh of protons."""
    return make_mesh(positions, GRID)


def quick_fits(clusters: Clusters, estimates: Estimates, params: QuickParams) -> Fits:
    """Estimates within the mesh as fits of a proton; the others are left out."""
    rows = estimates["estimates"]
    ke = nucleus(1, 1).ke_mev(rows["brho"])
    inside = (ke > GRID.ke_min_mev) & (ke < GRID.ke_max_mev) & (rows["polar"] < np.pi / 2)
    of_event = np.repeat(np.arange(estimates.n_events), np.diff(estimates.offsets["estimates"]))
    track: dict[str, Any] = {
        name: rows[name] for name in ("event", "cluster_index", "cluster_label", "orig_run", "orig_event", "direction")
    }
    track |= {"Z": np.ones(len(ke)), "A": np.ones(len(ke)), "reason": np.full(len(ke), 3), "status": np.full(len(ke), params.status)}
    track |= {
        name: rows[name] for name in ("vertex_x", "vertex_y", "vertex_z", "brho", "polar", "azimuthal", "ic_amplitude", "ic_multiplicity")
    }
    track |= {"ke": ke, "redchisq": np.linspace(0.8, 1.3, len(ke)), "rms": np.full(len(ke), 1.2), "length": 2.5 * rows["arclength"]}
    track |= {f"sigma_{name}": np.full(len(ke), value) for name, value in SIGMA.items()}
    columns = {
        table.name: {c.name: np.asarray(track.get(c.name, np.zeros(len(ke)))[chosen], dtype=c.dtype) for c in table.columns}
        for table, chosen in zip(Fits.tables, (inside, ~inside), strict=True)
    }
    edges = np.arange(estimates.n_events + 1)
    offsets = {table.name: np.searchsorted(of_event[chosen], edges) for table, chosen in zip(Fits.tables, (inside, ~inside), strict=True)}
    return Fits(n_events=estimates.n_events, columns=columns, offsets=offsets, rejections=estimates.rejections)


mesh = stage(
    "quick.mesh",
    version=1,
    body="quickfits:quick_mesh",
    count="quickfits:count_nodes",
    subject="none",
    params=QuickParams,
    reads={},
    writes=TrackMesh,
    lane="tpc",
    block=256,
)
fits = stage(
    "quick.fits",
    version=1,
    body="quickfits:quick_fits",
    params=QuickParams,
    reads={"clusters": Clusters, "estimates": Estimates},
    writes=Fits,
    lane="tpc",
    figure="penstock.views.tpc_fit:draw_fits",
)
kinematics = stage(
    "quick.kinematics",
    version=1,
    body="penstock.tpc.kinematics:reconstruct_reaction",
    params=KinematicsParams,
    reads={"fits": Fits},
    writes=Kinematics,
    lane="tpc",
    figure="penstock.views.tpc_kinematics:draw_kinematics",
)
