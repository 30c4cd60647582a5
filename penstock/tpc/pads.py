"""The AT-TPC pad plane: 10,240 triangular pads from their geometry, or from a user's CSV maps.

Equilateral cells of a triangular lattice stand in 64 rows; a hexagon around the axis has each cell cut into four small
pads. Numbers run along +x within a row, through the rows of the upper half outwards, then of the lower half outwards.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError, nearest
from penstock.tpc.assets import PadMap

__all__ = ["N_PADS", "SMALL_SIDE_MM", "lattice_pads", "pad_corners", "pad_map", "pad_plane", "read_pad_csv"]

N_PADS = 10240
"""Pads of the plane."""

MIL_MM = 0.0254
SMALL_SIDE_MM = (184 + 16 / math.sqrt(3)) * MIL_MM
"""Side of a small cell: a pad of 184 mil and, all around, half a gap of 16/3 mil (1 mil = 0.0254 mm)."""
CELL_SIDE_MM = 2 * SMALL_SIDE_MM
"""Side of a big cell."""
ROW_HEIGHT_MM = CELL_SIDE_MM * math.sqrt(3) / 2
"""Height of a big cell."""
PLANE_RADIUS_MM = 275.0
"""A cell belongs to the plane if its width at half height lies within this radius."""
ROWS_PER_HALF = 32
SMALL_ROWS = 16
SMALL_CELLS_OF_ROW_0 = 31
"""The hexagon of small pads has this many cells on each side of the axis in the first row, one less in each further one."""


@cache
def pad_plane() -> PadMap:
    """The pad plane of the detector, generated from its geometry.

    Returns
    -------
    PadMap
        x and y in mm (mid height of each triangle, as in the detector group's own map), scale 0.5 or 1.0, time offset
        0 time buckets, gain 1. Row number = pad number. Arrays are read-only.
    """
    geometry = _geometry()
    columns = {"x": geometry[:, 0], "y": geometry[:, 1], "scale": geometry[:, 2]}
    return _frozen({**columns, "time_offset": np.zeros(N_PADS), "gain": np.ones(N_PADS)})


def pad_map(overrides: Mapping[str, Path]) -> PadMap:
    """The pad plane with columns replaced by those of a user's CSV files.

    Parameters
    ----------
    overrides
        CSV file of each role: ``pad_xy``, ``pad_scale``, ``pad_time``, ``pad_gain``.

    Raises
    ------
    ConfigError
        The role is unknown or a file cannot be used.
    """
    columns = dict(pad_plane()["pads"])
    for role, path in overrides.items():
        columns.update(read_pad_csv(path, role))
    return _frozen(columns)


def read_pad_csv(path: Path, role: str) -> dict[str, NDArray[np.float64]]:
    """Columns of a pad map in CSV: one header line, then one row a pad, row number = pad number.

    Only the leading columns are read; lines may end with LF, CR LF or CR.

    Parameters
    ----------
    path
        The file.
    role
        ``pad_xy`` (x and y in mm), ``pad_scale`` (0.5 small, 1.0 big), ``pad_time`` (time buckets) or ``pad_gain``.

    Returns
    -------
    dict
        float64 columns of `PadMap`, 10,240 rows each.

    Raises
    ------
    ConfigError
        Unknown role, unreadable file, wrong number of rows, a value that is not a finite number, or a gain that is not
        positive.
    """
    if role not in PadMap.csv_roles:
        raise ConfigError(
            f"pad map role {role!r} is unknown; expected one of {', '.join(PadMap.csv_roles)}.{nearest(role, PadMap.csv_roles)}"
        )
    names = PadMap.csv_roles[role]
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{role} map {str(path)!r} cannot be read: {error}") from error
    lines = [line for line in csv.reader(io.StringIO(text)) if line]
    if len(lines) - 1 != N_PADS:
        raise ConfigError(f"{role} map {str(path)!r} has {max(len(lines) - 1, 0)} rows after the header, expected {N_PADS}, one a pad")
    values = np.empty((N_PADS, len(names)))
    for row, fields in enumerate(lines[1:]):
        values[row] = _numbers(fields, names, f"{role} map {str(path)!r}, row {row} (line {row + 2})")
    return {name: values[:, k].copy() for k, name in enumerate(names)}


def pad_corners(pad: int) -> NDArray[np.float64]:
    """Corners of a pad's cell, half of each gap included: (3, 2) in mm, counter-clockwise from the lower left."""
    x, y, scale, up = _geometry()[pad]
    half_side = scale * CELL_SIDE_MM / 2
    half_height = scale * ROW_HEIGHT_MM / 2
    if up:
        return np.array([(x - half_side, y - half_height), (x + half_side, y - half_height), (x, y + half_height)])
    return np.array([(x, y - half_height), (x + half_side, y + half_height), (x - half_side, y + half_height)])


@cache
def lattice_pads() -> NDArray[np.int16]:
    """Which pad covers each cell of the lattice of small triangles, for a quick look-up of places in the plane.

    Returns
    -------
    array
        int16 (128, 225), read-only. Row r lies between y = (r - 64) h and y + h, h = √3/2 `SMALL_SIDE_MM`; column c has
        its centre line at x = (c - 112) `SMALL_SIDE_MM` / 2; the triangle points to +y where (r + c) is odd. -1: no pad.
    """
    table = np.full((4 * ROWS_PER_HALF, 225), -1, dtype=np.int16)
    for pad, (x, y, scale, up) in enumerate(_geometry()):
        column = round(x / SMALL_SIDE_MM * 2) + 112
        if scale < 1:
            table[math.floor(y / ROW_HEIGHT_MM * 2) + 2 * ROWS_PER_HALF, column] = pad
            continue
        bottom = 2 * math.floor(y / ROW_HEIGHT_MM) + 2 * ROWS_PER_HALF
        table[bottom if up else bottom + 1, column - 1 : column + 2] = pad
        table[bottom + 1 if up else bottom, column] = pad
    table.setflags(write=False)
    return table


@cache
def _geometry() -> NDArray[np.float64]:
    """One row a pad: x mm, y mm, scale, 1.0 where the triangle points to +y."""
    upper = [pad for row in range(ROWS_PER_HALF) for pad in _row(row)]
    lower = [(x, -y, scale, 1.0 - up) for x, y, scale, up in upper]
    return np.array(upper + lower)


def _row(row: int) -> list[tuple[float, float, float, float]]:
    """Pads of one row of cells of the upper half, in the order of their numbers."""
    middle = (row + 0.5) * ROW_HEIGHT_MM
    last = math.floor(math.sqrt(PLANE_RADIUS_MM**2 - middle**2) / SMALL_SIDE_MM - 0.5)
    last_small = SMALL_CELLS_OF_ROW_0 - row if row < SMALL_ROWS else -1
    pads: list[tuple[float, float, float, float]] = []
    for cell in range(-last, last + 1):
        x = cell * SMALL_SIDE_MM
        up = float((cell + row) % 2)
        if abs(cell) > last_small:
            pads.append((x, middle, 1.0, up))
            continue
        towards_tip = (0.25 if up else -0.25) * ROW_HEIGHT_MM
        base, tip = middle - towards_tip, middle + towards_tip
        left, right = x - SMALL_SIDE_MM / 2, x + SMALL_SIDE_MM / 2
        pads += [(left, base, 0.5, up), (x, base, 0.5, 1.0 - up), (x, tip, 0.5, up), (right, base, 0.5, up)]
    return pads


def _numbers(fields: list[str], names: tuple[str, ...], where: str) -> list[float]:
    if len(fields) < len(names):
        raise ConfigError(f"{where}: found {len(fields)} columns, expected at least {len(names)} ({', '.join(names)})")
    numbers = []
    for name, text in zip(names, fields, strict=False):
        try:
            number = float(text)
        except ValueError:
            raise ConfigError(f"{where}: found {text!r} for {name}, expected a number") from None
        if not math.isfinite(number):
            raise ConfigError(f"{where}: found {text!r} for {name}, expected a finite number")
        if name == "gain" and number <= 0:
            raise ConfigError(f"{where}: found {text!r} for {name}, expected a positive number")
        numbers.append(number)
    return numbers


def _frozen(columns: Mapping[str, NDArray[np.float64]]) -> PadMap:
    pads = {}
    for name, values in columns.items():
        pads[name] = np.array(values, dtype=np.float64)
        pads[name].setflags(write=False)
    return PadMap(n_events=N_PADS, columns={"pads": pads})
