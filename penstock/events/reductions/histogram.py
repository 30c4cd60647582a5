"""The stage ``events.histogram``: how often values occur in all events, or one number of each event."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.events.reduction_params import HistogramParams, ScalarSelection, Selection
from penstock.events.reductions.base import Array, Layout, Plot, Selected, State, Tree, Values
from penstock.events.reductions.blocks import Blocks
from penstock.kernels import jit

__all__ = ["Histogram", "blocks"]

UNDER, OVER, MASKED = range(3)


class Histogram:
    """Counts values in equal bins; the last one holds its upper end too.

    State: ``counts`` (bins) int64, ``outside`` (3) int64: underflow, overflow, masked; ``events`` ().
    """

    def __init__(self, layout: Layout, low: float, high: float, bins: int) -> None:
        self.layout = layout
        self.edges: NDArray[np.float64] = np.linspace(low, high, bins + 1)

    def zero(self) -> State:
        """No events."""
        return {
            "counts": np.zeros(len(self.edges) - 1, np.int64),
            "outside": np.zeros(3, np.int64),
            "events": np.zeros((), np.int64),
        }

    def add(self, state: State, event: Selected) -> State:
        """The state with one more event, in the same arrays."""
        values = np.ascontiguousarray(event.values[0]).reshape(-1)
        bad = self.layout.masked(values)
        if bad is not None:
            state["outside"][MASKED] += np.count_nonzero(bad)
            values = values[~bad]
        # Frames of captures cannot be written to; with all alike, the kernel is compiled once.
        values.flags.writeable = False
        _count(values, self.edges, state["counts"], state["outside"])
        state["events"] += 1
        return state

    def merge(self, one: State, *others: State) -> State:
        """The events of all."""
        return {name: np.sum([state[name] for state in (one, *others)], axis=0) for name in one}

    def finish(self, state: State) -> Tree:
        """Counts by the middles of the bins, the edges, and what lies outside."""
        label, unit, outside = self.layout.label, self.layout.unit, state["outside"]
        datasets = {
            "counts": Values(state["counts"].copy(), "", "values in the bin"),
            "value": Values((self.edges[1:] + self.edges[:-1]) / 2, unit, label),
            "edges": Values(self.edges, unit, "edges of the bins"),
            "underflow": Values(np.asarray(outside[UNDER]), "", "values below the first bin"),
            "overflow": Values(np.asarray(outside[OVER]), "", "values above the last bin"),
            "masked": Values(np.asarray(outside[MASKED]), "", "values that are masked"),
            "events": Values(np.array(state["events"]), "", "events"),
        }
        return {"histogram": Plot(f"histogram of {label}", "counts", ("value",), datasets)}


@jit
def _count(values: Array, edges: Any, counts: Any, outside: Any) -> None:
    """Count values in bins, as `numpy.histogram` does; NaN counts as masked."""
    bins = counts.size
    low, high = edges[0], edges[bins]
    scale = bins / (high - low)
    for k in range(values.size):
        value = float(values[k])
        if value < low:
            outside[UNDER] += 1
        elif value > high:
            outside[OVER] += 1
        elif value >= low:
            place = min(int((value - low) * scale), bins - 1)
            if value < edges[place]:
                place -= 1
            elif value >= edges[place + 1] and place < bins - 1:
                place += 1
            counts[place] += 1
        else:
            outside[MASKED] += 1


def _selections(params: HistogramParams) -> tuple[Selection, ...]:
    if params.of == "values":
        return (params.values,)
    return (ScalarSelection(**params.values.model_dump(), statistic=params.of),)


def _build(params: HistogramParams, layouts: tuple[Layout, ...], n_events: int) -> Histogram:
    layout = layouts[0] if params.of == "values" else layouts[0].scalar(params.of)
    return Histogram(layout, params.low, params.high, params.bins)


blocks = Blocks(_selections, _build)
