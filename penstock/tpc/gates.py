"""Particle-identification gates: polygons in the plane of two columns of the estimates, read from and written to JSON.

The files are those that Spyral reads: ``{"name", "Z", "A", "vertices": [[x, y], ...], "xaxis", "yaxis"}``; without both
axes the plane is that of dE/dx and Bρ.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError, nearest
from penstock.kernels import jit
from penstock.tpc.assets import Gates
from penstock.tpc.nuclei import nucleus
from penstock.tpc.schemas import Estimates

__all__ = ["DEFAULT_AXES", "gates_asset", "inside_polygon", "passes_gate", "read_gate", "write_gate"]

F8 = NDArray[np.float64]

DEFAULT_AXES = ("dEdx", "brho")
"""Columns of a gate whose file does not name both."""

AXES = tuple(c.name for c in Estimates.table("estimates").columns)
FEWEST_VERTICES = 3


def gates_asset(files: Mapping[str, Path]) -> Gates:
    """The gates of JSON files, one a file, ordered by role; none without files.

    Raises
    ------
    ConfigError
        A file cannot be used.
    """
    gates = [read_gate(files[role]) for role in sorted(files, key=lambda role: (len(role), role))]
    heads = np.array([head for head, _ in gates], dtype=np.int32).reshape(-1, 4)
    corners = np.concatenate([vertices for _, vertices in gates] or [np.empty((0, 2))])
    names = ("Z", "A", "x_column", "y_column")
    return Gates(
        n_events=len(gates),
        columns={
            "gates": {name: heads[:, k].copy() for k, name in enumerate(names)},
            "vertices": {"x": corners[:, 0].copy(), "y": corners[:, 1].copy()},
        },
        offsets={"vertices": np.concatenate(([0], np.cumsum([len(vertices) for _, vertices in gates]))).astype(np.int64)},
    )


def read_gate(path: Path) -> tuple[tuple[int, int, int, int], F8]:
    """One gate of a JSON file.

    Returns
    -------
    head
        Charge number, mass number, and positions of the x and y column in tpc.estimates.
    vertices
        float64 (vertices, 2), in the order of the file; the polygon closes by itself.

    Raises
    ------
    ConfigError
        The file cannot be read, is no JSON, or a field is missing or wrong.
    """
    where = f"particle gate {str(path)!r}"
    try:
        fields = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}, line {error.lineno}, column {error.colno}: no JSON: {error.msg}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where} cannot be read: {error}") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{where}: found {type(fields).__name__}, expected an object with the fields Z, A and vertices.")
    charge, mass = _number(fields, "Z", where), _number(fields, "A", where)
    try:
        nucleus(charge, mass)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    axes = (fields["xaxis"], fields["yaxis"]) if "xaxis" in fields and "yaxis" in fields else DEFAULT_AXES
    columns = [_column(name, field, where) for name, field in zip(axes, ("xaxis", "yaxis"), strict=True)]
    return (charge, mass, columns[0], columns[1]), _vertices(fields, where)


def write_gate(
    path: Path,
    name: str,
    particle: tuple[int, int],
    vertices: Sequence[tuple[float, float]],
    axes: tuple[str, str] = DEFAULT_AXES,
) -> None:
    """Write a gate as JSON, which Spyral reads as well.

    Parameters
    ----------
    path
        The file; an existing one is replaced.
    name
        Name of the gate, for people.
    particle
        Charge and mass number.
    vertices
        Corners of the polygon, in units of the axes.
    axes
        Columns of tpc.estimates.

    Raises
    ------
    ConfigError
        Too few corners, an unknown column, or an unknown nuclide.
    """
    where = f"particle gate {str(path)!r}"
    nucleus(*particle)
    fields = {
        "name": name,
        "Z": int(particle[0]),
        "A": int(particle[1]),
        "xaxis": axes[0],
        "yaxis": axes[1],
        "vertices": [[float(x), float(y)] for x, y in vertices],
    }
    for axis, field in zip(axes, ("xaxis", "yaxis"), strict=True):
        _column(axis, field, where)
    _vertices(fields, where)
    Path(path).write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


def passes_gate(gates: Gates, gate: int, estimates: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Which rows of the estimates lie within a gate, (rows,)."""
    heads = gates["gates"]
    first, stop = gates.offsets["vertices"][gate : gate + 2]
    x = np.asarray(estimates[AXES[int(heads["x_column"][gate])]], dtype=np.float64)
    y = np.asarray(estimates[AXES[int(heads["y_column"][gate])]], dtype=np.float64)
    corners = np.stack([gates["vertices"]["x"][first:stop], gates["vertices"]["y"][first:stop]], axis=1)
    return inside_polygon(x, y, np.ascontiguousarray(corners))


@jit
def inside_polygon(x: F8, y: F8, corners: F8) -> NDArray[np.bool_]:
    """Which places lie within a polygon, by the even-odd rule; of two polygons with a common edge one holds its points.

    Parameters
    ----------
    x, y
        Places, (n,); NaN lies outside.
    corners
        (corners, 2).
    """
    inside = np.zeros(len(x), np.bool_)
    count = len(corners)
    for i in range(len(x)):
        before = count - 1
        for k in range(count):
            if (corners[k, 1] > y[i]) != (corners[before, 1] > y[i]):
                slope = (corners[before, 0] - corners[k, 0]) / (corners[before, 1] - corners[k, 1])
                if x[i] < corners[k, 0] + slope * (y[i] - corners[k, 1]):
                    inside[i] = not inside[i]
            before = k
    return inside


def _number(fields: Mapping[str, Any], name: str, where: str) -> int:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        found = f"found {value!r}" if name in fields else "it is missing"
        raise ConfigError(f"{where}, field {name!r}: {found}, expected a whole number.")
    return value


def _column(name: Any, field: str, where: str) -> int:
    if name not in AXES:
        raise ConfigError(f"{where}, field {field!r}: {name!r} is no column of tpc.estimates.{nearest(str(name), AXES)}")
    return AXES.index(name)


def _vertices(fields: Mapping[str, Any], where: str) -> F8:
    values = fields.get("vertices")
    if not isinstance(values, list) or len(values) < FEWEST_VERTICES:
        found = f"found {len(values)}" if isinstance(values, list) else "found none"
        raise ConfigError(f"{where}, field 'vertices': {found}, expected at least {FEWEST_VERTICES} pairs of numbers.")
    for place, pair in enumerate(values):
        numbers = isinstance(pair, list) and len(pair) == 2 and all(isinstance(v, int | float) and not isinstance(v, bool) for v in pair)
        if not numbers or not all(math.isfinite(v) for v in pair):
            raise ConfigError(f"{where}, field 'vertices', entry {place}: found {pair!r}, expected two finite numbers [x, y].")
    return np.array(values, dtype=np.float64)
