"""The stage ``tpc.fits``: each track fitted with the motion of a particle in gas and fields.

This module chooses what is fitted as what; `penstock.tpc.fit_minimize` fits. The method and its error model:
docs/explanation/fits.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError
from penstock.tpc.assets import GasTable, Gates
from penstock.tpc.fit_errors import BLIND_MARGIN_MM, Conditions, peak_delays
from penstock.tpc.fit_minimize import fit_clusters
from penstock.tpc.fit_normal import Limits, Task
from penstock.tpc.fit_quality import COVARIANCES, RESULT_COLUMNS, SIGMAS, STATUS, TOO_FEW
from penstock.tpc.fit_scatter import Medium
from penstock.tpc.gas import choose_gas
from penstock.tpc.gates import passes_gate
from penstock.tpc.mesh import MeshGrid, mesh_grids
from penstock.tpc.nuclei import MEV_PER_TM
from penstock.tpc.pads import SMALL_SIDE_MM
from penstock.tpc.params import FitParams
from penstock.tpc.schemas import Clusters, Estimates, Fits, TrackMesh
from penstock.tpc.stopping import stopping_curve

__all__ = ["ION_CHAMBER_REASON", "MESH_REASON", "NO_GATE_REASON", "POINTS_REASON", "fit_tracks"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
Bools = NDArray[np.bool_]
Particle = tuple[int, int]

ION_CHAMBER_REASON, NO_GATE_REASON, MESH_REASON, POINTS_REASON = 1, 2, 3, 4
"""Why a track was left out."""

START = ("vertex_x", "vertex_y", "vertex_z", "brho", "polar", "azimuthal")
"""Columns of the estimates that a fit starts from, in the order of its parameters."""
SIGMA = ("sigma_vx", "sigma_vy", "sigma_vz", "sigma_brho", "sigma_polar", "sigma_azimuthal")
SHORT = ("vx", "vy", "vz", "brho", "polar", "azimuthal")
QUALITY = ("redchisq", "points", "rms", "length", "iterations", "status")
MESH_HAIR = 1e-9


def fit_tracks(
    clusters: Clusters, estimates: Estimates, mesh: TrackMesh, params: FitParams, gates: Gates, gas: GasTable | None = None
) -> Fits:
    """Fit every track that passes the ion chamber with each particle whose gate it passes.

    Parameters
    ----------
    clusters
        Points of the tracks.
    estimates
        Where the fits start.
    mesh
        Tracks of the particles.
    params
        Gates, bounds and errors.
    gates
        Polygons; without any, every particle of the mesh takes every track.
    gas
        The gas of a gas file, which wins over that of the parameters.

    Returns
    -------
    fits
        Rows by event, cluster and particle.

    Raises
    ------
    ConfigError
        A gate is for a particle that the mesh does not hold.
    """
    table = estimates["estimates"]
    of_event = np.repeat(np.arange(estimates.n_events), np.diff(estimates.offsets["estimates"]))
    grids = mesh_grids(mesh)
    taken = _by_ion_chamber(table, params)
    chosen = _by_gates(table, gates, grids)
    passed = np.any(list(chosen.values()), axis=0)
    left = _Pieces("left_out", table, of_event)
    left.add(np.flatnonzero(~taken), (0, 0), reason=ION_CHAMBER_REASON)
    left.add(np.flatnonzero(taken & ~passed), (0, 0), reason=NO_GATE_REASON)
    fits = _Pieces("fits", table, of_event)
    for particle, grid in grids.items():
        rows = np.flatnonzero(taken & chosen[particle])
        inside = _inside(table, rows, grid)
        left.add(rows[~inside], particle, reason=MESH_REASON)
        rows = rows[inside]
        spans = _spans(clusters, table, of_event, rows)
        results = _fit_rows(clusters, table, rows, spans, grid, params, gas)
        enough = results[:, STATUS] != TOO_FEW
        left.add(rows[~enough], particle, reason=POINTS_REASON)
        fits.add(rows[enough], particle, **_named(results[enough], grid))
    (fit_columns, fit_offsets), (left_columns, left_offsets) = fits.joined(estimates.n_events), left.joined(estimates.n_events)
    return Fits(
        n_events=estimates.n_events,
        columns={"fits": fit_columns, "left_out": left_columns},
        offsets={"fits": fit_offsets, "left_out": left_offsets},
        rejections=estimates.rejections,
    )


class _Pieces:
    """Rows of one output table, gathered particle by particle, joined in the order of the estimates."""

    def __init__(self, name: str, estimates: Mapping[str, NDArray[Any]], of_event: I8) -> None:
        self._declared = Fits.table(name).columns
        self._estimates, self._of_event = estimates, of_event
        self._rows: list[I8] = []
        self._columns: list[dict[str, NDArray[Any]]] = []

    def add(self, rows: I8, particle: Particle, **values: Any) -> None:
        """Rows of the estimates taken as a particle, with columns or single values of their own."""
        columns = {c.name: self._estimates[c.name][rows] for c in self._declared if c.name in self._estimates and c.name not in values}
        own = {"Z": particle[0], "A": particle[1], **values}
        columns |= {name: np.broadcast_to(value, len(rows)) for name, value in own.items()}
        self._rows.append(rows)
        self._columns.append(columns)

    def joined(self, n_events: int) -> tuple[dict[str, NDArray[Any]], I8]:
        """Columns of the table, and its offsets by event."""
        rows = np.concatenate(self._rows)
        order = np.argsort(rows, kind="stable")
        columns = {
            c.name: np.concatenate([piece[c.name] for piece in self._columns])[order].astype(c.dtype, copy=False) for c in self._declared
        }
        return columns, np.searchsorted(self._of_event[rows[order]], np.arange(n_events + 1)).astype(np.int64)


def _by_ion_chamber(table: Mapping[str, NDArray[Any]], params: FitParams) -> Bools:
    height = table["ic_amplitude"]
    return np.asarray((height > params.ic_min_adc) & (height < params.ic_max_adc) & (table["ic_multiplicity"] <= params.ic_multiplicity))


def _by_gates(table: Mapping[str, NDArray[Any]], gates: Gates, grids: Mapping[Particle, MeshGrid]) -> dict[Particle, Bools]:
    """Which rows each particle of the mesh takes."""
    heads = gates["gates"]
    rows = len(table["event"])
    chosen = {particle: np.full(rows, gates.n_events == 0) for particle in grids}
    for gate in range(gates.n_events):
        particle = int(heads["Z"][gate]), int(heads["A"][gate])
        if particle not in chosen:
            held = ", ".join(grid.nucleus.symbol for grid in grids.values())
            raise ConfigError(
                f"particle gate {gate + 1} is for Z={particle[0]}, A={particle[1]}, which the track mesh does not hold (it holds {held}). "
                "Add the particle to tpc.mesh.particles."
            )
        chosen[particle] |= passes_gate(gates, gate, table)
    return chosen


def _inside(table: Mapping[str, NDArray[Any]], rows: I8, grid: MeshGrid) -> Bools:
    """Which rows start within the mesh."""
    ke = grid.nucleus.ke_mev(np.asarray(table["brho"][rows]))
    return np.array([grid.holds(float(k), float(p)) for k, p in zip(ke, table["polar"][rows], strict=True)], dtype=np.bool_)


def _spans(clusters: Clusters, table: Mapping[str, NDArray[Any]], of_event: I8, rows: I8) -> I8:
    """First point and end of the cluster of each row, (rows, 2)."""
    cluster = clusters.offsets["clusters"][of_event[rows]] + table["cluster_index"][rows]
    offsets = clusters.offsets["points"]
    return np.stack([offsets[cluster], offsets[cluster + 1]], axis=1)


def _fit_rows(
    clusters: Clusters,
    table: Mapping[str, NDArray[Any]],
    rows: I8,
    spans: I8,
    grid: MeshGrid,
    params: FitParams,
    gas: GasTable | None,
) -> F8:
    """Results of the fits, (rows, `RESULT_COLUMNS`)."""
    if len(rows) == 0:
        return np.empty((0, RESULT_COLUMNS))
    table_points = clusters["points"]
    points = np.stack([table_points[axis].astype(np.float64) for axis in "xyz"], axis=1)
    samples = grid.samples.view()
    samples.flags.writeable = False
    delays = peak_delays(params.errors.shaping_buckets)
    task = Task(samples, grid.lengths, grid.axes, _conditions(params), delays, _medium(grid, params, gas), _limits(grid, params))
    return fit_clusters(
        points,
        table_points["integral"].astype(np.float64),
        table_points["scale"].astype(np.float64) * 2.0 * SMALL_SIDE_MM,
        spans,
        np.stack([table[name][rows] for name in START], axis=1),
        task,
    )


def _conditions(params: FitParams) -> Conditions:
    errors = params.errors
    blind = params.beam_pad_radius_mm + BLIND_MARGIN_MM if params.beam_pad_radius_mm > 0.0 else 0.0
    return Conditions(
        detector_length=params.detector_length_mm,
        mm_per_bucket=params.detector_length_mm / (params.window_time_bucket - params.micromegas_time_bucket),
        transverse=errors.transverse_diffusion_mm_per_sqrt_m,
        longitudinal=errors.longitudinal_diffusion_mm_per_sqrt_m,
        time_error=errors.time_error_buckets,
        shaping=errors.shaping_buckets,
        electron_mev=errors.electron_energy_ev * 1e-6,
        blind_radius=blind,
        robust=params.method == "lbfgsb",
    )


def _medium(grid: MeshGrid, params: FitParams, gas: GasTable | None) -> Medium:
    errors = params.errors
    if not (errors.scattering or errors.straggling):
        return Medium(grid.nucleus.mass_mev, float(grid.nucleus.Z), 1.0, 0.0, scattering=False, straggling=False)
    curve = stopping_curve(grid.nucleus, choose_gas(params.gas, params.pressure_torr, params.temperature_k, gas))
    return Medium(
        grid.nucleus.mass_mev,
        float(grid.nucleus.Z),
        curve.radiation_length_mm,
        curve.straggling_mev2_per_mm,
        errors.scattering,
        errors.straggling,
    )


def _limits(grid: MeshGrid, params: FitParams) -> Limits:
    least, greatest = (float(b) for b in grid.nucleus.rigidity_tm(np.array(grid.ke_range_mev)))
    low, high = grid.polar_range_rad
    # A hair within the mesh, so that rounding leaves nothing outside.
    return Limits(
        beam_spread=params.beam_spread_mm,
        vertex_radius=params.beam_region_radius_mm,
        detector_length=params.detector_length_mm,
        least_brho=least * (1.0 + MESH_HAIR),
        greatest_brho=greatest * (1.0 - MESH_HAIR),
        least_polar=low + MESH_HAIR,
        greatest_polar=high - MESH_HAIR,
        fit_xy=params.fit_vertex_xy,
        fit_azimuthal=params.fit_azimuthal,
        max_iterations=params.max_iterations,
    )


def _named(results: F8, grid: MeshGrid) -> dict[str, NDArray[Any]]:
    """Columns of the results by name."""
    columns = dict(zip(START, results.T, strict=False))
    columns |= dict(zip(SIGMA, results[:, SIGMAS:].T, strict=False))
    pairs = [f"cov_{a}_{b}" for i, a in enumerate(SHORT) for b in SHORT[i + 1 :]]
    columns |= dict(zip([*pairs, *QUALITY], results[:, COVARIANCES:].T, strict=True))
    columns["ke"] = grid.nucleus.ke_mev(columns["brho"])
    momentum = columns["brho"] * grid.nucleus.Z * MEV_PER_TM
    slope = momentum * grid.nucleus.Z * MEV_PER_TM / np.hypot(momentum, grid.nucleus.mass_mev)
    columns["sigma_ke"] = slope * columns["sigma_brho"]
    return columns
