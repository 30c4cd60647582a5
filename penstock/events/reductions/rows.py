"""Tables of one row an event, in states: columns that grow, joined in the order of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from penstock.events.reductions.base import Array, Pieces, State, States

__all__ = ["add_row", "column_of", "join_rows", "new_rows", "pieces_of", "rows_of"]

FILLED = "rows"
"""Number of rows that are filled; columns are longer while they grow."""
POSITION = "position"
"""The column by which rows are ordered: positions of events in the run."""
_FIRST = 16


def new_rows(**columns: tuple[tuple[int, ...], Any]) -> State:
    """A table without rows: for each column shape and dtype of one row; the column of positions comes by itself."""
    empty = {name: np.zeros((0, *shape), dtype) for name, (shape, dtype) in columns.items()}
    return {FILLED: np.zeros((), np.int64), POSITION: np.zeros(0, np.int64), **empty}


def add_row(state: State, **values: Any) -> None:
    """Append a row in place."""
    row = int(state[FILLED])
    for name, value in values.items():
        column = state[name]
        if row == len(column):
            column = np.zeros((max(_FIRST, 2 * row), *column.shape[1:]), column.dtype)
            column[:row] = state[name]
            state[name] = column
        column[row] = value
    state[FILLED] = np.array(row + 1, np.int64)


def rows_of(state: State, name: str) -> Array:
    """A column without its room for growth."""
    return state[name][: int(state[FILLED])]


def join_rows(states: Sequence[State], *names: str) -> State:
    """The rows of all tables by position, of these columns; without a copy where only one of them has any."""
    columns = (POSITION, *names)
    full = [state for state in states if int(state[FILLED])]
    if len(full) < 2:
        only = full[0] if full else states[0]
        return {FILLED: np.array(only[FILLED]), **{name: rows_of(only, name) for name in columns}}
    joined: State = {name: np.concatenate([rows_of(state, name) for state in full]) for name in columns}
    position = joined[POSITION]
    if np.any(position[1:] < position[:-1]):
        order = np.argsort(position, kind="stable")
        joined = {name: column[order] for name, column in joined.items()}
    return {FILLED: np.array(len(position), np.int64), **joined}


def column_of(states: States, name: str) -> Array:
    """A column of tables that follow each other."""
    return np.concatenate([np.array(rows_of(state, name)) for state in states()])


def pieces_of(states: States, name: str) -> Pieces:
    """A column of tables that follow each other, not read yet."""
    rows, inner, dtype = 0, (), np.dtype(np.float64)
    for state in states():
        column = rows_of(state, name)
        rows, inner, dtype = rows + len(column), column.shape[1:], column.dtype
    return Pieces((rows, *inner), dtype, lambda: (rows_of(state, name) for state in states()))
