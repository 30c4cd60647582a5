"""Writer of AT-TPC run files in every layout that mergers of the field have used.

The reader lives in `penstock.formats`; this side serves simulation and tests.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError, nearest

__all__ = ["LAYOUTS", "SILICON_SETS", "Compression", "Layout", "RawEvent", "ScalerRecord", "write_run_file"]

Layout = Literal["legacy", "merger-1.0", "merger-2.0", "merger-2.0-silicon", "synchronizer", "harmonizer"]
Compression = Literal["none", "gzip", "lzf"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
SILICON_SETS = ("upstream_front", "upstream_back", "downstream_front", "downstream_back")
"""Silicon detectors of layout 2.0."""

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


@dataclass(frozen=True, slots=True, eq=False)
class RawEvent:
    """One event as a merger writes it.

    ``traces`` int16 (rows, 517): CoBo, AsAd, AGET, channel, pad, 512 samples, None where GET recorded nothing;
    ``frib`` uint16 (samples, 8) and `register` (V977), None where absent; ``timestamp`` in ticks of 10 ns; `silicon`
    matrices like ``traces`` by name of `SILICON_SETS`. A harmonized file names run and event of origin.
    """

    event: int
    timestamp: int
    traces: NDArray[np.int16] | None
    frib: NDArray[np.uint16] | None = None
    register: int | None = None
    silicon: Mapping[str, NDArray[np.int16]] = field(default_factory=dict)
    orig_run: int = 0
    orig_event: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class ScalerRecord:
    """Words that the scalers counted between two offsets (s) of the run, and when they were read (Unix time, s)."""

    words: NDArray[np.uint32]
    start_offset: int
    stop_offset: int
    timestamp: int


def write_run_file(
    path: Path,
    run: int,
    events: Iterable[RawEvent],
    *,
    scalers: Sequence[ScalerRecord] = (),
    layout: Layout = "merger-1.0",
    compression: Compression = "none",
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
        with h5py.File(temporary, "w") as file:
            if layout == "legacy":
                _write_legacy(file, run, events, scalers, compression)
            else:
                _write_versioned(file, run, events, () if layout == "harmonizer" else scalers, (layout, compression))
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
    file: h5py.File, run: int, events: Iterable[RawEvent], scalers: Sequence[ScalerRecord], form: tuple[Layout, Compression]
) -> None:
    layout, compression = form
    root = file.create_group("events")
    span = _Span()
    for event in events:
        span.add(event)
        group = root.create_group(f"event_{event.event}")
        if layout == "harmonizer":
            group.attrs.update(orig_run=event.orig_run, orig_event=event.orig_event)
        if event.traces is not None:
            _write_get(group, event, layout, compression)
        if event.frib is not None or event.register is not None:
            physics = group.create_group("frib_physics")
            physics.attrs.update(id=np.uint32(event.event), timestamp=np.uint32(event.timestamp // 100))
            _write_frib(physics, ("977", "1903"), event, compression)
    root.attrs["version"] = VERSIONS[layout]
    root.attrs.update(min_event=np.uint64(span.first_event), max_event=np.uint64(span.last_event))
    root.attrs.update(min_get_ts=np.uint64(span.first_time), max_get_ts=np.uint64(span.last_time))
    if layout != "harmonizer":
        for name, value in zip(("frib_run", "frib_start", "frib_stop", "frib_time"), _run_info(run), strict=True):
            root.attrs[name] = value
    if scalers:
        _write_scalers(file.create_group("scalers"), scalers, VERSIONS[layout])


def _write_get(group: h5py.Group, event: RawEvent, layout: Layout, compression: Compression) -> None:
    stamps = {"id": np.uint32(event.event), "timestamp": np.uint64(event.timestamp), "timestamp_other": np.uint64(event.timestamp + 3)}
    if layout not in SILICON_PREFIX:
        _write_matrix(group, "get_traces", event.traces, compression).attrs.update(stamps)
        return
    get = group.create_group("get")
    get.attrs.update(stamps)
    _write_matrix(get, "pads", event.traces, compression)
    for name in SILICON_SETS:
        matrix = event.silicon.get(name, np.empty((0, 517), dtype=np.int16))
        _write_matrix(get, SILICON_PREFIX[layout] + name, matrix, compression)


def _write_scalers(group: h5py.Group, scalers: Sequence[ScalerRecord], version: str) -> None:
    group.attrs.update(min_event=np.uint32(0), max_event=np.uint32(len(scalers) - 1))
    group.attrs["version"] = version
    for i, record in enumerate(scalers):
        attrs = group.create_dataset(f"event_{i}", data=record.words).attrs
        attrs.update(start_offset=np.uint32(record.start_offset), stop_offset=np.uint32(record.stop_offset))
        attrs.update(timestamp=np.uint32(record.timestamp), incremental=np.uint32(1))


def _write_legacy(file: h5py.File, run: int, events: Iterable[RawEvent], scalers: Sequence[ScalerRecord], compression: Compression) -> None:
    get, frib = file.create_group("get"), file.create_group("frib")
    physics = frib.create_group("evt")
    span = _Span()
    for event in events:
        span.add(event)
        name = f"evt{event.event}"
        if event.traces is not None:
            stamps = [float(event.event), float(event.timestamp), float(event.timestamp + 3)]
            get.create_dataset(f"{name}_header", data=np.array(stamps))
            _write_matrix(get, f"{name}_data", event.traces, compression)
        if event.frib is not None or event.register is not None:
            physics.create_dataset(f"{name}_header", data=np.array([event.event, event.timestamp // 100], dtype=np.uint32))
            _write_frib(physics, (f"{name}_977", f"{name}_1903"), event, compression)
    stretch = [span.first_event, span.first_time, span.last_event, span.last_time]
    file.create_group("meta").create_dataset("meta", data=np.array(stretch, dtype=np.uint64))
    frib.create_dataset("runinfo", data=np.array(_run_info(run), dtype=np.uint32))
    frib.create_dataset("title", data=f"run {run}")
    if scalers:
        group = frib.create_group("scaler")
        for i, record in enumerate(scalers):
            header = [record.start_offset, record.stop_offset, record.timestamp, 1]
            group.create_dataset(f"scaler{i}_header", data=np.array(header, dtype=np.uint32))
            group.create_dataset(f"scaler{i}_data", data=record.words)


def _write_frib(group: h5py.Group, names: tuple[str, str], event: RawEvent, compression: Compression) -> None:
    if event.register is not None:
        group.create_dataset(names[0], data=np.array([event.register], dtype=np.uint16))
    if event.frib is not None:
        _write_matrix(group, names[1], event.frib, compression)


def _write_matrix(group: h5py.Group, name: str, matrix: NDArray[Any] | None, compression: Compression) -> h5py.Dataset:
    assert matrix is not None
    if compression == "none" or matrix.shape[0] == 0:
        return group.create_dataset(name, data=matrix)
    chunks = (min(matrix.shape[0], ROWS_PER_CHUNK if matrix.shape[1] > ROWS_PER_CHUNK else matrix.shape[0]), matrix.shape[1])
    level = 1 if compression == "gzip" else None
    return group.create_dataset(name, data=matrix, chunks=chunks, compression=compression, compression_opts=level, shuffle=True)


def _run_info(run: int) -> tuple[np.uint32, np.uint32, np.uint32, np.uint32]:
    """Run number, start and stop (Unix time, s), duration (s)."""
    return np.uint32(run), np.uint32(START_S), np.uint32(START_S + DURATION_S), np.uint32(DURATION_S)


class _Span:
    """First and last event seen, with their time stamps."""

    def __init__(self) -> None:
        self.first_event = self.last_event = self.first_time = self.last_time = 0
        self._empty = True

    def add(self, event: RawEvent) -> None:
        if self._empty:
            self.first_event, self.first_time, self._empty = event.event, event.timestamp, False
        self.last_event, self.last_time = event.event, event.timestamp
