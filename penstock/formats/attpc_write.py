"""Writer of AT-TPC run files in every layout that mergers of the field have used.

The reader is `penstock.formats.attpc`; this side serves simulation, tests and `penstock.formats.attpc_export`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError, nearest
from penstock.formats.raw_events import RawEvent, RunNumbers
from penstock.formats.scalers import ScalerRecord
from penstock.formats.traces import SILICON_SETS, SIS3300

__all__ = ["LAYOUTS", "SILICON_SETS", "Compression", "Layout", "RawEvent", "RunNumbers", "ScalerRecord", "write_run_file"]

Layout = Literal["legacy", "merger-1.0", "merger-2.0", "merger-2.0-silicon", "synchronizer", "harmonizer"]
Compression = Literal["none", "gzip", "lzf"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
VERSIONS: dict[Layout, str] = {
    "merger-1.0": "libattpc_merger:1.0",
    "merger-2.0": "libattpc_merger:2.0",
    "merger-2.0-silicon": "libattpc_merger:2.0",
    "synchronizer": "synchronizer:0.1.0",
    "harmonizer": "harmonizer:0.1.0",
}
SILICON_PREFIX: dict[Layout, str] = {"merger-2.0": "si_", "merger-2.0-silicon": "silicon_"}
START_S, DURATION_S = 1_700_000_000, 3600
ROWS_PER_CHUNK = 64


def write_run_file(
    path: Path,
    run: int,
    events: Iterable[RawEvent],
    *,
    scalers: Sequence[ScalerRecord] = (),
    layout: Layout = "merger-1.0",
    compression: Compression = "none",
    numbers: RunNumbers | None = None,
) -> Path:
    """Write a run file; it appears under its name only when it is complete.

    Parameters
    ----------
    path
        The file; one that exists is replaced.
    run
        Run number.
    events
        Events in ascending order of their numbers; numbers may be missing.
    scalers
        Scaler records; a harmonized file has none.
    layout, compression
        How to write.
    numbers
        What the file says of the run as a whole; made up without.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ConfigError
        Layout or compression is unknown.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"run layout {layout!r} is unknown; expected one of {', '.join(LAYOUTS)}.{nearest(layout, LAYOUTS)}")
    if compression not in get_args(Compression):
        raise ConfigError(f"compression {compression!r} is unknown; expected one of {', '.join(get_args(Compression))}.")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        said = numbers or RunNumbers(run, START_S, START_S + DURATION_S, DURATION_S)
        with h5py.File(temporary, "w") as file:
            if layout == "legacy":
                _write_legacy(file, said, events, scalers, compression)
            else:
                _write_versioned(file, said, events, () if layout == "harmonizer" else scalers, (layout, compression))
        _publish(Path(temporary), path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def _publish(temporary: Path, path: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(0o666 & ~mask)
    temporary.replace(path)


def _write_versioned(
    file: h5py.File, said: RunNumbers, events: Iterable[RawEvent], scalers: Sequence[ScalerRecord], form: tuple[Layout, Compression]
) -> None:
    layout, compression = form
    root = file.create_group("events")
    span = _Span()
    for event in events:
        span.add(event)
        group = root.create_group(f"event_{event.event}")
        if layout == "harmonizer":
            group.attrs.update(orig_run=event.orig_run, orig_event=event.orig_event)
        if event.has_get:
            _write_get(group, event, layout, compression)
        if event.has_frib:
            physics = group.create_group("frib_physics")
            _stamp(physics, id=(np.uint32, event.frib_id), timestamp=(np.uint32, event.frib_time))
            _write_frib(physics, "", event, compression)
    root.attrs["version"] = VERSIONS[layout]
    first_event, last_event = said.events or (span.first_event, span.last_event)
    first_time, last_time = said.timestamps or (span.first_time, span.last_time)
    root.attrs.update(min_event=np.uint64(first_event), max_event=np.uint64(last_event))
    root.attrs.update(min_get_ts=np.uint64(first_time), max_get_ts=np.uint64(last_time))
    if layout != "harmonizer":
        for name, value in zip(("frib_run", "frib_start", "frib_stop", "frib_time"), said.frib, strict=True):
            root.attrs[name] = np.uint32(value)
    if scalers or said.records:
        _write_scalers(file.create_group("scalers"), scalers, said.records or (0, len(scalers) - 1), VERSIONS[layout])


def _write_get(group: h5py.Group, event: RawEvent, layout: Layout, compression: Compression) -> None:
    if layout in SILICON_PREFIX:
        holder = group.create_group("get")
        if event.traces is not None:
            _write_matrix(holder, "pads", event.traces, compression)
        for name in event.sets:
            matrix = event.silicon.get(name, np.empty((0, 517), dtype=np.int16))
            _write_matrix(holder, SILICON_PREFIX[layout] + name, matrix, compression)
    elif event.traces is not None:
        holder = _write_matrix(group, "get_traces", event.traces, compression)
    else:
        return
    _stamp(holder, id=(np.uint32, event.get_id), timestamp=(np.uint64, event.timestamp), timestamp_other=(np.uint64, event.other_time))


def _stamp(holder: h5py.Group | h5py.Dataset, **attributes: tuple[type[np.unsignedinteger[Any]], int]) -> None:
    """Write attributes of given types; negative values stand for none."""
    for name, (kind, value) in attributes.items():
        if value >= 0:
            holder.attrs[name] = kind(value)


def _write_scalers(group: h5py.Group, scalers: Sequence[ScalerRecord], span: tuple[int, int], version: str) -> None:
    group.attrs.update(min_event=np.uint32(span[0]), max_event=np.uint32(span[1]))
    group.attrs["version"] = version
    for place, record in enumerate(scalers):
        number = place if record.record is None else record.record
        dataset = group.create_dataset(f"event_{number}", data=np.asarray(record.words, np.uint32))
        names = ("start_offset", "stop_offset", "timestamp", "incremental")
        _stamp(dataset, **{name: (np.uint32, getattr(record, name)) for name in names})


def _write_legacy(
    file: h5py.File, said: RunNumbers, events: Iterable[RawEvent], scalers: Sequence[ScalerRecord], compression: Compression
) -> None:
    get, frib = file.create_group("get"), file.create_group("frib")
    physics = frib.create_group("evt")
    span = _Span()
    for event in events:
        span.add(event)
        name = f"evt{event.event}"
        if event.traces is not None:
            stamps = [float(event.get_id), float(event.timestamp), float(event.other_time)]
            get.create_dataset(f"{name}_header", data=np.array(stamps))
            _write_matrix(get, f"{name}_data", event.traces, compression)
        if event.has_frib:
            physics.create_dataset(f"{name}_header", data=np.array([event.frib_id, event.frib_time], dtype=np.uint32))
            _write_frib(physics, f"{name}_", event, compression)
    stretch = [span.first_event, span.first_time, span.last_event, span.last_time]
    file.create_group("meta").create_dataset("meta", data=np.array(stretch, dtype=np.uint64))
    frib.create_dataset("runinfo", data=np.array(said.frib, dtype=np.uint32))
    frib.create_dataset("title", data=f"run {said.frib_run}")
    if scalers:
        group = frib.create_group("scaler")
        for i, record in enumerate(scalers):
            header = [record.start_offset, record.stop_offset, record.timestamp, record.incremental]
            group.create_dataset(f"scaler{i}_header", data=np.array(header, dtype=np.uint32))
            group.create_dataset(f"scaler{i}_data", data=np.asarray(record.words, np.uint32))


def _write_frib(group: h5py.Group, prefix: str, event: RawEvent, compression: Compression) -> None:
    if event.register is not None:
        group.create_dataset(f"{prefix}977", data=np.array([event.register], dtype=np.uint16))
    if event.frib is not None:
        _write_matrix(group, f"{prefix}{SIS3300}", event.frib, compression)
    for module, matrix in event.modules.items():
        _write_matrix(group, f"{prefix}{module}", matrix, compression)


def _write_matrix(group: h5py.Group, name: str, matrix: NDArray[Any], compression: Compression) -> h5py.Dataset:
    if compression == "none" or matrix.shape[0] == 0:
        return group.create_dataset(name, data=matrix)
    chunks = (min(matrix.shape[0], ROWS_PER_CHUNK if matrix.shape[1] > ROWS_PER_CHUNK else matrix.shape[0]), matrix.shape[1])
    level = 1 if compression == "gzip" else None
    return group.create_dataset(name, data=matrix, chunks=chunks, compression=compression, compression_opts=level, shuffle=True)


class _Span:
    """First and last event seen, with their time stamps."""

    def __init__(self) -> None:
        self.first_event = self.last_event = self.first_time = self.last_time = 0
        self._empty = True

    def add(self, event: RawEvent) -> None:
        if self._empty:
            self.first_event, self.first_time, self._empty = event.event, event.timestamp, False
        self.last_event, self.last_time = event.event, event.timestamp
