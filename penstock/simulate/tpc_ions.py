"""Light ions and the gases that slow them down: masses, density, stopping power, straggling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.simulate.tpc_settings import Gas, Particle

__all__ = ["GASES", "IONS", "GasData", "Ion", "StoppingTable", "density_g_per_cm3", "rigidity_tm", "stopping_power", "stopping_table"]

AMU_MEV = 931.49410242
ELECTRON_MEV = 0.51099895
BETHE_MEV_CM2_PER_G = 0.307075
GAS_CONSTANT = 8.31446261815324 * 0.0075e6
"""In cm³ Torr/(K mol), with the rounded Torr per pascal that the AT-TPC group's gas tables use."""
TEMPERATURE_K = 293.0
MEV_PER_TM = 299.792458


@dataclass(frozen=True, slots=True)
class Ion:
    """A bare nucleus: charge number, mass number, mass in MeV (AME 2020)."""

    charge: int
    mass_number: int
    mass_mev: float


@dataclass(frozen=True, slots=True)
class GasData:
    """A gas of one element.

    ``mass_numbers`` is the sum over a molecule, `fit` the coefficients A1 to A5 of Andersen and Ziegler, ``mean_ev`` the
    mean excitation energy (ICRU report 49), ``w_ev`` the energy that sets one electron free; radiation lengths of the
    Particle Data Group.
    """

    charge: int
    atomic_weight: float
    mass_numbers: int
    atoms: int
    fit: tuple[float, float, float, float, float]
    mean_ev: float
    w_ev: float
    radiation_length_g_per_cm2: float


@dataclass(frozen=True, slots=True)
class StoppingTable:
    """Energy loss of one ion in one gas on a logarithmic grid: ``mev_per_mm[i]`` at ``ke_mev[i]``."""

    ke_mev: NDArray[np.float64]
    mev_per_mm: NDArray[np.float64]
    straggling_mev2_per_mm: float


IONS: dict[Particle, Ion] = {
    "p": Ion(1, 1, 938.27208816),
    "d": Ion(1, 2, 1875.61294257),
    "t": Ion(1, 3, 2808.92113298),
    "3He": Ion(2, 3, 2808.39160743),
    "4He": Ion(2, 4, 3727.3794066),
}
HYDROGEN_FIT = (1.262, 1.44, 242.6, 12000.0, 0.1159)
GASES: dict[Gas, GasData] = {
    "H2": GasData(1, 1.008, 2, 2, HYDROGEN_FIT, 19.2, 36.5, 63.04),
    "D2": GasData(1, 2.014, 4, 2, HYDROGEN_FIT, 19.2, 36.5, 125.97),
    "He": GasData(2, 4.0026, 4, 1, (1.229, 1.397, 484.5, 5873.0, 0.05225), 41.8, 41.3, 94.32),
}
EFFECTIVE_CHARGE = (0.2865, 0.1266, -0.001429, 0.02402, -0.01135, 0.001475)
"""Coefficients of Ziegler, Biersack and Littmark for helium, in powers of ln(keV/u)."""


def density_g_per_cm3(gas: Gas, pressure_torr: float) -> float:
    """Density of the ideal gas at 293 K, from mass numbers as the AT-TPC group's gas tables do, in g/cm³."""
    return GASES[gas].mass_numbers * pressure_torr / (GAS_CONSTANT * TEMPERATURE_K)


def stopping_power(ion: Ion, gas: Gas, ke_mev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Electronic stopping power, in MeV cm²/g.

    Protons: Andersen and Ziegler (The Stopping and Ranges of Ions in Matter, vol. 3, 1977) below 0.4 MeV/u, Bethe's
    formula above 1.6 MeV/u, a smooth passage between. Helium: that of protons of the same speed, times the effective
    charge of Ziegler, Biersack and Littmark (The Stopping and Range of Ions in Solids, 1985).

    Parameters
    ----------
    ion
        The ion.
    gas
        The gas.
    ke_mev
        Kinetic energies, MeV.
    """
    data = GASES[gas]
    kev_per_u = np.asarray(ke_mev) * 1e3 / (ion.mass_mev / AMU_MEV)
    fraction = np.clip(np.log(kev_per_u / 400) / np.log(4), 0, 1)
    weight = fraction**2 * (3 - 2 * fraction)
    proton = (1 - weight) * _andersen_ziegler(data, kev_per_u) + weight * _bethe(data, ion, np.asarray(ke_mev))
    return np.asarray(proton * _charge_squared(ion, data, kev_per_u))


def stopping_table(particle: Particle, gas: Gas, pressure_torr: float) -> StoppingTable:
    """Energy loss and Bohr's straggling of a particle from 0.1 keV to 1 GeV, at 128 energies a decade."""
    ion, data = IONS[particle], GASES[gas]
    g_per_cm3 = density_g_per_cm3(gas, pressure_torr)
    ke_mev = np.logspace(-4, 3, 7 * 128 + 1)
    bohr = BETHE_MEV_CM2_PER_G * ELECTRON_MEV * ion.charge**2 * data.charge / data.atomic_weight
    return StoppingTable(ke_mev, stopping_power(ion, gas, ke_mev) * g_per_cm3 / 10, bohr * g_per_cm3 / 10)


def rigidity_tm(ion: Ion, ke_mev: float) -> float:
    """Magnetic rigidity Bρ of the ion, in T·m."""
    return float(np.sqrt(ke_mev * (ke_mev + 2 * ion.mass_mev))) / (ion.charge * MEV_PER_TM)


def _andersen_ziegler(gas: GasData, kev_per_u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Their fit for protons; 602.2/A turns eV cm²/10¹⁵ atoms into MeV cm²/g."""
    a1, a2, a3, a4, a5 = gas.fit
    energy = np.maximum(kev_per_u, 10.0)
    low = a2 * energy**0.45
    high = a3 / energy * np.log(1 + a4 / energy + a5 * energy)
    slow = np.minimum(a1 * np.sqrt(kev_per_u), a1 * np.sqrt(10.0))
    per_atom = np.where(kev_per_u < 10, slow, low * high / (low + high))
    return np.asarray(per_atom * 602.214076 / gas.atomic_weight)


def _bethe(gas: GasData, ion: Ion, ke_mev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bethe's formula for charge 1 without shell and density corrections, which are below 0.5 % for H and He."""
    gamma = 1 + ke_mev / ion.mass_mev
    beta2 = 1 - gamma**-2
    argument = np.maximum(2 * ELECTRON_MEV * 1e6 * beta2 * gamma**2 / gas.mean_ev, np.e)
    return np.asarray(BETHE_MEV_CM2_PER_G * gas.charge / gas.atomic_weight / beta2 * (np.log(argument) - beta2))


def _charge_squared(ion: Ion, gas: GasData, kev_per_u: NDArray[np.float64]) -> NDArray[np.float64]:
    if ion.charge == 1:
        return np.ones_like(kev_per_u)
    log = np.log(np.maximum(kev_per_u, 1.0))
    exponent = np.minimum(np.polyval(EFFECTIVE_CHARGE[::-1], log), 30.0)
    low = 1 + (0.007 + 0.00005 * gas.charge) * np.exp(-((7.6 - log) ** 2))
    return np.asarray(ion.charge**2 * (1 - np.exp(-exponent)) * low**2)
