"""Tables of drifting electrons as Garfield++ scripts of the AT-TPC group write them, read into a `FieldMap`.

Six columns of text: start x0 and y0, landing place x1, y1 and z1 in cm, drift time in ns. x runs along the detector, y away
from the axis, z across; starting places make a grid in x0 and y0.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError
from penstock.tpc.assets import FieldMap

__all__ = ["read_field_table"]

F8 = NDArray[np.float64]

COLUMNS = ("x0", "y0", "x1", "y1", "z1", "t")
MM_PER_CM = 10.0


def read_field_table(path: Path) -> FieldMap:
    """The map that a table describes; lengths in mm.

    The micromegas lies where electrons on the axis land, so a start is |x0 - x1| away from it. Rows with negative y0 mirror
    the others and are not used. Drift times become distances by those on the axis: whatever the velocity in the real gas,
    a drift time calibrated on the axis fits. An electron that starts at the micromegas lands there: where the table begins
    further out, that row of nodes is added. The axes of the table are right-handed.

    Parameters
    ----------
    path
        Text; empty lines and lines that begin with # are skipped. The order of the rows does not matter.

    Raises
    ------
    ConfigError
        The file cannot be read, a row is not six finite numbers, the grid has gaps or no axis, or the map cannot be inverted.
    """
    lines, rows = _rows(path)
    used = np.flatnonzero(rows[:, 1] >= 0)
    starts, radii = np.unique(rows[used, 0]), np.unique(rows[used, 1])
    if len(starts) < 2 or len(radii) < 2 or radii[0] != 0:
        raise ConfigError(
            f"field table {str(path)!r} has {len(starts)} values of x0 and {len(radii)} of y0 from 0 on, expected at least 2 of each and y0 = 0."
        )
    node = np.full((len(starts), len(radii)), -1)
    for row in used:
        place = np.searchsorted(starts, rows[row, 0]), np.searchsorted(radii, rows[row, 1])
        if node[place] >= 0:
            raise ConfigError(
                f"{_where(path, lines[row])}: x0 = {rows[row, 0]:g} cm, y0 = {rows[row, 1]:g} cm stands in line {lines[node[place]]} already."
            )
        node[place] = row
    for layer, column in np.argwhere(node < 0):
        raise ConfigError(
            f"field table {str(path)!r} has no row for x0 = {starts[layer]:g} cm, y0 = {radii[column]:g} cm; every x0 needs every y0."
        )
    return _map(path, rows[node], np.array(lines)[node])


def _map(path: Path, table: NDArray[np.float64], lines: NDArray[np.int64]) -> FieldMap:
    """The map of a table (distances, radii, 6), checked for what inverting it needs."""
    plane = float(np.median(table[:, 0, 2]))
    side = 1.0 if table[0, 0, 0] + table[-1, 0, 0] > 2 * plane else -1.0
    distance = side * (table[:, 0, 0] - plane)
    order = np.argsort(distance)
    distance, table, lines = distance[order], table[order], lines[order]
    if distance[0] < 0:
        raise ConfigError(
            f"{_where(path, lines[0, 0])}: x0 = {table[0, 0, 0]:g} cm lies behind the plane where electrons land, x1 = {plane:g} cm."
        )
    time = table[:, 0, 5]
    for layer in np.flatnonzero(np.diff(time) <= 0):
        raise ConfigError(
            f"{_where(path, lines[layer + 1, 0])}: the drift time on the axis, {time[layer + 1]:g} ns, must exceed that of line {lines[layer, 0]}, {time[layer]:g} ns, from nearer to the micromegas."
        )
    landing = np.hypot(table[..., 3], table[..., 4])
    turn = -side * np.where(landing > 0, np.arctan2(table[..., 4], table[..., 3]), 0.0)
    turn[:, 0] = turn[:, 1]
    apparent = _same_time_on_axis(table[..., 5], time, distance)
    radii = table[0, :, 1]
    if distance[0] > 0:
        distance = np.concatenate([[0.0], distance])
        landing, turn, apparent = (np.vstack([first, rest]) for first, rest in ((radii, landing), (0 * radii, turn), (0 * radii, apparent)))
        lines = np.vstack([lines[:1], lines])
    _check_invertible(path, landing, apparent, distance, lines)
    grid = np.meshgrid(distance, radii, indexing="ij")
    values = dict(zip(("distance", "radius", "landing_radius", "apparent_distance"), (*grid, landing, apparent), strict=True))
    columns = {name: np.ascontiguousarray(v).ravel() * MM_PER_CM for name, v in values.items()} | {"turn": turn.ravel()}
    return FieldMap(n_events=turn.size, columns={"nodes": columns})


def _same_time_on_axis(times: F8, axis: F8, distance: F8) -> F8:
    """Distance from which an electron on the axis takes as long; beyond the last node by the velocity between the outer ones."""
    slopes = np.diff(distance) / np.diff(axis)
    found = np.interp(times, axis, distance)
    found += np.minimum(times - axis[0], 0.0) * slopes[0] + np.maximum(times - axis[-1], 0.0) * slopes[-1]
    return found


def _check_invertible(path: Path, landing: F8, apparent: F8, distance: F8, lines: NDArray[np.int64]) -> None:
    for layer, column in np.argwhere(np.diff(landing, axis=1) <= 0):
        raise ConfigError(
            f"{_where(path, lines[layer, column + 1])}: the electron lands {landing[layer, column + 1]:.2f} cm from the axis, no further out than that of line {lines[layer, column]}, which starts further in. Leave out radii from which electrons do not arrive."
        )
    steps = np.diff(apparent, axis=0) / np.diff(distance)[:, None]
    for layer, column in np.argwhere((steps <= 0) | (steps >= 2)):
        raise ConfigError(
            f"{_where(path, lines[layer + 1, column])}: from line {lines[layer, column]} on the drift time grows {steps[layer, column]:.2f} times as fast as on the axis, expected 0 to 2."
        )


def _rows(path: Path) -> tuple[list[int], F8]:
    """Line number and numbers of each row."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"field table {str(path)!r} cannot be read: {error}") from error
    lines, rows = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        if len(fields) != len(COLUMNS):
            raise ConfigError(f"{_where(path, number)}: found {len(fields)} columns, expected {len(COLUMNS)} ({', '.join(COLUMNS)})")
        lines.append(number)
        rows.append([_number(field, name, path, number) for field, name in zip(fields, COLUMNS, strict=True)])
    if not rows:
        raise ConfigError(f"field table {str(path)!r} has no row; expected {len(COLUMNS)} columns ({', '.join(COLUMNS)}; cm and ns)")
    return lines, np.array(rows)


def _number(text: str, name: str, path: Path, line: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{_where(path, line)}: found {text!r} for {name}, expected a finite number")
    return number


def _where(path: Path, line: int) -> str:
    return f"field table {str(path)!r}, line {line}"
