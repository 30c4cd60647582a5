"""The stage ``events.map``: mean and count of one number an event, by one or two motor positions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import BadRun, ConfigError
from penstock.events.reduction_params import AxisSelection, MapParams, ScalarSelection
from penstock.events.reductions.base import Layout, Plot, Selected, State, Tree, Values
from penstock.events.reductions.blocks import Blocks
from penstock.events.reductions.rows import add_row, join_rows, new_rows, rows_of

__all__ = ["MotorMap", "blocks"]

MOST_POINTS = 10_000_000
"""Points of the largest grid."""

F8 = NDArray[np.float64]


class MotorMap:
    """Sorts a number of each event into a grid of positions. Sums are made in the order of events, so merging changes no bit.

    State: rows with ``position``, ``value``, ``x`` and, of a map in the plane, ``y``; float64.
    """

    def __init__(self, signal: Layout, axes: dict[str, tuple[Layout, AxisSelection]]) -> None:
        self._signal = signal
        self._axes = axes

    def zero(self) -> State:
        """No events."""
        return new_rows(value=((), np.float64), **dict.fromkeys(self._axes, ((), np.float64)))

    def add(self, state: State, event: Selected) -> State:
        """The state with one more event, in the same arrays."""
        add_row(state, position=event.position, value=event.values[0], **dict(zip(self._axes, event.values[1:], strict=True)))
        return state

    def merge(self, one: State, *others: State) -> State:
        """The events of all."""
        return join_rows((one, *others), "value", *self._axes)

    def finish(self, state: State) -> Tree:
        """Mean with its standard error, and count, at each point of the grid; NaN where no event lies.

        Raises
        ------
        BadRun
            The grid that holds all rounded positions is too large.
        """
        value = rows_of(state, "value")
        positions = {name: rows_of(state, name) for name in self._axes}
        good = np.isfinite(value) & np.logical_and.reduce([np.isfinite(p) for p in positions.values()])
        grids = {name: _grid(positions[name][good], axis) for name, (_, axis) in self._axes.items()}
        shape = tuple(len(centres) for centres, _ in reversed(grids.values()))
        if np.prod(shape, dtype=np.float64) > MOST_POINTS:
            words = " × ".join(f"{n:,}" for n in shape)
            raise BadRun(
                f"a map of {words} points is larger than {MOST_POINTS:,}. Raise the step of its axes, or give them low, high and bins."
            )
        places = [place for _, place in reversed(grids.values())]
        inside = np.logical_and.reduce([place >= 0 for place in places])
        flat = np.ravel_multi_index(tuple(place[inside] for place in places), shape) if inside.any() else np.zeros(0, np.intp)
        count, mean, errors = _by_place(flat, value[good][inside], int(np.prod(shape)))
        label, unit = self._signal.label, self._signal.unit
        datasets = {
            "mean": Values(mean.reshape(shape), unit, label),
            "mean_errors": Values(errors.reshape(shape), unit, "standard error of the mean"),
            "count": Values(count.reshape(shape), "", "events at the point"),
            "outside": Values(np.array(len(value) - len(flat)), "", "events outside of the grid, or without a finite number"),
        }
        for name, (layout, _) in self._axes.items():
            datasets[name] = Values(grids[name][0], layout.unit, layout.label)
        return {"map": Plot(f"{label} by {' and '.join(self._axes)}", "mean", tuple(reversed(self._axes)), datasets)}


def _grid(positions: F8, axis: AxisSelection) -> tuple[F8, NDArray[np.int64]]:
    """Positions of the grid, and on which of them each position lies, -1 outside."""
    if axis.step is None:
        edges = np.linspace(axis.low, axis.high, axis.bins + 1)
        place = np.searchsorted(edges, positions, side="right").astype(np.int64) - 1
        place[positions == axis.high] = axis.bins - 1
        place[place >= axis.bins] = -1
        return (edges[1:] + edges[:-1]) / 2, place
    whole = np.rint(positions / axis.step)
    if not len(whole):
        return np.zeros(0), np.zeros(0, np.int64)
    first, last = float(whole.min()), float(whole.max())
    if last - first >= MOST_POINTS:
        raise BadRun(
            f"positions from {positions.min():g} to {positions.max():g} in steps of {axis.step:g} are {last - first + 1:,.0f} points, "
            f"more than {MOST_POINTS:,}. Raise the step, or give low, high and bins."
        )
    return np.arange(first, last + 1) * axis.step, (whole - first).astype(np.int64)


def _by_place(place: NDArray[Any], values: F8, places: int) -> tuple[NDArray[np.int64], F8, F8]:
    """Count, mean and its standard error of the values at each place."""
    count = np.bincount(place, minlength=places).astype(np.int64)
    lacking = np.full(places, np.nan)
    mean = np.divide(np.bincount(place, values, places), count, where=count > 0, out=lacking.copy())
    m2 = np.bincount(place, (values - mean[place]) ** 2, places)
    errors = np.sqrt(np.divide(m2, count * (count - 1.0), where=count > 1, out=lacking))
    return count, mean, errors


def _axes_of(params: MapParams) -> dict[str, AxisSelection]:
    if not params.x.field:
        raise ConfigError("parameter 'x.field' is not set. Name a position, such as x.stream = 'contrast' and x.field = 'pseudo.x'.")
    return {"x": params.x, "y": params.y} if params.y.field else {"x": params.x}


def _selections(params: MapParams) -> tuple[ScalarSelection, ...]:
    return (params.signal, *_axes_of(params).values())


def _build(params: MapParams, layouts: tuple[Layout, ...], n_events: int) -> MotorMap:
    axes = _axes_of(params)
    scalars = [layout.scalar() for layout in layouts[1:]]
    return MotorMap(layouts[0].scalar(params.signal.statistic), dict(zip(axes, zip(scalars, axes.values(), strict=True), strict=True)))


blocks = Blocks(_selections, _build)
