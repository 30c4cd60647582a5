"""Reactions of two nuclei into two: their notation, Q value, and the kinematics of the ejectile."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError
from penstock.tpc.nuclei import Nucleus, nucleus, parse_nucleus

__all__ = ["Reaction", "Residue", "emit", "kinematic_curve", "parse_reaction", "reconstruct_residue"]

F8 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reaction:
    """Beam and resting target give ejectile and residue, each in its ground state."""

    beam: Nucleus
    target: Nucleus
    ejectile: Nucleus
    residue: Nucleus

    @property
    def q_mev(self) -> float:
        """Energy that the reaction to the ground state sets free."""
        return self.beam.mass_mev + self.target.mass_mev - self.ejectile.mass_mev - self.residue.mass_mev


@dataclass(frozen=True, slots=True, eq=False)
class Residue:
    """What the ejectile tells about the residue, and how that changes with what was measured; arrays of one shape.

    NaN where the beam has no energy, or energy and momentum leave no mass to the residue.
    """

    ex_mev: F8
    theta_cm_rad: F8
    by_beam_ke: F8
    by_ke: F8
    by_polar: F8


def parse_reaction(text: str, beam: Literal["first", "second"] = "first") -> Reaction:
    """The reaction of a text such as ``16O(d,p)17O``; without the last nucleus it is found from the balance.

    Parameters
    ----------
    text
        A(b,c)D: b and c are the light nuclei.
    beam
        Which of A and b moves: "first" in inverse kinematics.

    Raises
    ------
    ConfigError
        The text is not of that form, a nuclide is unknown, or charge or nucleons do not balance.
    """
    match = re.fullmatch(r"\s*(\w+)\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)\s*(\w*)\s*", text)
    if match is None:
        raise ConfigError(f"reaction {text!r} is not understood; expected A(b,c)D, such as '16O(d,p)17O'.")
    try:
        heavy, light, ejectile = (parse_nucleus(word) for word in match.groups()[:3])
        charge, nucleons = heavy.Z + light.Z - ejectile.Z, heavy.A + light.A - ejectile.A
        residue = parse_nucleus(match[4]) if match[4] else nucleus(charge, nucleons)
    except ConfigError as error:
        raise ConfigError(f"reaction {text!r}: {error}") from error
    for name, before, after in (
        ("charge", heavy.Z + light.Z, ejectile.Z + residue.Z),
        ("nucleon", heavy.A + light.A, ejectile.A + residue.A),
    ):
        if before != after:
            raise ConfigError(
                f"reaction {text!r}: {name} numbers do not balance, {before} before and {after} after; the residue has Z={charge}, A={nucleons}."
            )
    moving, resting = (heavy, light) if beam == "first" else (light, heavy)
    return Reaction(moving, resting, ejectile, residue)


def reconstruct_residue(reaction: Reaction, beam_ke_mev: F8, ke_mev: F8, polar_rad: F8) -> Residue:
    """Excitation energy of the residue and angle in the centre of mass, from the energy and angle of the ejectile.

    Relativistic: the residue has the energy and momentum that the ejectile leaves.

    Parameters
    ----------
    reaction
        The reaction.
    beam_ke_mev
        Kinetic energies of the beam at the vertex.
    ke_mev, polar_rad
        Kinetic energies of the ejectile at the vertex, and angles to the beam.
    """
    beam_ke = np.where(np.asarray(beam_ke_mev) > 0, beam_ke_mev, np.nan)
    beam_p, ejectile_p = _momentum(beam_ke, reaction.beam), _momentum(np.asarray(ke_mev), reaction.ejectile)
    beam_e, ejectile_e = beam_ke + reaction.beam.mass_mev, ke_mev + reaction.ejectile.mass_mev
    total = beam_e + reaction.target.mass_mev
    cosine, sine = np.cos(polar_rad), np.sin(polar_rad)
    squared = (total - ejectile_e) ** 2 - beam_p**2 - ejectile_p**2 + 2 * beam_p * ejectile_p * cosine
    mass = np.sqrt(np.where(squared > 0, squared, np.nan))
    gamma = total / np.sqrt(total**2 - beam_p**2)
    along = gamma * (ejectile_p * cosine - beam_p / total * ejectile_e)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_ke = (beam_p * cosine * ejectile_e / ejectile_p - total) / mass
        by_beam = (total - ejectile_e - beam_e + beam_e / beam_p * ejectile_p * cosine) / mass
    return Residue(
        ex_mev=np.asarray(mass - reaction.residue.mass_mev),
        theta_cm_rad=np.where(squared > 0, np.arctan2(ejectile_p * sine, along), np.nan),
        by_beam_ke=np.asarray(by_beam),
        by_ke=np.asarray(by_ke),
        by_polar=np.asarray(-beam_p * ejectile_p * sine / mass),
    )


def emit(reaction: Reaction, beam_ke_mev: F8 | float, ex_mev: F8 | float, theta_cm_rad: F8 | float) -> tuple[F8, F8]:
    """Polar angle in rad and kinetic energy in MeV of the ejectile in the laboratory.

    Parameters
    ----------
    reaction
        The reaction.
    beam_ke_mev
        Kinetic energy of the beam at the vertex.
    ex_mev
        Excitation energy of the residue.
    theta_cm_rad
        Angle of the ejectile in the centre of mass, 0 along the beam.

    Returns
    -------
    polar, ke
        NaN where the beam is below the threshold.
    """
    beam_ke = np.asarray(beam_ke_mev, dtype=np.float64)
    beam_p = _momentum(beam_ke, reaction.beam)
    total = beam_ke + reaction.beam.mass_mev + reaction.target.mass_mev
    invariant = total**2 - beam_p**2
    one, other = reaction.ejectile.mass_mev, reaction.residue.mass_mev + np.asarray(ex_mev, dtype=np.float64)
    free = (invariant - (one + other) ** 2) * (invariant - (one - other) ** 2)
    allowed = (np.sqrt(invariant) >= one + other) & (free >= 0)
    p_cm = np.sqrt(np.where(allowed, free, np.nan)) / (2 * np.sqrt(invariant))
    gamma, beta = total / np.sqrt(invariant), beam_p / total
    along_cm, across = p_cm * np.cos(theta_cm_rad), p_cm * np.sin(theta_cm_rad)
    along = gamma * (along_cm + beta * np.hypot(p_cm, one))
    squared = along**2 + across**2
    return np.arctan2(across, along), np.asarray(squared / (np.sqrt(squared + one**2) + one))


def kinematic_curve(reaction: Reaction, beam_ke_mev: float, ex_mev: float, n_points: int = 361) -> tuple[F8, F8]:
    """Polar angle in rad and kinetic energy in MeV of the ejectile along the whole range of angles in the centre of mass.

    Raises
    ------
    ConfigError
        The beam is below the threshold.
    """
    polar, ke = emit(reaction, beam_ke_mev, ex_mev, np.linspace(0, np.pi, n_points))
    if np.isnan(ke).any():
        raise ConfigError(
            f"a beam of {beam_ke_mev:g} MeV cannot excite {reaction.residue.symbol} by {ex_mev:g} MeV: below the threshold (Q = {reaction.q_mev:.3f} MeV)."
        )
    return polar, ke


def _momentum(ke: F8, nucleus_: Nucleus) -> F8:
    return np.asarray(np.sqrt(ke * (ke + 2 * nucleus_.mass_mev)))
