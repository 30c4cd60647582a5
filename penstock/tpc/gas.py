"""Gases: what their molecules are made of, from a formula or a gas file, and their density."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penstock.core.errors import ConfigError
from penstock.tpc.assets import GasTable
from penstock.tpc.nuclei import common_mass_number, element_charge, nucleus

__all__ = ["Element", "Gas", "choose_gas", "gas_asset", "parse_compound", "parse_gas", "read_gas_file"]

GAS_CONSTANT = 8.31446261815324 * 0.0075e6
"""In cm³ Torr/(K mol), with the rounded Torr per pascal that the AT-TPC group's gas tables use."""

PRESSURE_FIELD = "pressure(Torr)"


@dataclass(frozen=True, slots=True)
class Element:
    """Atoms of one isotope in a molecule; `atoms` is fractional in a mixture."""

    Z: int
    A: int
    atoms: float


@dataclass(frozen=True, slots=True)
class Gas:
    """A gas: elements of its mean molecule, pressure and temperature."""

    elements: tuple[Element, ...]
    pressure_torr: float
    temperature_k: float

    @property
    def g_per_cm3(self) -> float:
        """Density of the ideal gas, in g/cm³.

        The molar mass is the sum of mass numbers, as in the gas tables of the AT-TPC group, so that densities agree with
        theirs; with atomic masses hydrogen would be 0.8 % denser, other gases less than 0.1 %.
        """
        molar = sum(e.A * e.atoms for e in self.elements)
        return molar * self.pressure_torr / (GAS_CONSTANT * self.temperature_k)


def parse_compound(formula: str) -> tuple[Element, ...]:
    """Elements of a compound: ``H2``, ``D2``, ``CO2``, ``iC4H10``, ``3He``.

    Each element counts with its most abundant isotope, unless a mass number begins the formula.

    Raises
    ------
    ConfigError
        The formula is not understood or names an unknown element.
    """
    word = re.sub(r"^[in]-?(?=[A-Z])", "", formula.strip())
    prefix = re.match(r"\d+", word)
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", word)
    if not parts or "".join(["" if prefix is None else prefix[0], *(symbol + count for symbol, count in parts)]) != word:
        raise ConfigError(f"formula {formula!r} is not understood; expected symbols and counts, such as 'H2', 'C4H10' or 'CO2'.")
    counts: dict[tuple[int, int], int] = {}
    for place, (symbol, count) in enumerate(parts):
        if count and int(count) == 0:
            raise ConfigError(f"formula {formula!r}: element {symbol!r} occurs 0 times.")
        mass_number = int(prefix[0]) if prefix is not None and place == 0 else common_mass_number(symbol)
        isotope = nucleus(element_charge(symbol), mass_number)
        counts[isotope.Z, isotope.A] = counts.get((isotope.Z, isotope.A), 0) + int(count or 1)
    return tuple(Element(Z, A, float(n)) for (Z, A), n in counts.items())


def parse_gas(text: str, pressure_torr: float, temperature_k: float) -> Gas:
    """The gas of a formula, or of volume fractions: ``He:0.9 CO2:0.1``.

    Raises
    ------
    ConfigError
        A formula is not understood, or the fractions do not add up to 1.
    """
    words = text.split()
    if len(words) == 1 and ":" not in text:
        return Gas(parse_compound(words[0]), pressure_torr, temperature_k)
    compounds, fractions = [], []
    for word in words:
        formula, _, fraction = word.partition(":")
        try:
            fractions.append(float(fraction))
        except ValueError:
            raise ConfigError(f"gas {text!r}: {word!r} has no volume fraction; expected such as 'He:0.9 CO2:0.1'.") from None
        compounds.append(parse_compound(formula))
    return Gas(_mix(compounds, fractions, f"gas {text!r}"), pressure_torr, temperature_k)


def choose_gas(text: str, pressure_torr: float, temperature_k: float, table: GasTable | None) -> Gas:
    """The gas that a gas file gave, if there is one, with its own pressure; else that of the parameters."""
    if table is None or len(table["elements"]["Z"]) == 0:
        return parse_gas(text, pressure_torr, temperature_k)
    rows = table["elements"]
    elements = tuple(Element(int(z), int(a), float(n)) for z, a, n in zip(rows["Z"], rows["A"], rows["atoms"], strict=True))
    return Gas(elements, float(rows["pressure"][0]), temperature_k)


