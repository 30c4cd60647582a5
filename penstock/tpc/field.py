"""Drift in the real electric field: points go back to where their electrons were set free.

A `FieldMap` says where electrons of a grid of starting places land, and when. Between the nodes of the grid the map is
bilinear in distance and radius; `undo_drift` inverts that map. Reading the table of a simulation: `_field_table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError, nearest
from penstock.kernels import jit
from penstock.tpc._field_table import read_field_table
from penstock.tpc.assets import FieldMap

__all__ = ["field_asset", "undo_drift"]

F8 = NDArray[np.float64]

ROLE = "garfield"
MOST_STEPS = 60
CLOSE_MM = 1e-5
"""The distance from the micromegas is found to this precision."""


def field_asset(files: Mapping[str, Path]) -> FieldMap:
    """The map of the file of role ``garfield``, or a map without rows, which corrects nothing.

    Raises
    ------
    ConfigError
        The role is unknown or the file cannot be used; names the line.
    """
    for role in files:
        if role != ROLE:
            raise ConfigError(f"role {role!r} of the electric field is unknown; expected {ROLE}.{nearest(role, [ROLE])}")
    return read_field_table(files[ROLE]) if files else FieldMap.empty(0)


def undo_drift(x: F8, y: F8, z: F8, field: FieldMap, detector_length_mm: float) -> tuple[F8, F8, F8]:
    """Where the electrons started that landed at x and y after the drift time of z.

    The starting place is the one whose landing radius and drift time in the map are those found; all of its values are
    taken at that starting place. Beyond the grid a point moves as far as it would at the nearest place of the grid.

    Parameters
    ----------
    x, y, z
        (points,) in mm; z by a drift time that is right on the axis.
    field
        The map; must have rows.
    detector_length_mm
        z of the micromegas.

    Returns
    -------
    x, y, z
        (points,) in mm.
    """
    nodes = field["nodes"]
    distances, radii = np.unique(nodes["distance"]), np.unique(nodes["radius"])
    shape = len(distances), len(radii)
    landing, turn, lasting = (nodes[name].reshape(shape) for name in ("landing_radius", "turn", "apparent_distance"))
    start = np.empty((3, len(z)))
    _undo(np.hypot(x, y), detector_length_mm - z, distances, radii, landing, turn, lasting, start)
    azimuth = np.arctan2(y, x) - start[1]
    return start[0] * np.cos(azimuth), start[0] * np.sin(azimuth), detector_length_mm - start[2]


@jit
def _undo(landed: F8, apparent: F8, distances: F8, radii: F8, landing: F8, turn: F8, lasting: F8, start: F8) -> None:
    """Radius, turn and distance of the start of each electron, into the rows of `start`.

    The distance is the fixed point of d = apparent + (d - lasting(d, radius)); distortions are small against the grid.
    """
    for i in range(len(landed)):
        distance = apparent[i]
        for _ in range(MOST_STEPS):
            inside = min(max(distance, distances[0]), distances[-1])
            layer = _cell(distances, inside)
            share = (inside - distances[layer]) / (distances[layer + 1] - distances[layer])
            place, along = _invert(landing[layer], landing[layer + 1], share, landed[i])
            seen = _between(lasting, layer, share, place, along)
            better = apparent[i] + inside - seen
            moved = abs(better - distance)
            distance = better
            if moved < CLOSE_MM:
                break
        radius = radii[place] + along * (radii[place + 1] - radii[place])
        beyond = landed[i] - _between(landing, layer, share, place, along)
        start[0, i] = max(radius + beyond, 0.0)
        start[1, i] = _between(turn, layer, share, place, along)
        start[2, i] = distance


@jit
def _cell(nodes: F8, value: float) -> int:
    """The cell of ascending `nodes` that holds `value`, which lies between the first and the last."""
    low, high = 0, len(nodes) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if nodes[middle] <= value:
            low = middle
        else:
            high = middle
    return low


@jit
def _invert(one: F8, other: F8, share: float, wanted: float) -> tuple[int, float]:
    """Cell, and place within it from 0 to 1, where a mixture of two ascending rows has the wanted value, or the nearest."""
    low, high = 0, len(one) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if one[middle] + share * (other[middle] - one[middle]) <= wanted:
            low = middle
        else:
            high = middle
    before = one[low] + share * (other[low] - one[low])
    after = one[low + 1] + share * (other[low + 1] - one[low + 1])
    return low, min(max((wanted - before) / (after - before), 0.0), 1.0)


@jit
def _between(grid: F8, layer: int, share: float, place: int, along: float) -> float:
    near = grid[layer, place] + along * (grid[layer, place + 1] - grid[layer, place])
    far = grid[layer + 1, place] + along * (grid[layer + 1, place + 1] - grid[layer + 1, place])
    value: float = near + share * (far - near)
    return value
