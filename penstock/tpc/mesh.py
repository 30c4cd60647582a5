"""The track mesh: tracks over a grid of kinetic energy and polar angle, and the track between its nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError
from penstock.kernels import jit
from penstock.tpc.assets import GasTable, StoppingTables
from penstock.tpc.gas import choose_gas
from penstock.tpc.nuclei import Nucleus, nucleus, parse_nucleus
from penstock.tpc.params import MeshParams
from penstock.tpc.schemas import MESH_SAMPLES, TrackMesh
from penstock.tpc.stopping import stopping_curve
from penstock.tpc.trajectory import REST_MEV_PER_U, follow_ion, ion_in_fields, spiral_arms

__all__ = ["Axes", "MeshGrid", "count_nodes", "interpolate_track", "make_mesh", "mesh_grids"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
Axes = tuple[float, float, float, float]
"""Grid of a mesh: ln of the first energy in MeV, step of ln(energy), first polar angle, step of the polar angle."""


def count_nodes(params: MeshParams, gas: GasTable | None = None, stopping: StoppingTables | None = None) -> int:
    """Number of tracks of the mesh."""
    return len(params.particles) * params.ke_bins * params.polar_bins


def make_mesh(positions: range, params: MeshParams, gas: GasTable | None = None, stopping: StoppingTables | None = None) -> TrackMesh:
    """Integrate the tracks of some nodes.

    Parameters
    ----------
    positions
        Rows of the mesh that are wanted: particle, energy and polar angle, the last runs fastest.
    params
        Particles, gas, fields and grid.
    gas
        The gas of a gas file, which wins over that of the parameters.
    stopping
        Stopping powers that replace those of the library.

    Raises
    ------
    ConfigError
        A particle, the gas or a table cannot be used.
    """
    particles = [parse_nucleus(name) for name in params.particles]
    if len(set(particles)) < len(particles):
        raise ConfigError(f"particles {params.particles!r}: a nucleus is named twice.")
    chamber = choose_gas(params.gas, params.pressure_torr, params.temperature_k, gas)
    per_particle = params.ke_bins * params.polar_bins
    axis_ke = np.geomspace(params.ke_min_mev, params.ke_max_mev, params.ke_bins)
    axis_polar = np.deg2rad(np.linspace(params.polar_min_deg, params.polar_max_deg, params.polar_bins))
    rows = np.asarray(positions, dtype=np.int64)
    which, ke, polar = rows // per_particle, axis_ke[rows % per_particle // params.polar_bins], axis_polar[rows % params.polar_bins]
    length, samples = np.empty(len(rows)), np.empty((len(rows), MESH_SAMPLES, 6), dtype=np.float32)
    fields = (params.magnetic_field_t, params.electric_field_v_per_m)
    for place in np.unique(which):
        here, particle = which == place, particles[place]
        curve = stopping_curve(particle, chamber, stopping)
        ranges = curve.path_to_rest(ke[here])
        rest = REST_MEV_PER_U * particle.A
        ion = ion_in_fields(particle, fields)
        tables = curve.mev_per_mm, spiral_arms(ion, curve.mev_per_mm)
        length[here], samples[here] = _follow_nodes(ke[here], polar[here], ranges, ion, tables, (rest, params.path_max_mm))
    columns: dict[str, NDArray[Any]] = {
        "Z": np.array([particles[i].Z for i in which], dtype=np.int32),
        "A": np.array([particles[i].A for i in which], dtype=np.int32),
        "ke": ke,
        "polar": polar,
        "length": length,
        "samples": samples,
    }
    return TrackMesh(n_events=len(rows), columns={"events": columns})


@jit
def _follow_nodes(
    ke: F8, polar: F8, free_range: F8, ion: tuple[float, float, float, float], tables: tuple[F8, F8], ends: tuple[float, float]
) -> tuple[F8, F4]:
    length, samples = np.empty(len(ke)), np.empty((len(ke), MESH_SAMPLES, 6), dtype=np.float32)
    for node in range(len(ke)):
        length[node] = follow_ion(ke[node], polar[node], ion, tables, (free_range[node], ends[0], ends[1]), samples[node])
    return length, samples


@dataclass(frozen=True, slots=True, eq=False)
class MeshGrid:
    """The tracks of one particle, as `interpolate_track` wants them.

    Attributes
    ----------
    nucleus
        The particle.
    samples
        float32 (energies, angles, samples, 6), a view of the mesh: it may lie in a file.
    lengths
        float64 (energies, angles): path of each track in mm.
    axes
        Grid of energies and angles.
    """

    nucleus: Nucleus
    samples: F4
    lengths: F8
    axes: Axes

    @property
    def ke_range_mev(self) -> tuple[float, float]:
        """Least and greatest kinetic energy."""
        first, step, _, _ = self.axes
        return math.exp(first), math.exp(first + step * (self.lengths.shape[0] - 1))

    @property
    def polar_range_rad(self) -> tuple[float, float]:
        """Least and greatest polar angle."""
        _, _, first, step = self.axes
        return first, first + step * (self.lengths.shape[1] - 1)

    def holds(self, ke_mev: float, polar_rad: float) -> bool:
        """Whether a track lies within the mesh, its borders included."""
        return inside_mesh(self.lengths, self.axes, ke_mev, polar_rad)

    def track(self, ke_mev: float, polar_rad: float) -> tuple[F8, F8, F8, float]:
        """`interpolate_track` at an energy and angle."""
        return interpolate_track(self.samples, self.lengths, self.axes, ke_mev, polar_rad)


def mesh_grids(mesh: TrackMesh) -> dict[tuple[int, int], MeshGrid]:
    """The grid of each particle of a whole mesh, by (Z, A); no sample is copied.

    Raises
    ------
    ConfigError
        The rows are not a whole mesh.
    """
    events = mesh["events"]
    charge, mass, ke, polar = (np.asarray(events[name]) for name in ("Z", "A", "ke", "polar"))
    borders = np.flatnonzero(np.diff(charge.astype(np.int64) * 1000 + mass)) + 1
    grids: dict[tuple[int, int], MeshGrid] = {}
    for start, stop in zip([0, *borders], [*borders, len(ke)], strict=True):
        n_polar = int(np.count_nonzero(ke[start:stop] == ke[start]))
        n_ke = (stop - start) // n_polar
        if n_ke * n_polar != stop - start or min(n_ke, n_polar) < 4:
            raise ConfigError(f"track mesh: {stop - start} rows with {n_polar} polar angles are no whole grid; read all of the artifact.")
        first, last = np.log(ke[start]), np.log(ke[stop - 1])
        axes = (
            float(first),
            float((last - first) / (n_ke - 1)),
            float(polar[start]),
            float((polar[stop - 1] - polar[start]) / (n_polar - 1)),
        )
        samples = np.asarray(events["samples"])[start:stop].reshape(n_ke, n_polar, -1, 6)
        lengths = np.array(events["length"][start:stop], dtype=np.float64).reshape(n_ke, n_polar)
        particle = nucleus(int(charge[start]), int(mass[start]))
        grids[particle.Z, particle.A] = MeshGrid(particle, samples, lengths, axes)
    return grids


@jit
def inside_mesh(lengths: F8, axes: Axes, ke: float, polar: float) -> bool:
    """Whether a kinetic energy in MeV and a polar angle lie within the grid, to one part in 10⁹ of a step."""
    u = (math.log(ke) - axes[0]) / axes[1] if ke > 0.0 else -1.0
    v = (polar - axes[2]) / axes[3]
    last_u, last_v = len(lengths) - 1, lengths.size // len(lengths) - 1
    return -1e-9 <= u <= last_u + 1e-9 and -1e-9 <= v <= last_v + 1e-9


@jit
def _cubic_weights(place: float, size: int, weights: F8, slopes: F8) -> int:
    """First of the four nodes nearest to `place`, their Lagrange weights and the derivatives of these."""
    first = min(max(math.floor(place) - 1, 0), size - 4)
    t = place - first
    a, b, c, d = t, t - 1.0, t - 2.0, t - 3.0
    weights[0], weights[1], weights[2], weights[3] = -b * c * d / 6.0, a * c * d / 2.0, -a * b * d / 2.0, a * b * c / 6.0
    slopes[0] = -(c * d + b * d + b * c) / 6.0
    slopes[1] = (c * d + a * d + a * c) / 2.0
    slopes[2] = -(b * d + a * d + a * b) / 2.0
    slopes[3] = (b * c + a * c + a * b) / 6.0
    return first


@jit
def interpolate_track(samples: F4, lengths: F8, axes: Axes, ke: float, polar: float) -> tuple[F8, F8, F8, float]:
    """The track of a kinetic energy and polar angle, and how it changes with them.

    Cubic through the four nearest nodes in each direction, in ln(energy) and polar angle; at the border the four
    outermost. What is interpolated are circles (see `penstock.tpc.schemas.TrackMesh`), not x and y, which oscillate.

    Parameters
    ----------
    samples, lengths, axes
        As in `MeshGrid`.
    ke, polar
        Kinetic energy in MeV and angle to +z at the start.

    Returns
    -------
    track
        float64 (samples, 4): x, y, z in mm from the start, kinetic energy in MeV, at equal steps of path.
    d_ke, d_polar
        float64 (samples, 4): its derivatives by kinetic energy in MeV and by polar angle in rad.
    length
        Path from the first to the last sample in mm. NaN outside of the mesh, where all values are NaN: nothing is
        extrapolated.
    """
    count = samples.shape[2]
    track, d_ke, d_polar = np.empty((count, 4)), np.empty((count, 4)), np.empty((count, 4))
    if not inside_mesh(lengths, axes, ke, polar):
        track[:], d_ke[:], d_polar[:] = math.nan, math.nan, math.nan
        return track, d_ke, d_polar, math.nan
    weights, slopes = np.empty((2, 4)), np.empty((2, 4))
    row = _cubic_weights((math.log(ke) - axes[0]) / axes[1], lengths.shape[0], weights[0], slopes[0])
    column = _cubic_weights((polar - axes[2]) / axes[3], lengths.shape[1], weights[1], slopes[1])
    slopes[0] /= axes[1] * ke
    slopes[1] /= axes[3]
    values, by_ke, by_polar, length = np.zeros((count, 6)), np.zeros((count, 6)), np.zeros((count, 6)), 0.0
    for i in range(4):
        for j in range(4):
            w, w_ke, w_polar = weights[0, i] * weights[1, j], slopes[0, i] * weights[1, j], weights[0, i] * slopes[1, j]
            length += w * lengths[row + i, column + j]
            node = samples[row + i, column + j]
            for s in range(count):
                for k in range(6):
                    value = float(node[s, k])
                    values[s, k] += w * value
                    by_ke[s, k] += w_ke * value
                    by_polar[s, k] += w_polar * value
    for s in range(count):
        cosine, sine = math.cos(values[s, 3]), math.sin(values[s, 3])
        _to_places(values[s], values[s], cosine, sine, 1.0, track[s])
        _to_places(values[s], by_ke[s], cosine, sine, 0.0, d_ke[s])
        _to_places(values[s], by_polar[s], cosine, sine, 0.0, d_polar[s])
    return track, d_ke, d_polar, length


@jit
def _to_places(circle: F8, change: F8, cosine: float, sine: float, whole: float, place: F8) -> None:
    """x, y, z, energy of a circle (`whole` 1), or their changes with those of the circle (`whole` 0)."""
    turn = (1.0 - whole) * circle[2] * change[3]
    place[0] = change[0] + change[2] * cosine - turn * sine
    place[1] = change[1] + change[2] * sine + turn * cosine
    place[2] = change[4]
    place[3] = change[5]
