"""The stage tpc.kinematics: the reaction behind each fitted ejectile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError
from penstock.tpc.assets import GasTable, StoppingTables
from penstock.tpc.gas import choose_gas, parse_compound
from penstock.tpc.nuclei import MEV_PER_TM
from penstock.tpc.params import KinematicsParams
from penstock.tpc.reaction import Reaction, Residue, parse_reaction, reconstruct_residue
from penstock.tpc.schemas import Fits, Kinematics
from penstock.tpc.stopping import StoppingCurve, energy_after, stopping_curve

__all__ = ["NO_BEAM", "NO_RESIDUE", "OTHER_PARTICLE", "beam_curve", "beam_energy", "reconstruct_reaction"]

F8 = NDArray[np.float64]

OTHER_PARTICLE, NO_BEAM, NO_RESIDUE = 10, 11, 12
"""Values of the column `status`: not the ejectile of the reaction; the beam stops before; no mass is left."""


def reconstruct_reaction(
    fits: Fits, params: KinematicsParams, gas: GasTable | None = None, stopping: StoppingTables | None = None
) -> Kinematics:
    """Beam energy at the vertex, excitation energy of the residue and angle in the centre of mass, for each fit.

    Parameters
    ----------
    fits
        Fitted tracks; those of another particle than the ejectile get a status and no values.
    params
        Reaction, beam, window and gas.
    gas
        The gas of a gas file, which wins over that of the parameters.
    stopping
        Stopping powers that replace those of the library, for the beam in the gas.

    Raises
    ------
    ConfigError
        Reaction, window or gas cannot be used, or the beam stops in the window.
    """
    reaction = parse_reaction(params.reaction, params.beam)
    curve = beam_curve(reaction, params, gas, stopping)
    rows = fits["fits"]
    beam_ke = beam_energy(reaction, params, curve, np.asarray(rows["vertex_z"]))
    ours = (np.asarray(rows["Z"]) == reaction.ejectile.Z) & (np.asarray(rows["A"]) == reaction.ejectile.A)
    beam_left = np.where(ours, beam_ke, np.nan)
    residue = reconstruct_residue(reaction, beam_left, np.asarray(rows["ke"]), np.asarray(rows["polar"]))
    status = np.asarray(rows["status"]).astype(np.int64)
    status = np.where(np.isnan(residue.ex_mev), NO_RESIDUE, status)
    status = np.where(beam_ke <= 0, NO_BEAM, status)
    status = np.where(ours, status, OTHER_PARTICLE)
    columns = {name: rows[name] for name in ("event", "cluster_index", "cluster_label", "orig_run", "orig_event", "Z", "A")}
    columns |= {name: rows[name] for name in ("vertex_z", "ke", "polar")}
    columns |= {
        "beam_ke": beam_ke,
        "ex": residue.ex_mev,
        "sigma_ex": _sigma_ex(reaction, residue, curve, beam_ke, rows),
        "theta_cm": residue.theta_cm_rad,
        "status": status,
    }
    declared = Kinematics.table("kinematics").columns
    return Kinematics(
        n_events=fits.n_events,
        columns={"kinematics": {c.name: np.ascontiguousarray(columns[c.name], dtype=c.dtype) for c in declared}},
        offsets={"kinematics": fits.offsets["fits"]},
        rejections=fits.rejections,
    )


def beam_curve(
    reaction: Reaction, params: KinematicsParams, gas: GasTable | None = None, stopping: StoppingTables | None = None
) -> StoppingCurve:
    """Energy loss of the beam along +z in the gas, the work against the electric field included."""
    chamber = choose_gas(params.gas, params.pressure_torr, params.temperature_k, gas)
    return stopping_curve(reaction.beam, chamber, stopping).against_field(params.electric_field_v_per_m)


def beam_energy(reaction: Reaction, params: KinematicsParams, curve: StoppingCurve, vertex_z_mm: F8) -> F8:
    """Kinetic energy of the beam in MeV at vertices, after the window and the gas before them; 0 where it stops.

    Raises
    ------
    ConfigError
        The beam stops in the window, or its formula is not understood.
    """
    entering = params.beam_energy_mev
    if params.window and params.window_thickness_ug_per_cm2 > 0:
        window = parse_compound(params.window)
        entering = float(energy_after(reaction.beam, window, entering, params.window_thickness_ug_per_cm2))
        if entering <= 0:
            raise ConfigError(
                f"a beam of {reaction.beam.symbol} with {params.beam_energy_mev:g} MeV stops in the window of {params.window_thickness_ug_per_cm2:g} µg/cm² {params.window}."
            )
    return curve.energy_after(entering, np.maximum(vertex_z_mm, 0.0))


def _sigma_ex(reaction: Reaction, residue: Residue, curve: StoppingCurve, beam_ke: F8, rows: Mapping[str, NDArray[Any]]) -> F8:
    """Error of the excitation energy from the covariance of rigidity, polar angle and vertex z."""
    momentum = np.asarray(rows["brho"]) * reaction.ejectile.Z * MEV_PER_TM
    ke_by_brho = reaction.ejectile.Z * MEV_PER_TM * momentum / np.hypot(momentum, reaction.ejectile.mass_mev)
    beam_by_z = -curve.loss(np.maximum(beam_ke, 1e-3))
    slopes = {"brho": residue.by_ke * ke_by_brho, "polar": residue.by_polar, "vz": residue.by_beam_ke * beam_by_z}
    variance = sum((slopes[name] * rows[f"sigma_{name}"]) ** 2 for name in slopes)
    for one, other in (("vz", "brho"), ("vz", "polar"), ("brho", "polar")):
        variance = variance + 2 * slopes[one] * slopes[other] * rows[f"cov_{one}_{other}"]
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))
