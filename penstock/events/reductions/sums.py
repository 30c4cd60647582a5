"""The stage ``events.sum``: sums over all events, value by value; of integers exact, in 64 bits."""

from __future__ import annotations

import numpy as np

from penstock.events.reduction_params import Selection, SumParams
from penstock.events.reductions._integers import sum_type, summed
from penstock.events.reductions.base import Layout, Plot, Selected, State, Tree, Values, image_axes
from penstock.events.reductions.blocks import Blocks

__all__ = ["Sum", "blocks"]


class Sum:
    """Sums values; masked ones are left out and counted.

    State: ``total`` (values) of the sum's type, ``masked`` (values) uint32, ``events`` ().
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._dtype = sum_type(layout.dtype)
        self._may_wrap = layout.dtype.kind in "ui" and layout.dtype.itemsize == 8

    def zero(self) -> State:
        """No events."""
        size = self.layout.size
        return {"total": np.zeros(size, self._dtype), "masked": np.zeros(size, np.uint32), "events": np.zeros((), np.int64)}

    def add(self, state: State, event: Selected) -> State:
        """The state with one more event, in the same arrays.

        Raises
        ------
        BadRun
            A sum of integers needs more than 64 bits.
        """
        values = event.values[0].reshape(-1)
        bad = self.layout.masked(values)
        if bad is not None:
            values = np.where(bad, values.dtype.type(0), values)
            state["masked"] += bad
        if self._may_wrap:
            state["total"] = summed(state["total"], values)
        else:
            np.add(state["total"], values, out=state["total"])
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
            merged = {name: summed(merged[name], other[name]) for name in merged}
        return dict(merged)

    def finish(self, state: State) -> Tree:
        """The sum of each value, and in how many events it was masked."""
        shape, layout = self.layout.shape, self.layout
        axes = image_axes(layout)
        datasets = {
            "sum": Values(state["total"].reshape(shape).copy(), layout.unit, f"sum of {layout.label}"),
            "masked": Values(state["masked"].reshape(shape).copy(), "", "events in which the value is masked"),
            "events": Values(np.array(state["events"]), "", "events"),
        }
        return {"sum": Plot(f"sum of {layout.label}", "sum", tuple(axes), datasets | axes)}


def _selections(params: SumParams) -> tuple[Selection, ...]:
    return (params.values,)


def _build(params: SumParams, layouts: tuple[Layout, ...], n_events: int) -> Sum:
    return Sum(layouts[0])


blocks = Blocks(_selections, _build)
