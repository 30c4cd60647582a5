"""Stage body of ``tpc.readout``: how whole the files of a run are, counted and kept beside its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from penstock.core.stage import RunSource
from penstock.tpc.params import ReadoutParams
from penstock.tpc.schemas import READOUT_NOTES, Readout

__all__ = ["note_readout"]

EVENTS_AT_ONCE = 8
DECODED = ("bad_items", "damaged_crate_events")
"""Counts that only decoding tells."""


@runtime_checkable
class NotingReader(Protocol):
    """A reader that counts what it finds in the files."""

    def notes(self) -> Mapping[str, int]:
        """Counts by name."""

    def missing_frames(self) -> Mapping[tuple[int, int], int]:
        """Events that lack a board, by its CoBo and AsAd."""

    def incomplete_events(self) -> Mapping[str, NDArray[np.int64]]:
        """Events that lack a board, one row each."""


def note_readout(source: RunSource, params: ReadoutParams) -> Readout:
    """What the files of a run hold, lack and hold too much of.

    Parameters
    ----------
    source
        The run. Files of mergers say nothing of the read-out: all counts but that of the events are -1.
    params
        Whether to decode all events.

    Returns
    -------
    Readout
        One event, the run.
    """
    with source.reader() as reader:
        run: dict[str, Any] = {"run": source.run, "events": reader.n_events, **dict.fromkeys((c.name for c in READOUT_NOTES), -1)}
        boards: NDArray[np.int64] = np.zeros((0, 3), np.int64)
        incomplete: Mapping[str, NDArray[np.int64]] = {c.name: boards[:, 0] for c in Readout.table("incomplete").columns}
        if isinstance(reader, NotingReader):
            if params.decode:
                for start in range(0, reader.n_events, EVENTS_AT_ONCE):
                    reader.read(start, min(start + EVENTS_AT_ONCE, reader.n_events))
            notes = reader.notes()
            run |= {c.name: notes[c.name] for c in READOUT_NOTES if params.decode or c.name not in DECODED}
            rows = [(*board, number) for board, number in sorted(reader.missing_frames().items())]
            boards, incomplete = np.array(rows, np.int64).reshape(-1, 3), reader.incomplete_events()
    return Readout(
        n_events=1,
        columns={
            "run": {name: np.array([value], np.int64) for name, value in run.items()},
            "boards": {column.name: boards[:, k] for k, column in enumerate(Readout.table("boards").columns)},
            "incomplete": incomplete,
        },
        offsets={"run": np.array([0, 1]), "boards": np.array([0, len(boards)]), "incomplete": np.array([0, len(incomplete["event"])])},
    )
