"""Toy tracks for the tests of clustering and estimation: points on shrinking helices through the beam axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.tpc.schemas import PointCloud

F8 = NDArray[np.float64]

BEAM_RADIUS_MM = 20.0
FIELD_T = 2.85


@dataclass(frozen=True)
class ToyTrack:
    """A positive ion that leaves (0, 0, vertex_z) under polar and azimuthal angle."""

    radius_mm: float = 80.0
    polar_rad: float = 1.0
    azimuthal_rad: float = 0.5
    vertex_z_mm: float = 300.0
    loss: float = 0.03
    n: int = 500
    noise_mm: float = 1.0

    @property
    def brho(self) -> float:
        """Rigidity at the vertex, T·m."""
        return FIELD_T * self.radius_mm * 1e-3 / np.sin(self.polar_rad)

    def points(self, seed: int, turns: float = 2.2) -> F8:
        """x, y, z of what the pads outside the beam region see inside the detector, ascending in z, (points, 3)."""
        rng = np.random.default_rng(seed)
        heading = self.azimuthal_rad + np.linspace(0.0, 2.0 * np.pi * turns, 20 * self.n)
        radius = self.radius_mm * (1.0 - self.loss * (heading - heading[0])) ** 0.4
        way = np.stack([np.cos(heading), np.sin(heading), np.full_like(heading, 1.0 / np.tan(self.polar_rad))])
        path = np.cumsum(way * radius * (heading[1] - heading[0]), axis=1).T + np.array([0.0, 0.0, self.vertex_z_mm])
        seen = path[(np.hypot(path[:, 0], path[:, 1]) > BEAM_RADIUS_MM) & (path[:, 2] < 1000.0) & (path[:, 2] > 0.0)]
        chosen = seen[np.sort(rng.choice(len(seen), min(self.n, len(seen)), replace=False))]
        chosen = chosen + rng.normal(0.0, self.noise_mm, chosen.shape)
        return chosen[np.argsort(chosen[:, 2])]


def cloud_of(events: Sequence[F8]) -> PointCloud:
    """Point clouds of the given points, in the order given; charge 100 a point, all on small pads."""
    points = np.concatenate([np.zeros((0, 3)), *events]).astype(np.float32)
    columns = {name: dict(table) for name, table in PointCloud.empty(len(events)).columns.items()}
    columns["events"]["event"] = np.arange(len(events)) + 10
    columns["events"]["ic_amplitude"] = np.arange(len(events), dtype=np.float32)
    columns["points"] = {column.name: np.zeros(len(points), column.dtype) for column in PointCloud.table("points").columns}
    for axis, name in enumerate("xyz"):
        columns["points"][name] = points[:, axis].copy()
    columns["points"]["integral"] += np.float32(100.0)
    columns["points"]["scale"] += np.float32(0.5)
    offsets = np.cumsum([0, *map(len, events)])
    return PointCloud(n_events=len(events), columns=columns, offsets={"points": offsets})
