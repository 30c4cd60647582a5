"""Reactions of a simulated beam: which energy and angle the ejectile has at a vertex."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from penstock.core.errors import ConfigError
from penstock.simulate.tpc_ions import IONS, TEMPERATURE_K
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.tpc.kinematics import beam_curve, beam_energy
from penstock.tpc.params import KinematicsParams
from penstock.tpc.reaction import Reaction, emit, parse_reaction
from penstock.tpc.stopping import StoppingCurve

__all__ = ["Emission", "draw_emission", "kinematics_params"]


class Emission(NamedTuple):
    """An ejectile at the vertex and the reaction behind it: energies in MeV, angles in rad."""

    ke: float
    polar: float
    ex: float
    theta_cm: float
    beam_ke: float


def kinematics_params(settings: TpcSimulation) -> KinematicsParams:
    """Parameters of tpc.kinematics that describe the simulated reaction."""
    return KinematicsParams(
        reaction=settings.reaction,
        beam=settings.beam,
        beam_energy_mev=settings.beam_energy_mev,
        window=settings.window,
        window_thickness_ug_per_cm2=settings.window_thickness_ug_per_cm2,
        gas=settings.gas,
        pressure_torr=settings.pressure_torr,
        temperature_k=TEMPERATURE_K,
        electric_field_v_per_m=settings.electric_field_v_per_m,
    )


def draw_emission(settings: TpcSimulation, vertex_z_mm: float, rng: np.random.Generator) -> Emission:
    """An ejectile, isotropic in the centre of mass between the angles of the settings.

    Parameters
    ----------
    settings
        Reaction, beam, gas and angles.
    vertex_z_mm
        Way of the beam through the gas.
    rng
        Two numbers are drawn: the level of the residue, and the angle.

    Raises
    ------
    ConfigError
        The ejectile is not the particle of the settings, or the beam cannot reach the level at this vertex.
    """
    reaction, params, curve = _beam(settings)
    beam_ke = float(beam_energy(reaction, params, curve, np.array([vertex_z_mm]))[0])
    ex = settings.excitations_mev[int(rng.integers(len(settings.excitations_mev)))]
    low, high = np.cos(np.deg2rad([settings.theta_cm_min_deg, settings.theta_cm_max_deg]))
    theta_cm = float(np.arccos(rng.uniform(high, low)))
    polar, ke = emit(reaction, beam_ke, ex, theta_cm)
    if not np.isfinite(ke):
        raise ConfigError(
            f"reaction {settings.reaction!r}: the beam has {beam_ke:.2f} MeV left at z = {vertex_z_mm:.0f} mm, too little to excite "
            f"{reaction.residue.symbol} by {ex:g} MeV; raise beam_energy_mev or lower vertex_z_max_mm."
        )
    return Emission(float(ke), float(polar), ex, theta_cm, beam_ke)


@lru_cache(maxsize=8)
def _beam(settings: TpcSimulation) -> tuple[Reaction, KinematicsParams, StoppingCurve]:
    params = kinematics_params(settings)
    reaction = parse_reaction(params.reaction, params.beam)
    ion = IONS[settings.particles[0]]
    if (ion.charge, ion.mass_number) != (reaction.ejectile.Z, reaction.ejectile.A):
        raise ConfigError(
            f"reaction {settings.reaction!r}: the ejectile is {reaction.ejectile.symbol}, but particles names {settings.particles[0]!r}; they must be the same."
        )
    return reaction, params, beam_curve(reaction, params)
