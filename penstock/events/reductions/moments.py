"""The stage ``events.mean``: mean and variance over all events, value by value.

Of integers of up to 32 bits sums and sums of squares are exact; else mean and squared deviations of two sets of events are joined as in
Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", COMPSTAT 1982.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.events.reduction_params import MeanParams, Selection
from penstock.events.reductions._integers import sum_type, summed
from penstock.events.reductions.base import Array, Layout, Plot, Selected, State, Tree, Values, ends_of, image_axes
from penstock.events.reductions.blocks import Blocks
from penstock.kernels import jit

__all__ = ["Mean", "blocks"]

_HALF = np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_EXACT_BELOW = 2.0**62
"""Squared deviations that are less are exact, computed modulo 2^64."""


class Mean:
    """Mean and variance of values; masked ones are left out.

    State: ``count`` (values) int64; of integers ``total``, and the sum of squares as ``squares`` + 2^32 ``high_squares``, (values) each;
    else ``mean`` and ``m2``, the sum of squared deviations, (values) float64; ``events`` ().
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._exact = layout.dtype.kind in "ui" and layout.dtype.itemsize <= 4
        self._low, self._high = ends_of(layout.dtype) if layout.limits is None else layout.limits

    def zero(self) -> State:
        """No events."""
        size = self.layout.size
        state: State = {"count": np.zeros(size, np.int64), "events": np.zeros((), np.int64)}
        if self._exact:
            squares = {"squares": np.zeros(size, np.uint64), "high_squares": np.zeros(size, np.uint64)}
            return state | {"total": np.zeros(size, sum_type(self.layout.dtype))} | squares
        return state | {"mean": np.zeros(size), "m2": np.zeros(size)}

    def add(self, state: State, event: Selected) -> State:
        """The state with one more event, in the same arrays."""
        values = np.ascontiguousarray(event.values[0]).reshape(-1)
        # Frames of captures cannot be written to; with all alike, kernels are compiled once.
        values.flags.writeable = False
        if self._exact:
            total = state["total"].view(np.int64)
            _add_integers(values, int(self._low), int(self._high), state["count"], total, state["squares"], state["high_squares"])
        else:
            _add_floats(values, float(self._low), float(self._high), state["count"], state["mean"], state["m2"])
        state["events"] += 1
        return state

    def merge(self, one: State, *others: State) -> State:
        """The events of all.

        Raises
        ------
        BadRun
            A sum of integers needs more than 64 bits.
        """
        merged = one
        for other in others:
            merged = self._joined(merged, other)
        return dict(merged)

    def _joined(self, one: State, other: State) -> State:
        merged = {name: summed(one[name], other[name]) for name in one if name not in ("mean", "m2")}
        if self._exact:
            return merged
        count = np.maximum(merged["count"], 1)
        difference = other["mean"] - one["mean"]
        share = other["count"] / count
        merged["mean"] = np.where(one["count"] == 0, other["mean"], one["mean"] + difference * share)
        merged["m2"] = one["m2"] + other["m2"] + difference * difference * (one["count"] * share)
        return merged

    def finish(self, state: State) -> Tree:
        """Mean with its standard error, sample variance, and count; NaN where there are not enough events."""
        count = state["count"]
        mean, m2 = self._exact_moments(state) if self._exact else (state["mean"], state["m2"])
        lacking = np.full(len(count), np.nan)
        mean = np.where(count > 0, mean, np.nan)
        variance = np.divide(m2, count - 1, where=count > 1, out=lacking.copy())
        errors = np.sqrt(np.divide(variance, count, where=count > 1, out=lacking))
        layout, shape = self.layout, self.layout.shape
        axes = image_axes(layout)
        datasets = {
            "mean": Values(mean.reshape(shape), layout.unit, f"mean of {layout.label}"),
            "mean_errors": Values(errors.reshape(shape), layout.unit, "standard error of the mean"),
            "variance": Values(variance.reshape(shape), f"({layout.unit})^2" if layout.unit else "", "sample variance"),
            "count": Values(count.reshape(shape).copy(), "", "events in which the value is valid"),
            "events": Values(np.array(state["events"]), "", "events"),
        }
        return {"mean": Plot(f"mean of {layout.label}", "mean", tuple(axes), datasets | axes)}

    @staticmethod
    def _exact_moments(state: State) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean, and sum of squared deviations from the integer below the mean, corrected; without cancellation."""
        count = np.maximum(state["count"], 1)
        total = state["total"]
        middle = total // count.astype(total.dtype)
        rest = (total - middle * count.astype(total.dtype)).astype(np.float64)
        n, m, t = (a.astype(np.uint64) if a.dtype.kind == "u" else a.astype(np.int64).view(np.uint64) for a in (count, middle, total))
        modular = state["squares"] + (state["high_squares"] << _HALF) - np.uint64(2) * m * t + n * m * m
        squares = state["squares"].astype(np.float64) + state["high_squares"] * 2.0**32
        rough = squares - 2.0 * middle * total.astype(np.float64) + count * middle.astype(np.float64) ** 2
        about_middle = np.where(rough < _EXACT_BELOW, modular.astype(np.float64), rough)
        return middle + rest / count, about_middle - rest * rest / count


@jit
def _add_integers(values: Array, low: int, high: int, count: Any, total: Any, squares: Any, high_squares: Any) -> None:
    """Add integers of up to 32 bits; sums are made modulo 2^64."""
    for k in range(values.size):
        value = np.int64(values[k])
        good = low <= value <= high
        value = value if good else np.int64(0)
        count[k] += good
        total[k] += value
        square = np.uint64(abs(value)) * np.uint64(abs(value))
        squares[k] += square & _LOW_HALF
        high_squares[k] += square >> _HALF


@jit
def _add_floats(values: Array, low: float, high: float, count: Any, mean: Any, m2: Any) -> None:
    """Add a value to mean and squared deviations; NaN lies between no limits."""
    for k in range(values.size):
        value = np.float64(values[k])
        if low <= value <= high:
            count[k] += 1
            deviation = value - mean[k]
            mean[k] += deviation / count[k]
            m2[k] += deviation * (value - mean[k])


def _selections(params: MeanParams) -> tuple[Selection, ...]:
    return (params.values,)


def _build(params: MeanParams, layouts: tuple[Layout, ...], n_events: int) -> Mean:
    return Mean(layouts[0])


blocks = Blocks(_selections, _build)
