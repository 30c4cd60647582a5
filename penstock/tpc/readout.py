"""Stage body of ``tpc.readout``: how whole the files of a run are, counted and kept beside its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from penstock.core.stage import RunSource
from penstock.tpc.assets import Electronics
from penstock.tpc.params import ReadoutParams
from penstock.tpc.schemas import READOUT_NOTES, Readout

__all__ = ["note_readout"]

EVENTS_AT_ONCE = 8
DECODED = ("bad_items", "damaged_crate_events")
"""Counts that only decoding tells."""
SILENT = "silent_boards"
"""The count that the files alone do not tell."""


@runtime_checkable
class NotingReader(Protocol):
    """A reader that counts what it finds in the files."""

    def notes(self) -> Mapping[str, int]:
        """Counts by name."""

    def missing_frames(self) -> Mapping[tuple[int, int], int]:
        """Events that lack a board, by its CoBo and AsAd."""

    def incomplete_events(self) -> Mapping[str, NDArray[np.int64]]:
        """Events that lack a board, one row each."""


def note_readout(source: RunSource, params: ReadoutParams, electronics: Electronics) -> Readout:
    """What the files of a run hold, lack and hold too much of.

    Parameters
    ----------
    source
        The run. Files of mergers say nothing of the read-out: all counts but that of the events are -1.
    params
        Whether to decode all events.
    electronics
        Boards that should have sent something. Without rows none is known, and `silent_boards` is -1.

    Returns
    -------
    Readout
        One event, the run.
    """
    with source.reader() as reader:
        run: dict[str, Any] = {"run": source.run, "events": reader.n_events, **dict.fromkeys((c.name for c in READOUT_NOTES), -1)}
        boards: NDArray[np.int64] = np.zeros((0, 3), np.int64)
        silent = boards[:, :2]
        incomplete: Mapping[str, NDArray[np.int64]] = {c.name: boards[:, 0] for c in Readout.table("incomplete").columns}
        if isinstance(reader, NotingReader):
            if params.decode:
                for start in range(0, reader.n_events, EVENTS_AT_ONCE):
                    reader.read(start, min(start + EVENTS_AT_ONCE, reader.n_events))
            notes = reader.notes()
            taken = {c.name for c in READOUT_NOTES} - {SILENT} - (set() if params.decode else set(DECODED))
            run |= {name: notes[name] for name in taken}
            rows = [(*board, number) for board, number in sorted(reader.missing_frames().items())]
            boards, incomplete = np.array(rows, np.int64).reshape(-1, 3), reader.incomplete_events()
            if electronics.n_events:
                silent = _silent_boards(electronics, boards)
                run[SILENT] = len(silent)
    return Readout(
        n_events=1,
        columns={
            "run": {name: np.array([value], np.int64) for name, value in run.items()},
            "boards": {column.name: boards[:, k] for k, column in enumerate(Readout.table("boards").columns)},
            "silent": {"cobo": silent[:, 0], "asad": silent[:, 1]},
            "incomplete": incomplete,
        },
        offsets={
            "run": np.array([0, 1]),
            "boards": np.array([0, len(boards)]),
            "silent": np.array([0, len(silent)]),
            "incomplete": np.array([0, len(incomplete["event"])]),
        },
    )


def _silent_boards(electronics: Electronics, boards: NDArray[np.int64]) -> NDArray[np.int64]:
    """CoBo and AsAd of boards that the map knows and none of `boards` is, (boards, 2), ascending."""
    channels = electronics["channels"]
    expected = {(int(cobo), int(asad)) for cobo, asad in zip(channels["cobo"], channels["asad"], strict=True)}
    there = {(int(cobo), int(asad)) for cobo, asad, _ in boards}
    return np.array(sorted(expected - there), np.int64).reshape(-1, 2)
