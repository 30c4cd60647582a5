"""The stage ``events.stack``: the values of all events, one after the other."""

from __future__ import annotations

import numpy as np

from penstock.core.errors import ConfigError
from penstock.events.reduction_params import Selection, StackParams
from penstock.events.reductions.base import Layout, Plot, Selected, State, States, Tree, Values, image_axes
from penstock.events.reductions.blocks import Blocks
from penstock.events.reductions.rows import add_row, column_of, join_rows, new_rows, pieces_of

__all__ = ["Stack", "blocks"]


class Stack:
    """Keeps the values of every event, in their order.

    State: rows with ``position``, ``number``, and ``values``.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def zero(self) -> State:
        """No events."""
        return new_rows(number=((), np.int64), values=(self.layout.shape, self.layout.dtype))

    def add(self, state: State, event: Selected) -> State:
        """The state with one more event, in the same arrays."""
        add_row(state, position=event.position, number=event.number, values=event.values[0])
        return state

    def merge(self, one: State, *others: State) -> State:
        """The events of all."""
        return join_rows((one, *others), "number", "values")

    def finish(self, state: State) -> Tree:
        """The stack."""
        settled = self.merge(self.zero(), state)
        return self.finish_pieces(lambda: [settled])

    def finish_pieces(self, states: States) -> Tree:
        """The stack of states that follow each other."""
        layout, axes = self.layout, image_axes(self.layout)
        datasets = {
            "values": Values(pieces_of(states, "values"), layout.unit, layout.label),
            "event": Values(column_of(states, "number"), "", "event number"),
        }
        return {"stack": Plot(f"{layout.label} of each event", "values", ("event", *axes), datasets | axes)}


def _selections(params: StackParams) -> tuple[Selection, ...]:
    return (params.values,)


def _build(params: StackParams, layouts: tuple[Layout, ...], n_events: int) -> Stack:
    layout = layouts[0]
    size_gb = n_events * layout.size * layout.dtype.itemsize / 1e9
    if size_gb > params.max_gb:
        raise ConfigError(
            f"a stack of {n_events:,} events of {layout.size:,} values ({layout.dtype}) takes {size_gb:.3g} GB, max_gb is {params.max_gb:g}. "
            "Select a region, or raise max_gb."
        )
    return Stack(layout)


blocks = Blocks(_selections, _build)
