"""A run of the AT-TPC straight from the data acquisition: .graw files of the GET electronics, .evt files of the FRIB crate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penstock.core.errors import BadRun, RunMissing
from penstock.formats.get._boards import BoardDecoder, OpenFiles
from penstock.formats.get._frames import PARTIAL
from penstock.formats.get._index import GetIndex, index_graw
from penstock.formats.get._items import BUCKETS, SLOTS
from penstock.formats.get._pairing import pair_events
from penstock.formats.get._physics import CrateEvent, read_physics
from penstock.formats.get._ring import EvtIndex, Recording, index_evt
from penstock.formats.get.folders import natural_order, run_number
from penstock.formats.scalers import SOURCES, Scalers
from penstock.formats.traces import FRIB_PART, GET_PART, SILICON_PARTS, Traces

__all__ = ["GetRun"]

I8 = NDArray[np.int64]

TRACE_BYTES = 2 * BUCKETS


class GetRun:
    """The files of a run as its data acquisition wrote them, open for reading; a context manager.

    Opening looks at the headers of all frames and items. Events stand in ascending order of recording and event id of
    the GET electronics, numbered from 0. Traces carry the hardware address; their pad is -1 until a map tells. Channels
    of fixed-pattern noise (11, 22, 45, 56) are kept. Without .graw files, the events are those of the FRIB crate.

    Parameters
    ----------
    paths
        All .graw and .evt files of the run, in any order.

    Raises
    ------
    RunMissing
        A file does not exist, or none was given.
    BadRun
        No event can be found in the files, or a file is of another kind.
    OSError
        The disk cannot be read.
    """

    def __init__(self, *paths: Path) -> None:
        graw, evt = _sort_paths([Path(path) for path in paths])
        self.number = run_number(evt + graw)
        self._index: GetIndex = index_graw(graw)
        self._evt: EvtIndex = index_evt(evt)
        self._items, self._pair_counts = pair_events(self._index, self._evt.physics)
        if not graw:
            self._items = np.arange(len(self._evt.physics))
        if self.n_events == 0:
            raise BadRun(
                f"run {self.number}: no event was found in {len(graw)} .graw and {len(evt)} .evt files, the first of which is "
                f"{str((graw + evt)[0])!r}. {_what_was_found(self._index)} Copy the files again."
            )
        if self.number < 0 and (known := [r.run for r in self._evt.recordings if r.run >= 0]):
            self.number = known[0]
        self._graw_files, self._evt_files = OpenFiles(graw), OpenFiles(evt)
        self._decoder = BoardDecoder(self._graw_files)
        self._damaged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        self._graw_files.close()
        self._evt_files.close()

    @property
    def n_events(self) -> int:
        """Events of the run."""
        return self._index.n_events or len(self._items)

    @property
    def events(self) -> I8:
        """Event number at each position, (events,)."""
        return np.arange(self.n_events, dtype=np.int64)

    @property
    def boards(self) -> NDArray[np.int16]:
        """CoBo and AsAd of all boards that sent anything, (boards, 2)."""
        return self._index.boards

    @property
    def recordings(self) -> list[Recording]:
        """What the FRIB crate says of the run: number, title, begin, end; several where its files hold several runs."""
        return self._evt.recordings

    @property
    def bytes_per_event(self) -> int:
        """Memory of one event, by the number of its items."""
        frames = self._index.frames
        get = np.where(frames["kind"] == PARTIAL, 2 * frames["items"], SLOTS * TRACE_BYTES).sum()
        return max(int(get + self._evt.physics["size"].sum()) // self.n_events, 1024)

    def read(self, start: int, stop: int, step: int = 1, *, tables: Sequence[str] | None = None) -> Traces:
        """The events at positions ``range(start, stop, step)``; see `read_positions`."""
        return self.read_positions(np.arange(start, stop, step, dtype=np.int64), tables=tables)

    def read_positions(self, positions: ArrayLike, *, tables: Sequence[str] | None = None) -> Traces:
        """The events at the given positions.

        Parameters
        ----------
        positions
            (events,), in any order.
        tables
            Where given, pads are decoded only if they are among them.

        Returns
        -------
        Traces
            Pads of an event ascending by CoBo, AsAd, AGET and channel; silicon detectors are among them.

        Raises
        ------
        OSError
            The disk cannot be read.
        """
        wanted = np.asarray(positions, dtype=np.int64)
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < self.n_events):
            raise IndexError(f"run {self.number} has positions 0 to {self.n_events - 1}, asked for {wanted.min()} to {wanted.max()}")
        traces = Traces.empty(len(wanted))
        events: dict[str, Any] = dict(traces["events"])
        events |= {"event": wanted, "orig_run": np.full(len(wanted), self.number, np.int64), "orig_event": wanted.copy()}
        columns: dict[str, dict[str, Any]] = {name: dict(table) for name, table in traces.columns.items()}
        offsets = dict(traces.offsets)
        if self._index.n_events and (tables is None or "pads" in tables):
            pads, offsets["pads"] = self._read_get(wanted, events)
            columns["pads"] = {**pads, "pad": np.full(len(pads["cobo"]), -1, np.int16)}
        crate = [self._read_crate(int(self._items[position])) for position in wanted]
        _fill_crate(events, columns, offsets, crate)
        columns["events"] = events
        return Traces(n_events=len(wanted), columns=columns, offsets=offsets)

    def missing_boards(self, position: int) -> list[tuple[int, int]]:
        """CoBo and AsAd of the boards that an event lacks and others of its recording have."""
        index = self._index
        there = {(int(f["cobo"]), int(f["asad"])) for f in index.frames_of(position)}
        others = index.frames[np.repeat(index.recording, np.diff(index.offsets)) == index.recording[position]]
        expected = {(int(cobo), int(asad)) for cobo, asad in np.unique(np.stack([others["cobo"], others["asad"]], axis=1), axis=0)}
        return sorted(expected - there)

    def missing_frames(self) -> dict[tuple[int, int], int]:
        """Events that lack a board, by its CoBo and AsAd; 0 for boards that are always there."""
        boards, numbers = self._index.boards.tolist(), self._index.missing_of_board.tolist()
        return {(cobo, asad): number for (cobo, asad), number in zip(boards, numbers, strict=True)}

    def incomplete_events(self) -> dict[str, I8]:
        """Events that lack a board: ``event``, ``get_event``, ``recording``, and ``missing`` boards, one row each."""
        index = self._index
        rows = np.flatnonzero(index.missing)
        return {"event": rows, "get_event": index.event[rows], "recording": index.recording[rows], "missing": index.missing[rows]}

    def notes(self) -> dict[str, int]:
        """What was found in the files, and what was not as it should be.

        Returns
        -------
        dict
            Of the .graw files: ``frames``; ``skipped_frames`` without samples (topology, MuTanT, merged), in all and by
            type; ``refused_frames`` whose header contradicts itself; ``truncated_frames`` cut by the end of a file,
            whose board then lacks in the event; ``gaps`` where no frame begins, and ``lost_bytes`` of both;
            ``repeated_frames``; ``late_frames`` behind those of later events; ``repaired_counts``: frames whose number
            of items did not fit their size; ``recordings`` in the folder; ``incomplete_events`` that lack a board;
            ``events_with_unlike_times``. Of the .evt files: ``crate_events``, ``crate_truncated`` items,
            ``crate_skipped`` items of unknown types, ``crate_lost_bytes``, ``events_without_crate``,
            ``crate_without_event``, ``unlike_clocks``. Of the events read so far: ``bad_items`` without a place,
            ``damaged_crate_events``, read as far as they go.
        """
        notes = self._evt.notes
        return {
            **self._index.counts,
            "crate_events": len(self._evt.physics),
            "crate_truncated": notes.truncated,
            "crate_skipped": notes.skipped.total(),
            "crate_lost_bytes": notes.lost_bytes,
            **self._pair_counts,
            "bad_items": self._decoder.bad_items,
            "damaged_crate_events": self._damaged,
        }

    def scalers(self) -> Scalers:
        """All scaler records in their order, and what the files say of the run as a whole."""
        first, last = self._index.timestamp[:1], self._index.timestamp[-1:]
        crate = self._evt.recordings[0]
        numbers = {
            "run": self.number,
            "source": SOURCES.index("daq"),
            "frib_run": crate.run,
            "frib_start": crate.start,
            "frib_stop": crate.stop,
            "frib_elapsed": crate.elapsed,
            "min_event": 0,
            "max_event": self.n_events - 1,
            "min_get_timestamp": int(first[0]) if len(first) else -1,
            "max_get_timestamp": int(last[0]) if len(last) else -1,
        }
        if self._evt.scalers:
            numbers |= {"min_record": 0, "max_record": len(self._evt.scalers) - 1}
        return Scalers.of(self._evt.scalers, numbers)

    def _read_get(self, positions: I8, events: dict[str, Any]) -> tuple[dict[str, Any], I8]:
        index = self._index
        counts = index.offsets[positions + 1] - index.offsets[positions]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(index.offsets[positions] - offsets[:-1], counts)
        events |= {
            "timestamp": index.timestamp[positions].astype(np.uint64),
            "timestamp_other": index.timestamp_other[positions].astype(np.uint64),
            "get_event": index.event[positions],
            "parts": events["parts"] + np.int32(GET_PART + sum(SILICON_PARTS)),
        }
        pads, pad_offsets = self._decoder.decode(index.frames[rows], offsets)
        return dict(pads), pad_offsets

    def _read_crate(self, item: int) -> CrateEvent | None:
        if item < 0:
            return None
        row = self._evt.physics[item]
        event = read_physics(self._evt_files.read(int(row["file"]), int(row["offset"]), int(row["size"])).tobytes())
        self._damaged += bool(event.damage)
        return event


def _sort_paths(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    if not paths:
        raise RunMissing("a run from the data acquisition needs at least one .graw or .evt file; none was given.")
    for path in paths:
        if not path.exists():
            raise RunMissing(f"run file {str(path)!r} does not exist. Check the run number and the folder of raw data in experiment.toml.")
        if path.suffix not in (".graw", ".evt"):
            raise BadRun(f"run file {str(path)!r} has the ending {path.suffix!r}, expected .graw (GET electronics) or .evt (FRIB crate).")
    return (sorted((p for p in paths if p.suffix == suffix), key=natural_order) for suffix in (".graw", ".evt"))  # type: ignore[return-value]


def _what_was_found(index: GetIndex) -> str:
    found = {name: number for name, number in index.counts.items() if number}
    return f"Found instead: {', '.join(f'{number} {name}' for name, number in found.items())}." if found else "The files are empty."


def _fill_crate(
    events: dict[str, Any], columns: dict[str, dict[str, Any]], offsets: dict[str, I8], crate: Sequence[CrateEvent | None]
) -> None:
    """Put what the FRIB crate recorded into the columns of a block."""
    there = np.array([event is not None for event in crate], np.bool_)
    found = [event for event in crate if event is not None]
    for name, values in (
        ("coincidence", [e.register for e in found]),
        ("frib_event", [e.event for e in found]),
        ("frib_timestamp", [e.timestamp for e in found]),
    ):
        events[name] = events[name].copy()
        events[name][there] = values
    events["parts"] = events["parts"] + np.where(there, FRIB_PART, 0).astype(np.int32)
    traces = [trace for event in found for trace in event.traces]
    per_event = [len(event.traces) if event is not None else 0 for event in crate]
    offsets["frib"] = np.concatenate([[0], np.cumsum(per_event)]).astype(np.int64)
    offsets["frib_samples"] = np.concatenate([[0], np.cumsum([len(t.samples) for t in traces])]).astype(np.int64)
    columns["frib"] = {
        "module": np.array([t.module for t in traces], np.int32),
        "channel": np.array([t.channel for t in traces], np.int16),
    }
    columns["frib_samples"] = {"adc": np.concatenate([np.zeros(0, np.uint16), *(t.samples for t in traces)])}
