"""Events of ours as a merged run file, layout 2.0, for programs that read what the mergers of the field write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import BadEvent, BadRun
from penstock.formats.attpc_write import Compression, write_run_file
from penstock.formats.raw_events import RawEvent, RunNumbers
from penstock.formats.scalers import SOURCES, Scalers
from penstock.formats.traces import FRIB_PART, GET_PART, HARDWARE, SILICON_PARTS, SILICON_SETS, SIS3300, SIS3316, Traces

__all__ = ["TracesSource", "export_merged"]

HARDWARE_NAMES = tuple(column.name for column in HARDWARE)
MOST_REGISTER = 0xFFFF


class TracesSource(Protocol):
    """The events of one run by position: a reader of its files, or an artifact."""

    @property
    def n_events(self) -> int:
        """Events in the run."""

    def read(self, start: int, stop: int) -> Traces:
        """The events at positions [start, stop)."""


def export_merged(source: TracesSource, scalers: Scalers | None, path: Path, *, compression: Compression = "none", block: int = 64) -> Path:
    """Write the events of a run as a merged file, some at a time; the file appears when it is complete.

    The same events give the same bytes. Rows keep their order. Events that have no part, rejected ones among them, are left
    out, as the merger leaves out what it has nothing of; the file's range of events covers them.

    Parameters
    ----------
    source
        All events of the run.
    scalers
        Scaler records and numbers of the run. Without, the file names the run of the first event and has no records.
    path
        The file; one that exists is replaced.
    compression
        How its matrices are written. Mergers do not compress.
    block
        Events in memory at a time.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    BadRun
        The run has no events.
    BadEvent
        An event does not fit into the layout.
    """
    n = source.n_events
    if n == 0:
        raise BadRun(f"there is nothing to export into {str(path)!r}: the run has no events.")
    first, last = (source.read(position, position + 1)["events"] for position in (0, n - 1))
    span = int(first["event"][0]), int(last["event"][0])
    numbers = _run_numbers(span, int(first["orig_run"][0]), scalers)
    blocks = (source.read(start, min(start + block, n)) for start in range(0, n, block))
    events = (event for traces in blocks for event in _raw_events(traces))
    records = [] if scalers is None else scalers.records
    return write_run_file(path, numbers.frib_run, events, scalers=records, layout="merger-2.0", compression=compression, numbers=numbers)


def _run_numbers(events: tuple[int, int], run: int, scalers: Scalers | None) -> RunNumbers:
    """What the file says of the run; 0 where nothing is known, as the merger leaves it."""
    if scalers is None:
        return RunNumbers(run, events=events, records=(0, 0))
    known = scalers.run_numbers
    times = known["min_get_timestamp"], known["max_get_timestamp"]
    whole = (known["min_event"], known["max_event"]) == events and min(times) >= 0
    return RunNumbers(
        known["frib_run"] if known["frib_run"] >= 0 else run,
        frib_start=max(known["frib_start"], 0),
        frib_stop=max(known["frib_stop"], 0),
        frib_elapsed=max(known["frib_elapsed"], 0),
        events=events,
        timestamps=times if whole else None,
        records=_record_range(known, scalers),
    )


def _record_range(known: dict[str, int], scalers: Scalers) -> tuple[int, int] | None:
    """First and last scaler record; None where the run came from such a file that has none."""
    stated = known["min_record"], known["max_record"]
    if min(stated) >= 0:
        return stated
    numbers = scalers["scalers"]["record"]
    if numbers.size == 0:
        return None if known["source"] == SOURCES.index("libattpc_merger:2.0") else (0, 0)
    return int(numbers.min()), int(numbers.max())


def _raw_events(traces: Traces) -> Iterator[RawEvent]:
    """Events of a block that have any part, as the writer takes them."""
    events = {name: column.tolist() for name, column in traces["events"].items()}
    for index in range(traces.n_events):
        event = {name: column[index] for name, column in events.items()}
        pads, silicon, frib = (slice(*traces.offsets[name][index : index + 2].tolist()) for name in ("pads", "silicon", "frib"))
        matrices = _silicon_matrices(traces, silicon)
        sets = tuple(name for name, flag in zip(SILICON_SETS, SILICON_PARTS, strict=True) if event["parts"] & flag or name in matrices)
        has_pads = event["parts"] & GET_PART or pads.stop > pads.start
        has_frib = event["parts"] & FRIB_PART or frib.stop > frib.start
        if not (has_pads or has_frib or sets):
            continue
        modules = _modules(traces, frib)
        yield RawEvent(
            event=event["event"],
            timestamp=event["timestamp"],
            traces=_get_matrix(traces, "pads", "pad", np.arange(pads.start, pads.stop)) if has_pads else None,
            frib=modules.pop(SIS3300, None),
            register=_register(event["event"], event["coincidence"]),
            silicon=matrices,
            orig_run=event["orig_run"],
            orig_event=event["orig_event"],
            modules=modules,
            sets=sets,
            timestamp_other=event["timestamp_other"],
            get_event=event["get_event"],
            frib_event=event["frib_event"] if has_frib else None,
            frib_timestamp=event["frib_timestamp"],
        )


def _register(event: int, value: int) -> int | None:
    if value > MOST_REGISTER:
        raise BadEvent(f"event {event} cannot be exported: its V977 register is {value}, the layout takes 0 to {MOST_REGISTER}")
    return value if value >= 0 else None


def _get_matrix(traces: Traces, table: str, last: str, rows: NDArray[np.int64]) -> NDArray[np.int16]:
    """Hardware, pad or strip, and samples of some rows, (rows, 517)."""
    columns = traces[table]
    head = [columns[name][rows] for name in (*HARDWARE_NAMES, last)]
    return np.column_stack([*head, columns["samples"][rows]]).astype(np.int16, copy=False)


def _silicon_matrices(traces: Traces, rows: slice) -> dict[str, NDArray[np.int16]]:
    numbers = traces["silicon"]["set"][rows]
    return {
        SILICON_SETS[number]: _get_matrix(traces, "silicon", "strip", rows.start + np.flatnonzero(numbers == number))
        for number in np.unique(numbers).tolist()
    }


def _modules(traces: Traces, rows: slice) -> dict[int, NDArray[np.uint16]]:
    """The matrix of each FRIB module by tag, a column a channel; that of SIS3316 has the channels in its first row."""
    modules, channels = (traces["frib"][name][rows] for name in ("module", "channel"))
    bounds, adc = traces.offsets["frib_samples"][rows.start : rows.stop + 1], traces["frib_samples"]["adc"]
    matrices = {}
    for module in np.unique(modules).tolist():
        chosen = np.flatnonzero(modules == module)
        places = np.arange(len(chosen)) if module == SIS3316 else channels[chosen]
        matrix: NDArray[Any] = np.zeros((int(np.diff(bounds)[chosen].max()), int(places.max()) + 1), np.uint16)
        for row, place in zip(chosen, places, strict=True):
            trace = adc[bounds[row] : bounds[row + 1]]
            matrix[: len(trace), place] = trace
        matrices[module] = np.vstack([channels[chosen], matrix]).astype(np.uint16) if module == SIS3316 else matrix
    return matrices
