"""Energy loss of ions in matter: stopping powers of the library catima or of a user's tables, ranges, straggling."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pycatima
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from penstock.core.errors import ConfigError
from penstock.tpc.assets import StoppingTables
from penstock.tpc.gas import Element, Gas
from penstock.tpc.nuclei import AMU_MEV, ELECTRON_MEV, Nucleus, nucleus, parse_nucleus

__all__ = [
    "GRID_PER_DECADE",
    "LOG10_FIRST_MEV",
    "StoppingCurve",
    "energy_after",
    "mass_stopping_power",
    "radiation_length_g_per_cm2",
    "read_stopping_csv",
    "stopping_asset",
    "stopping_curve",
    "write_stopping_csv",
]

F8 = NDArray[np.float64]

LOG10_FIRST_MEV = -4.0
"""The first energy of the grid is 0.1 keV ..."""
GRID_DECADES = 9
"""... and the last one 100 GeV."""
GRID_PER_DECADE = 512
"""Fine enough that straight lines between the energies are right to 10⁻⁵."""
SLOWEST_MEV_PER_U = 1e-3
"""Below 1 keV/u the stopping power goes with the speed."""
BOHR_MEV_CM2_PER_MOL = 0.307075 * ELECTRON_MEV
"""4π N r² (m c²)² per electron and mole (Bohr, Mat. Fys. Medd. 18, no. 8 (1948))."""


@dataclass(frozen=True, slots=True, eq=False)
class StoppingCurve:
    """Energy loss of a nucleus in a gas on a logarithmic grid.

    Attributes
    ----------
    nucleus
        The nucleus that is slowed down.
    ke_mev
        float64 (energies,): kinetic energies, `GRID_PER_DECADE` a decade.
    mev_per_mm
        float64 (energies,): energy loss.
    range_mm
        float64 (energies,): path to rest, without fields and straggling.
    straggling_mev2_per_mm
        Bohr's variance of the energy loss.
    radiation_length_mm
        Radiation length of the gas.
    """

    nucleus: Nucleus
    ke_mev: F8
    mev_per_mm: F8
    range_mm: F8
    straggling_mev2_per_mm: float
    radiation_length_mm: float

    def loss(self, ke_mev: F8 | float) -> F8:
        """Energy loss in MeV/mm at kinetic energies in MeV."""
        return np.asarray(np.interp(np.log(ke_mev), np.log(self.ke_mev), self.mev_per_mm))

    def path_to_rest(self, ke_mev: F8 | float) -> F8:
        """Range in mm at kinetic energies in MeV."""
        return np.asarray(np.exp(np.interp(np.log(ke_mev), np.log(self.ke_mev), np.log(self.range_mm))))

    def energy_after(self, ke_mev: F8 | float, path_mm: F8 | float) -> F8:
        """Kinetic energy in MeV that is left after a path in mm, 0 where the path is longer than the range."""
        left = self.path_to_rest(ke_mev) - np.asarray(path_mm)
        after = np.exp(np.interp(np.log(np.maximum(left, self.range_mm[0])), np.log(self.range_mm), np.log(self.ke_mev)))
        return np.asarray(np.where(left <= self.range_mm[0], 0.0, after))

    def against_field(self, electric_field_v_per_m: float) -> StoppingCurve:
        """The same for a motion against an electric field, which takes energy from the bare nucleus as well."""
        per_mm = self.mev_per_mm + self.nucleus.Z * electric_field_v_per_m * 1e-9
        return replace(self, mev_per_mm=per_mm, range_mm=_ranges(self.ke_mev, per_mm))


def mass_stopping_power(projectile: Nucleus, elements: Sequence[Element], ke_mev: F8) -> F8:
    """Stopping power in MeV cm²/g of a compound (Bragg's rule), electronic and nuclear, by catima.

    Below 1 keV/u, where catima's tables end, it goes with the speed. For protons in hydrogen catima lies up to 3 % above
    Bethe's formula between 2 and 15 MeV, and agrees with it below 1 % elsewhere above 1 MeV; where that matters, bring
    tables.

    Parameters
    ----------
    projectile
        The nucleus.
    elements
        Elements of the compound; their atoms have the masses of the mass table.
    ke_mev
        (energies,): kinetic energies in MeV.
    """
    matter = _matter(elements)
    ion = pycatima.Projectile(projectile.mass_u, projectile.Z)
    values = np.empty(len(ke_mev))
    for place, ke in enumerate(np.asarray(ke_mev, dtype=np.float64)):
        per_u = ke / projectile.mass_u
        ion.T(max(per_u, SLOWEST_MEV_PER_U))
        values[place] = pycatima.dedx(ion, matter) * math.sqrt(min(per_u / SLOWEST_MEV_PER_U, 1.0))
    return values


def radiation_length_g_per_cm2(elements: Sequence[Element]) -> float:
    """Radiation length of a compound in g/cm²: those of the elements by catima, scaled to the mass of the isotope."""
    masses = [e.atoms * nucleus(e.Z, e.A).mass_u for e in elements]
    natural = [pycatima.Material([[0, e.Z, 1]]) for e in elements]
    lengths = [
        float(pycatima.radiation_length(matter)) * nucleus(e.Z, e.A).mass_u / matter.molar_mass()
        for e, matter in zip(elements, natural, strict=True)
    ]
    return float(sum(masses) / sum(mass / length for mass, length in zip(masses, lengths, strict=True)))


def stopping_curve(projectile: Nucleus, gas: Gas, tables: StoppingTables | None = None) -> StoppingCurve:
    """Energy loss of a nucleus in a gas, from the user's table of that nucleus if there is one, else by catima.

    Parameters
    ----------
    projectile
        The nucleus.
    gas
        The gas; its density turns mass stopping powers into energy loss.
    tables
        The user's tables.

    Raises
    ------
    ConfigError
        The nucleus has no charge.
    """
    if projectile.Z == 0:
        raise ConfigError(f"particle {projectile.symbol!r} has no charge and leaves no track.")
    ke = _grid()
    row = None if tables is None else _row_of(tables, projectile)
    if tables is None or row is None:
        loss = _library_curve(projectile, gas.elements)
    else:
        first, last = tables.offsets["values"][row : row + 2]
        loss = _tabulated(np.asarray(tables["values"]["ke"][first:last]), np.asarray(tables["values"]["loss"][first:last]), ke)
    return _curve(projectile, gas.elements, loss, gas.g_per_cm3 / 10)


def energy_after(projectile: Nucleus, formula: Sequence[Element], ke_mev: F8 | float, ug_per_cm2: float) -> F8:
    """Kinetic energy in MeV that is left after a layer of a compound, such as a window, 0 where it stops.

    Parameters
    ----------
    projectile
        The nucleus.
    formula
        Elements of the compound.
    ke_mev
        Kinetic energies before the layer, MeV.
    ug_per_cm2
        Areal density of the layer in µg/cm².
    """
    elements = tuple(formula)
    return _curve(projectile, elements, _library_curve(projectile, elements), 1e-6).energy_after(ke_mev, ug_per_cm2)


def stopping_asset(files: Mapping[str, Path]) -> StoppingTables:
    """Stopping tables of CSV files, one a particle, as an asset; empty without files.

    Raises
    ------
    ConfigError
        A file cannot be used, or two are about one particle.
    """
    tables: dict[tuple[int, int], tuple[F8, F8]] = {}
    for path in files.values():
        particle, ke, loss = read_stopping_csv(path)
        if (particle.Z, particle.A) in tables:
            raise ConfigError(f"stopping table {str(path)!r}: particle {particle.symbol!r} has a table already; name one file a particle.")
        tables[particle.Z, particle.A] = ke, loss
    counts = [len(ke) for ke, _ in tables.values()]
    empty = [np.zeros(0)]
    columns = {
        "particles": {
            "Z": np.array([z for z, _ in tables], dtype=np.int32),
            "A": np.array([a for _, a in tables], dtype=np.int32),
        },
        "values": {
            "ke": np.concatenate([ke for ke, _ in tables.values()] or empty),
            "loss": np.concatenate([loss for _, loss in tables.values()] or empty),
        },
    }
    offsets = {"values": np.concatenate(([0], np.cumsum(counts))).astype(np.int64)}
    return StoppingTables(n_events=len(tables), columns=columns, offsets=offsets)


def read_stopping_csv(path: Path) -> tuple[Nucleus, F8, F8]:
    """A stopping table: the line ``particle,1H``, a line of column names, then kinetic energy in MeV and stopping power in MeV cm²/g.

    Returns
    -------
    particle
        The nucleus that is slowed down.
    ke_mev, loss
        float64 (rows,): ascending kinetic energies, mass stopping powers.

    Raises
    ------
    ConfigError
        The file cannot be read, or a line is wrong.
    """
    where = f"stopping table {str(path)!r}"
    try:
        lines = list(csv.reader(Path(path).read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where} cannot be read: {error}") from error
    if not lines or len(lines[0]) < 2 or lines[0][0].strip() != "particle":
        raise ConfigError(f"{where}, line 1: found {','.join(lines[0]) if lines else ''!r}, expected the particle, such as 'particle,1H'.")
    try:
        particle = parse_nucleus(lines[0][1])
    except ConfigError as error:
        raise ConfigError(f"{where}, line 1: {error}") from error
    rows: list[tuple[float, float]] = []
    for number, fields in enumerate(lines[2:], start=3):
        if fields:
            rows.append(_row(fields, rows[-1][0] if rows else 0.0, f"{where}, line {number}"))
    if len(rows) < 2:
        raise ConfigError(f"{where} has {len(rows)} energies, expected at least 2.")
    ke, loss = np.array(rows).T
    return particle, ke.copy(), loss.copy()


def write_stopping_csv(path: Path, particle: Nucleus, ke_mev: F8, loss: F8) -> None:
    """Write a stopping table that `read_stopping_csv` reads: kinetic energies in MeV, stopping powers in MeV cm²/g."""
    lines = [
        f"particle,{particle.symbol}",
        "ke_mev,loss_mev_cm2_per_g",
        *(f"{k!r},{s!r}" for k, s in zip(ke_mev.tolist(), loss.tolist(), strict=True)),
    ]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _row(fields: list[str], before: float, where: str) -> tuple[float, float]:
    try:
        ke, loss = float(fields[0]), float(fields[1])
    except (ValueError, IndexError):
        raise ConfigError(
            f"{where}: found {','.join(fields)!r}, expected a kinetic energy in MeV and a stopping power in MeV cm²/g."
        ) from None
    if not (math.isfinite(ke) and math.isfinite(loss) and loss > 0):
        raise ConfigError(f"{where}: found {','.join(fields)!r}, expected finite numbers and a stopping power above 0.")
    if ke <= before:
        raise ConfigError(f"{where}: energy {ke!r} MeV does not exceed the one before, {before!r} MeV; energies must ascend from above 0.")
    return ke, loss


def _grid() -> F8:
    return np.logspace(LOG10_FIRST_MEV, LOG10_FIRST_MEV + GRID_DECADES, GRID_DECADES * GRID_PER_DECADE + 1)


@lru_cache(maxsize=64)
def _library_curve(projectile: Nucleus, elements: tuple[Element, ...]) -> F8:
    values = mass_stopping_power(projectile, elements, _grid())
    values.flags.writeable = False
    return values


def _curve(projectile: Nucleus, elements: Sequence[Element], loss: F8, density: float) -> StoppingCurve:
    """From mass stopping powers on the grid; `density` turns MeV cm²/g into MeV per unit of path."""
    ke = _grid()
    per_path = loss * density
    molar = sum(nucleus(e.Z, e.A).mass_u * e.atoms for e in elements)
    electrons = sum(e.Z * e.atoms for e in elements)
    bohr = BOHR_MEV_CM2_PER_MOL * projectile.Z**2 * electrons / molar
    radiation = radiation_length_g_per_cm2(elements) / density
    return StoppingCurve(projectile, ke, per_path, _ranges(ke, per_path), bohr * density, radiation)


def _ranges(ke: F8, per_path: F8) -> F8:
    """∫ dT/S, by Simpson's rule in ln T with the middle from the neighbours; below the grid S goes with the speed."""
    values = ke / per_path
    middle = values[:-1] + np.diff(values) / 2
    middle[1:-1] = (9 * (values[1:-2] + values[2:-1]) - values[:-3] - values[3:]) / 16
    pieces = math.log(10) / GRID_PER_DECADE / 6 * (values[:-1] + 4 * middle + values[1:])
    return np.asarray(2 * values[0] + np.concatenate(([0.0], np.cumsum(pieces))))


def _tabulated(ke: F8, loss: F8, at: F8) -> F8:
    """Monotone cubic in ln S of ln T; with the speed below the table, as the last piece goes on above it."""
    curve = PchipInterpolator(np.log(ke), np.log(loss), extrapolate=True)
    inside = np.exp(curve(np.log(np.clip(at, ke[0], ke[-1]))))
    slope = float(curve(np.log(ke[-1]), 1))
    return np.asarray(inside * np.sqrt(np.minimum(at / ke[0], 1.0)) * np.maximum(at / ke[-1], 1.0) ** slope)


def _row_of(tables: StoppingTables, projectile: Nucleus) -> int | None:
    found = np.flatnonzero((tables["particles"]["Z"] == projectile.Z) & (tables["particles"]["A"] == projectile.A))
    return int(found[0]) if found.size else None


def _matter(elements: Sequence[Element]) -> pycatima.Material:
    return pycatima.Material([[nucleus(e.Z, e.A).mass_u + e.Z * ELECTRON_MEV / AMU_MEV, e.Z, e.atoms] for e in elements])
