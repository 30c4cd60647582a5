"""The stage ``mygroup.energies``: the kinetic energy of each estimated track, and the radius of its points."""

import numpy as np

from mygroup_stages.params import EnergyParams
from mygroup_stages.schemas import Energies
from penstock.tpc.schemas import Clusters, Estimates

__all__ = ["find_energies"]

MEV_PER_TM = 299.792458
"""Momentum in MeV/c of a singly charged particle with a rigidity of 1 T·m."""


def find_energies(clusters: Clusters, estimates: Estimates, params: EnergyParams) -> Energies:
    """Energy from the rigidity of each estimate, radius from the points of its cluster.

    Parameters
    ----------
    clusters
        Points of each track, mm.
    estimates
        First physics of the tracks of the same events.
    params
        Mass and charge of the particle.
    """
    rows = estimates["estimates"]
    momentum = rows["brho"] * params.charge * MEV_PER_TM
    of_event = np.repeat(np.arange(estimates.n_events), np.diff(estimates.offsets["estimates"]))
    tracks = clusters.offsets["clusters"][of_event] + rows["cluster_index"]
    return Energies(
        n_events=estimates.n_events,
        columns={
            "events": {},
            "energies": {
                "event": rows["event"],
                "cluster_index": rows["cluster_index"],
                "angle": rows["polar"],
                "radius": _radii(clusters, tracks, rows["center_x"], rows["center_y"]),
                "energy": np.sqrt(momentum**2 + params.mass_mev**2) - params.mass_mev,
            },
        },
        offsets={"energies": estimates.offsets["estimates"]},
        rejections=estimates.rejections,
    )


def _radii(clusters: Clusters, tracks: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    points, offsets = clusters["points"], clusters.offsets["points"]
    radii = np.empty(len(tracks))
    for i, track in enumerate(tracks):
        here = slice(offsets[track], offsets[track + 1])
        radii[i] = np.median(np.hypot(points["x"][here] - x[i], points["y"][here] - y[i]))
    return radii
