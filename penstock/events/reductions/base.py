"""What reductions have in common: states that are plain arrays, laws, and how results are described for a file.

The same objects serve runs, block by block, and streams that are still going on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Array",
    "InPieces",
    "Layout",
    "Pieces",
    "Plot",
    "Reduction",
    "Selected",
    "State",
    "States",
    "Tree",
    "Values",
    "ends_of",
    "fold",
    "image_axes",
]

Array = NDArray[Any]
State = dict[str, Array]
"""What has been reduced so far: plain arrays by name, so that it can be saved as it is."""
States = Callable[[], Iterable[State]]
"""States that follow each other, loaded one at a time, each time that they are gone through."""
MERGED_AT_ONCE = 32
"""States that `fold` holds at a time."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the selected values of all events look like; an event of another layout is damaged.

    Attributes
    ----------
    whole
        Shape of the field in the message.
    shape
        Shape of what is selected of it.
    origin
        Index in the field of the first selected value, by axis of `shape`.
    dtype
        In the machine's byte order.
    limits
        Least and greatest valid value, of `dtype`; None where all are valid.
    """

    whole: tuple[int, ...]
    shape: tuple[int, ...]
    origin: tuple[int, ...]
    dtype: np.dtype[Any]
    limits: tuple[Any, Any] | None
    unit: str = ""
    label: str = "values"

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    def scalar(self, statistic: str = "") -> Layout:
        """That of one number an event, made by a statistic of these values."""
        label = f"{statistic} of {self.label}" if statistic and self.whole else self.label
        limits = (np.finfo(np.float64).min, np.finfo(np.float64).max)
        return Layout((), (), (), np.dtype(np.float64), limits, self.unit, label)

    def masked(self, values: Array) -> NDArray[np.bool_] | None:
        """Which values are not valid; None where all are."""
        if self.limits is None:
            return None
        low, high = self.limits
        if values.dtype.kind == "f":
            bad: NDArray[np.bool_] = ~((values >= low) & (values <= high))
        elif values.dtype.kind == "u" and low == 0:
            bad = values > high
        else:
            bad = (values < low) | (values > high)
        return bad if bad.any() else None


@dataclass(slots=True)
class Selected:
    """What was selected of one event.

    Attributes
    ----------
    position
        Position of the event in the run, from 0.
    number
        Its event number.
    created_at
        When it was recorded, ns since 1970 UTC; the least int64 where that is not known.
    frame
        Frame number that the first message carries, -1 without.
    values
        An array a selection, of the shape and dtype of its `Layout`, or of shape () and float64 where a number is selected.
    """

    position: int
    number: int
    created_at: int
    frame: int
    values: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Pieces:
    """An array that is too large to be held: pieces that follow each other along the first axis; `shape` is that of the whole."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    arrays: Callable[[], Iterable[Array]]


@dataclass(frozen=True, slots=True)
class Values:
    """A dataset of a result: an array, or pieces of one."""

    data: Array | Pieces
    unit: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """Datasets that are plotted together: a NeXus group NXdata.

    Attributes
    ----------
    signal
        Name of the dataset to plot; a dataset ``<signal>_errors`` holds its standard errors.
    axes
        Name of the dataset along each axis of the signal.
    """

    title: str
    signal: str
    axes: tuple[str, ...]
    datasets: Mapping[str, Values]
    attributes: Mapping[str, str] = field(default_factory=dict)


Tree = Mapping[str, Plot]
"""A result: plots by name, the first of them the one that readers show at once."""


class Reduction(Protocol):
    """Folds events into a state.

    ``merge`` is associative and ``zero()`` neutral to it; states may be merged in any order: results are the same for
    integers and equal to rounding for floats.
    """

    def zero(self) -> State:
        """The state of no events."""

    def add(self, state: State, event: Selected) -> State:
        """The state with one more event. It may reuse the arrays of `state`, which is of no use afterwards."""

    def merge(self, one: State, *others: State) -> State:
        """The state of the events of all, those of `one` first where they are of one run. None is changed."""

    def finish(self, state: State) -> Tree:
        """The result. The state is not changed, and more events can be added to it."""


@runtime_checkable
class InPieces(Protocol):
    """A reduction whose result can be larger than memory."""

    def finish_pieces(self, states: States) -> Tree:
        """The result of states that follow each other, as if they were merged."""


def fold(reduction: Reduction, states: Iterable[State]) -> State:
    """All states merged, in their order."""
    whole, following = reduction.zero(), iter(states)
    while some := list(islice(following, MERGED_AT_ONCE)):
        whole = reduction.merge(whole, *some)
    return whole


def image_axes(layout: Layout) -> dict[str, Values]:
    """An axis for each dimension of selected values: their indices in the field."""
    names = ["row", "column"] if len(layout.shape) > 1 else ["index"] * len(layout.shape)
    names = [f"axis_{k}" for k in range(len(layout.shape) - len(names))] + names
    return {
        name: Values(np.arange(start, start + length), title=name)
        for name, start, length in zip(names, layout.origin, layout.shape, strict=True)
    }


def ends_of(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """The least and the greatest value of a type."""
    if dtype.kind == "f":
        return -np.inf, np.inf
    return np.iinfo(dtype).min, np.iinfo(dtype).max
