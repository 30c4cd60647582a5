"""The stage ``events.timeseries``: one number an event, against event number, time and frame."""

from __future__ import annotations

import numpy as np

from penstock.events.reduction_params import ScalarSelection, TimeSeriesParams
from penstock.events.reductions.base import Layout, Plot, Selected, State, Tree, Values
from penstock.events.reductions.blocks import Blocks
from penstock.events.reductions.rows import add_row, join_rows, new_rows, rows_of
from penstock.events.reductions.selection import UNKNOWN_TIME

__all__ = ["TimeSeries", "blocks"]

_COLUMNS = ("number", "created_at", "frame", "value")


class TimeSeries:
    """Keeps one number of every event, in their order.

    State: rows with ``position``, ``number``, ``created_at`` (ns), ``frame``, and ``value`` (float64).
    """

    def __init__(self, layout: Layout, axis: str = "event") -> None:
        self.layout = layout
        self._axis = axis

    def zero(self) -> State:
        """No events."""
        return new_rows(number=((), np.int64), created_at=((), np.int64), frame=((), np.int64), value=((), np.float64))

    def add(self, state: State, event: Selected) -> State:
        """The state with one more event, in the same arrays."""
        add_row(
            state, position=event.position, number=event.number, created_at=event.created_at, frame=event.frame, value=event.values[0]
        )  # fmt: skip
        return state

    def merge(self, one: State, *others: State) -> State:
        """The events of all."""
        return join_rows((one, *others), *_COLUMNS)

    def finish(self, state: State) -> Tree:
        """The numbers with all that they can be plotted against; time counts from the first event whose time is known."""
        rows = {name: rows_of(state, name).copy() for name in _COLUMNS}
        created_at = rows["created_at"]
        known = created_at != UNKNOWN_TIME
        first = int(created_at[known].min()) if known.any() else 0
        elapsed = np.where(known, np.where(known, created_at - first, 0) * 1e-9, np.nan)
        label = self.layout.label
        datasets = {
            "value": Values(rows["value"], self.layout.unit, label),
            "event": Values(rows["number"], "", "event number"),
            "time": Values(elapsed, "s", "time since the first event"),
            "frame": Values(rows["frame"], "", "frame number, -1 where there is none"),
            "created_at": Values(created_at, "ns", "when the event was recorded, since 1970 UTC; the least value where that is not known"),
        }
        return {"timeseries": Plot(f"{label} of each event", "value", (self._axis,), datasets)}


def _selections(params: TimeSeriesParams) -> tuple[ScalarSelection, ...]:
    return (params.values,)


def _build(params: TimeSeriesParams, layouts: tuple[Layout, ...], n_events: int) -> TimeSeries:
    return TimeSeries(layouts[0].scalar(params.values.statistic), params.against)


blocks = Blocks(_selections, _build)
