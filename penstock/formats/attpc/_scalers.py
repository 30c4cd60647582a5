"""Scaler records of a run file, and what it says of the run as a whole."""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np

from penstock.core.errors import BadEvent
from penstock.formats.attpc._events import read_row, read_whole_number
from penstock.formats.scalers import SOURCES, ScalerRecord, Scalers

__all__ = ["read_scalers"]

HEADER_WORDS = ("start_offset", "stop_offset", "timestamp", "incremental")
EVENTS_ATTRIBUTES = {
    "min_event": "min_event",
    "max_event": "max_event",
    "min_get_timestamp": "min_get_ts",
    "max_get_timestamp": "max_get_ts",
    "frib_run": "frib_run",
    "frib_start": "frib_start",
    "frib_stop": "frib_stop",
    "frib_elapsed": "frib_time",
}
META = ("min_event", "min_get_timestamp", "max_event", "max_get_timestamp")
RUN_INFO = ("frib_run", "frib_start", "frib_stop", "frib_elapsed")


def read_scalers(file: h5py.File, layout: str, run: int) -> Scalers:
    """All scaler records of an open run file: see `AttpcRun.scalers`. Damage raises what HDF5 raises."""
    legacy = layout == "legacy"
    group = file.get("frib/scaler" if legacy else "scalers")
    pattern = re.compile(r"scaler(\d+)_data$" if legacy else r"event_(\d+)$")
    names = list(group) if isinstance(group, h5py.Group) else []
    found = sorted((int(match[1]), name) for name in names if (match := pattern.match(name)))
    records = [_record(group, number, name, legacy) for number, name in found]
    numbers = _legacy_numbers(file) if legacy else _merged_numbers(file)
    return Scalers.of(records, {"run": run, "source": SOURCES.index(layout), **numbers})


def _record(group: h5py.Group, number: int, name: str, legacy: bool) -> ScalerRecord:
    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset):
        raise BadEvent(f"record {name!r} is no dataset")
    header = _values(group, f"scaler{number}_header") if legacy else [_number(dataset.attrs, word) for word in HEADER_WORDS]
    start, stop, time, incremental = [*header, -1, -1, -1, -1][:4]
    words = read_row(dataset.id, f"record {name!r}").astype(np.int64)
    return ScalerRecord(words, start, stop, time, incremental, number)


def _merged_numbers(file: h5py.File) -> dict[str, int]:
    events = file["events"].attrs
    numbers = {name: read_whole_number(events, attribute) for name, attribute in EVENTS_ATTRIBUTES.items() if attribute in events}
    scalers: Any = file["scalers"].attrs if "scalers" in file else {}
    ends = {f"{end}_record": f"{end}_event" for end in ("min", "max")}
    return {**numbers, **{name: read_whole_number(scalers, attribute) for name, attribute in ends.items() if attribute in scalers}}


def _legacy_numbers(file: h5py.File) -> dict[str, int]:
    info = _values(file, "frib/runinfo")
    return {**dict(zip(META, _values(file, "meta/meta"), strict=False)), **dict(zip(RUN_INFO, info, strict=False))}


def _values(group: h5py.Group, name: str) -> list[int]:
    if not isinstance(dataset := group.get(name), h5py.Dataset):
        return []
    values: list[int] = read_row(dataset.id, repr(name)).astype(np.int64).tolist()
    return values


def _number(attributes: h5py.AttributeManager, name: str) -> int:
    return read_whole_number(attributes, name) if name in attributes else -1
