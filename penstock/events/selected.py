"""Some events of a source, for a trial: as if the others were not there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from penstock.core.selection import EventSelection
from penstock.events.sources import EventSource
from penstock.stream.models import EventData

__all__ = ["SomeEvents", "choose_events"]


class SomeEvents:
    """The events of a source at some positions.

    Parameters
    ----------
    positions
        In the source; ascending.
    """

    def __init__(self, source: EventSource, positions: range) -> None:
        self._source = source
        self._positions = positions
        chosen = slice(positions.start, positions.stop, positions.step)
        self.numbers: NDArray[np.int64] = source.numbers[chosen]
        self.created_at: NDArray[np.int64] = source.created_at[chosen]

    def __len__(self) -> int:
        return len(self._positions)

    def __enter__(self) -> SomeEvents:
        return self

    def __exit__(self, *details: object) -> None:
        self._source.__exit__(*details)

    def event(self, position: int) -> EventData:
        """The event at a position among those chosen."""
        return self._source.event(self._positions[position])

    def events(self) -> Iterator[EventData]:
        """All events that are chosen, in order."""
        return map(self._source.event, self._positions)


def choose_events(source: EventSource, selection: EventSelection) -> EventSource:
    """The selected events of a source; the source itself where none is left out."""
    return source if selection.is_everything else SomeEvents(source, selection.positions(len(source)))