def gas_asset(files: Mapping[str, Path]) -> GasTable:
    """The gas of a gas file as an asset; empty without a file.

    Raises
    ------
    ConfigError
        There are several files, or the file cannot be used.
    """
    if not files:
        return GasTable.empty(0)
    if len(files) > 1:
        raise ConfigError(f"a detector holds one gas, but {len(files)} gas files are named: {', '.join(map(str, files.values()))}.")
    (path,) = files.values()
    gas = read_gas_file(path)
    columns = {
        "Z": np.array([e.Z for e in gas.elements], dtype=np.int32),
        "A": np.array([e.A for e in gas.elements], dtype=np.int32),
        "atoms": np.array([e.atoms for e in gas.elements]),
        "pressure": np.full(len(gas.elements), gas.pressure_torr),
    }
    return GasTable(n_events=len(gas.elements), columns={"elements": columns})


def read_gas_file(path: Path, temperature_k: float = 293.0) -> Gas:
    """The gas of a target file in JSON, as Spyral reads it.

    One compound: ``{"compound": [[Z, A, atoms], ...], "pressure(Torr)": 300.0}``. A mixture: ``"components"`` (a list of
    compounds) and ``"volume_fractions"`` instead of ``"compound"``.

    Raises
    ------
    ConfigError
        The file cannot be read, is not JSON, or a field is missing or wrong.
    """
    where = f"gas file {str(path)!r}"
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where} cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}, line {error.lineno}: not JSON: {error.msg}.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{where} holds {type(content).__name__}, expected an object with 'compound' and {PRESSURE_FIELD!r}.")
    pressure = _number(content, PRESSURE_FIELD, where)
    if "components" in content:
        compounds = [_compound(c, f"{where}, field 'components[{i}]'") for i, c in enumerate(_list(content, "components", where))]
        fractions = [
            _positive(f, f"{where}, field 'volume_fractions[{i}]'") for i, f in enumerate(_list(content, "volume_fractions", where))
        ]
        return Gas(_mix(compounds, fractions, where), pressure, temperature_k)
    return Gas(_compound(_list(content, "compound", where), f"{where}, field 'compound'"), pressure, temperature_k)


def _mix(compounds: list[tuple[Element, ...]], fractions: list[float], where: str) -> tuple[Element, ...]:
    if len(compounds) != len(fractions):
        raise ConfigError(f"{where}: {len(compounds)} components have {len(fractions)} volume fractions; expected one each.")
    if not math.isclose(sum(fractions), 1.0, abs_tol=1e-6) or min(fractions) <= 0:
        raise ConfigError(f"{where}: volume fractions {fractions!r} must be positive and add up to 1, they add up to {sum(fractions):g}.")
    counts: dict[tuple[int, int], float] = {}
    for elements, fraction in zip(compounds, fractions, strict=True):
        for e in elements:
            counts[e.Z, e.A] = counts.get((e.Z, e.A), 0.0) + fraction * e.atoms
    return tuple(Element(Z, A, n) for (Z, A), n in counts.items())


def _compound(rows: Any, where: str) -> tuple[Element, ...]:
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"{where}: found {rows!r}, expected a list of [Z, A, atoms].")
    elements = []
    for place, row in enumerate(rows):
        spot = f"{where}[{place}]"
        if not isinstance(row, list) or len(row) != 3:
            raise ConfigError(f"{spot}: found {row!r}, expected [Z, A, atoms].")
        charge, mass_number, atoms = (_positive(value, spot) for value in row)
        try:
            isotope = nucleus(int(charge), int(mass_number))
        except ConfigError as error:
            raise ConfigError(f"{spot}: {error}") from error
        elements.append(Element(isotope.Z, isotope.A, atoms))
    return tuple(elements)


def _list(content: dict[str, Any], field: str, where: str) -> list[Any]:
    if field not in content:
        raise ConfigError(f"{where}: field {field!r} is missing; found {', '.join(map(repr, content)) or 'none'}.")
    if not isinstance(content[field], list):
        raise ConfigError(f"{where}, field {field!r}: found {content[field]!r}, expected a list.")
    found: list[Any] = content[field]
    return found


def _number(content: dict[str, Any], field: str, where: str) -> float:
    if field not in content:
        hint = " Solid targets, with 'thickness(ug/cm^2)', are no gas." if "thickness(ug/cm^2)" in content else ""
        raise ConfigError(f"{where}: field {field!r} is missing; found {', '.join(map(repr, content)) or 'none'}.{hint}")
    return _positive(content[field], f"{where}, field {field!r}")


def _positive(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise ConfigError(f"{where}: found {value!r}, expected a positive number.")
    return float(value)
