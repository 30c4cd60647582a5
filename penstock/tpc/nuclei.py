"""Nuclei: charge, mass, names, and the relation of kinetic energy and magnetic rigidity."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
import periodictable
from numpy.typing import NDArray

from penstock.core.errors import ConfigError, nearest

__all__ = ["AMU_MEV", "ELECTRON_MEV", "MEV_PER_TM", "Nucleus", "common_mass_number", "element_charge", "nucleus", "parse_nucleus"]

AMU_MEV = 931.49410242
"""Atomic mass unit (CODATA 2018, as the mass evaluation uses it)."""
ELECTRON_MEV = 0.51099895
MEV_PER_TM = 299.792458
"""Momentum, in MeV/c, that a rigidity of 1 T·m gives to one elementary charge."""

ALIASES = {"n": "1n", "p": "1H", "d": "2H", "t": "3H", "a": "4He", "alpha": "4He"}
HYDROGEN = {"D": "2H", "T": "3H"}


@dataclass(frozen=True, slots=True)
class Nucleus:
    """A bare nucleus: charge number, mass number, mass in MeV, symbol such as ``4He``."""

    Z: int
    A: int
    mass_mev: float
    symbol: str

    @property
    def mass_u(self) -> float:
        """Mass in atomic mass units."""
        return self.mass_mev / AMU_MEV

    def rigidity_tm(self, ke_mev: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Magnetic rigidity Bρ in T·m at kinetic energies in MeV."""
        ke = np.asarray(ke_mev, dtype=np.float64)
        return np.asarray(np.sqrt(ke * (ke + 2 * self.mass_mev)) / (self.Z * MEV_PER_TM))

    def ke_mev(self, rigidity_tm: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Kinetic energy in MeV at magnetic rigidities Bρ in T·m."""
        momentum = np.asarray(rigidity_tm, dtype=np.float64) * (self.Z * MEV_PER_TM)
        return np.asarray(momentum**2 / (np.hypot(momentum, self.mass_mev) + self.mass_mev))


@cache
def nucleus(Z: int, A: int) -> Nucleus:  # noqa: N803
    """The nucleus of charge number `Z` and mass number `A`.

    Its mass is that of the atom in the evaluation of 2020 (Wang et al., Chinese Physics C 45 (2021) 030003; the table of
    the package periodictable) less `Z` electrons, whose binding energy is left out.

    Raises
    ------
    ConfigError
        No such nuclide is known.
    """
    if (Z, A) == (0, 1):
        return Nucleus(0, 1, float(periodictable.neutron.mass) * AMU_MEV, "1n")
    known = _isotopes(Z)
    if A not in known:
        raise ConfigError(
            f"nuclide Z={Z!r}, A={A!r} is not in the mass table; "
            + (f"{_symbol(Z)} is known from A={known[0]} to A={known[-1]}." if known else "charge numbers run from 1 to 118.")
        )
    atom = periodictable.elements[Z][A]
    return Nucleus(Z, A, float(atom.mass) * AMU_MEV - Z * ELECTRON_MEV, f"{A}{_symbol(Z)}")


def parse_nucleus(text: str) -> Nucleus:
    """The nucleus of a name: ``16O``, ``3He``, or n, p, d, t, a for the light ones.

    Raises
    ------
    ConfigError
        The name is not of that form, or no such nuclide is known.
    """
    word = text.strip()
    match = re.fullmatch(r"(\d+)([A-Z]?[a-z]?)", ALIASES.get(word, word))
    if match is None:
        raise ConfigError(
            f"nuclide {text!r} is not understood; expected a mass number and a symbol, such as '16O', or one of n, p, d, t, a."
        )
    number, symbol = int(match[1]), match[2]
    if (number, symbol) == (1, "n"):
        return nucleus(0, 1)
    charge = element_charge(symbol)
    if number not in _isotopes(charge):
        known = _isotopes(charge)
        closest = min(known, key=lambda a: abs(a - number))
        raise ConfigError(f"nuclide {text!r} is not in the mass table; the nearest isotope is '{closest}{symbol}'.")
    return nucleus(charge, number)


def element_charge(symbol: str) -> int:
    """Charge number of an element (D and T count as hydrogen).

    Raises
    ------
    ConfigError
        There is no such element.
    """
    try:
        return _charges()[symbol]
    except KeyError:
        raise ConfigError(f"element {symbol!r} does not exist; symbols are written as in 'He'.{nearest(symbol, _charges())}") from None


def common_mass_number(symbol: str) -> int:
    """Mass number of the most abundant isotope of an element; 2 for D, 3 for T."""
    if symbol in HYDROGEN:
        return int(HYDROGEN[symbol][0])
    element = periodictable.elements[element_charge(symbol)]
    return max(_isotopes(element.number), key=lambda a: float(element[a].abundance))


@cache
def _charges() -> dict[str, int]:
    return {e.symbol: int(e.number) for e in periodictable.elements if e.number > 0} | {"D": 1, "T": 1}


@cache
def _isotopes(charge: int) -> tuple[int, ...]:
    return tuple(periodictable.elements[charge].isotopes) if 1 <= charge <= 118 else ()


def _symbol(charge: int) -> str:
    return str(periodictable.elements[charge].symbol)
