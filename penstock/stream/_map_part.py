"""Parts of trigger maps: the cells of each stream, event by event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import ConfigError

__all__ = ["GENERIC", "Cell", "Part", "VirtualWorker"]

GENERIC = frozenset(("generic",))
"""Tags of a worker that says nothing of itself."""


@dataclass(frozen=True, slots=True)
class VirtualWorker:
    """A worker as a map speaks of it.

    Attributes
    ----------
    constraint
        Equal numbers within one instance of a part are one worker, whatever the stream and the event. None: all workers with the tags.
    tags
        Tags that the worker must have. Where a constraint comes several times in a part, those of the first count.
    """

    constraint: int | None = None
    tags: frozenset[str] = GENERIC


Cell = Sequence[VirtualWorker] | None
"""A stream in an event. None: it has no frame; empty: its frame is read and discarded; else each of these workers gets the frame."""


@dataclass(frozen=True, slots=True)
class Part:
    """Events in a row; made by `Part.of`."""

    cells: Mapping[str, tuple[Cell, ...]]
    """By stream, sorted; all of one length."""
    frames: Mapping[str, tuple[int, ...]]
    """By stream, the events in which it has a frame."""
    length: int
    """Number of events."""

    @classmethod
    def of(cls, name: str, cells: Mapping[str, Sequence[Cell]]) -> Part:
        """The part with these cells, and with streams in sorted order, so that the order of writing has no effect.

        Raises
        ------
        ConfigError
            The streams differ in their number of cells.
        """
        own = {stream: tuple(None if cell is None else tuple(cell) for cell in cells[stream]) for stream in sorted(cells)}
        lengths = {stream: len(column) for stream, column in own.items()}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{stream!r} has {n}" for stream, n in lengths.items())
            raise ConfigError(
                f"trigger map: part {name!r} has streams of unequal length: {found} cells. Write null where one has no frame."
            )
        frames = {stream: tuple(i for i, cell in enumerate(column) if cell is not None) for stream, column in own.items()}
        return cls(own, frames, next(iter(lengths.values()), 0))

    def frames_of(self, stream: str) -> tuple[int, ...]:
        """The events in which a stream has a frame; none for a stream that the part leaves out."""
        return self.frames.get(stream, ())

    @property
    def tags(self) -> frozenset[str]:
        """All tags that occur."""
        return frozenset(tag for column in self.cells.values() for cell in column for worker in cell or () for tag in worker.tags)

    @property
    def min_workers(self) -> int:
        """Most different constraints in one event."""
        most = 0
        for local in range(self.length):
            workers = (worker for column in self.cells.values() for worker in column[local] or ())
            most = max(most, len({worker.constraint for worker in workers if worker.constraint is not None}))
        return most

    def as_json(self) -> dict[str, list[Any]]:
        """Cells by stream, as JSON has them."""
        return {
            stream: [
                None if cell is None else [{"tags": sorted(worker.tags), "constraint": worker.constraint} for worker in cell]
                for cell in column
            ]
            for stream, column in self.cells.items()
        }
