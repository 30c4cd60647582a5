"""The layouts of run files: which one a file has, and where an event's parts lie in each.

Everything of an event may be missing; what is there but cannot be opened raises what HDF5 raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5s

from penstock.core.errors import BadRun, nearest

__all__ = ["KNOWN_VERSIONS", "EventParts", "Layout", "LegacyLayout", "MergedLayout", "detect_layout", "run_number"]

KNOWN_VERSIONS = ("libattpc_merger:1.0", "libattpc_merger:2.0", "synchronizer:0.1.0", "harmonizer:0.1.0")
"""Values of ``/events.attrs["version"]``. Legacy files have none: they have a group ``/meta``."""

MOST_EVENTS = 100_000_000
"""A longer range of event numbers is a damaged attribute, not a run."""


@dataclass(slots=True)
class EventParts:
    """What a file holds of one event; None, 0 and empty where it holds nothing."""

    pads: h5d.DatasetID | None = None
    register: h5d.DatasetID | None = None
    sis3300: h5d.DatasetID | None = None
    timestamp: int = 0
    silicon: Mapping[str, h5d.DatasetID] = field(default_factory=dict)


class Layout(Protocol):
    """Where the parts of an event lie."""

    name: str
    first: int
    last: int

    def parts(self, number: int) -> EventParts:
        """The parts of event `number`, opened."""

    def origin(self, number: int) -> tuple[int, int] | None:
        """Run and event number under which the event was recorded, where the file says so."""


class LegacyLayout:
    """Files from before versions: ``/meta/meta``, ``/get/evtN_data`` and ``/frib/evt/evtN_1903``."""

    name = "legacy"

    def __init__(self, file: h5py.File, path: Path) -> None:
        if not isinstance(meta := file.get("meta/meta"), h5py.Dataset):
            raise BadRun(f"run file {str(path)!r} looks like a legacy file, but has no dataset '/meta/meta' with its event range.")
        values = np.ravel(meta[()])
        if len(values) < 3 or not np.all(np.isfinite(values)):
            raise BadRun(f"run file {str(path)!r}: '/meta/meta' is {values.tolist()!r}, expected [first event, time, last event, time].")
        self.first, self.last = _event_range(int(values[0]), int(values[2]), path)
        self._get = _open_group(file.id, b"get")
        frib = _open_group(file.id, b"frib")
        self._frib = None if frib is None else _open_group(frib, b"evt")

    def parts(self, number: int) -> EventParts:
        """The parts of event `number`, opened."""
        stem = b"evt%d" % number
        parts = EventParts()
        if self._get is not None:
            parts.pads = _open_dataset(self._get, stem + b"_data")
            header = _open_dataset(self._get, stem + b"_header")
            parts.timestamp = 0 if header is None else _second_word(header)
        if self._frib is not None:
            parts.register = _open_dataset(self._frib, stem + b"_977")
            parts.sis3300 = _open_dataset(self._frib, stem + b"_1903")
        return parts

    def origin(self, number: int) -> tuple[int, int] | None:
        """None: events of these files are where they were recorded."""
        return None


class MergedLayout:
    """Files with a group ``/events/event_N`` for each event; `nested` ones keep GET data in a group of their own."""

    def __init__(self, file: h5py.File, path: Path, version: str) -> None:
        self.name = version
        self._nested = version == "libattpc_merger:2.0"
        self._harmonised = version.startswith("harmonizer")
        attributes = file["events"].attrs
        if missing := [key for key in ("min_event", "max_event") if key not in attributes]:
            raise BadRun(f"run file {str(path)!r} ({version}): '/events' lacks the attribute {missing[0]!r}, which gives its event range.")
        self.first, self.last = _event_range(int(attributes["min_event"]), int(attributes["max_event"]), path)
        self._events = file["events"].id

    def parts(self, number: int) -> EventParts:
        """The parts of event `number`, opened."""
        parts = EventParts()
        event = _open_group(self._events, b"event_%d" % number)
        if event is None:
            return parts
        if self._nested:
            self._open_get(event, parts)
        else:
            parts.pads = _open_dataset(event, b"get_traces")
            if parts.pads is not None:
                parts.timestamp = _integer_attribute(parts.pads, b"timestamp") or 0
        frib = _open_group(event, b"frib_physics")
        if frib is not None:
            parts.register = _open_dataset(frib, b"977")
            parts.sis3300 = _open_dataset(frib, b"1903")
        return parts

    def _open_get(self, event: h5g.GroupID, parts: EventParts) -> None:
        get = _open_group(event, b"get")
        if get is None:
            return
        parts.pads = _open_dataset(get, b"pads")
        parts.timestamp = _integer_attribute(get, b"timestamp") or 0
        # The merger writes "si_", Spyral's reader looks for "silicon_": files with either name exist.
        places = [f"{side}_{face}" for side in ("upstream", "downstream") for face in ("front", "back")]
        found = {place: _open_dataset(get, b"si_" + place.encode()) or _open_dataset(get, b"silicon_" + place.encode()) for place in places}
        parts.silicon = {place: dataset for place, dataset in found.items() if dataset is not None}

    def origin(self, number: int) -> tuple[int, int] | None:
        """Run and event number before events of many runs were regrouped, where the file says so."""
        if not self._harmonised or (event := _open_group(self._events, b"event_%d" % number)) is None:
            return None
        run, original = _integer_attribute(event, b"orig_run"), _integer_attribute(event, b"orig_event")
        return None if run is None or original is None else (run, original)


def detect_layout(file: h5py.File, path: Path) -> Layout:
    """The layout of an open file.

    Raises
    ------
    BadRun
        The layout or its version is unknown, or the range of events is missing or senseless.
    """
    if file.id.links.exists(b"meta"):
        return LegacyLayout(file, path)
    if not file.id.links.exists(b"events") or not isinstance(file["events"], h5py.Group):
        members = ", ".join(sorted(file)) or "nothing"
        raise BadRun(
            f"run file {str(path)!r} has an unknown layout: its root holds {members}, expected a group 'events' (merged files) or 'meta' "
            f"(legacy files). Check that it is a run file of the AT-TPC."
        )
    version = file["events"].attrs.get("version")
    known = ", ".join(KNOWN_VERSIONS)
    if version is None:
        raise BadRun(f"run file {str(path)!r}: '/events' lacks the attribute 'version', expected one of {known}. Merge the run again.")
    text = version.decode(errors="replace") if isinstance(version, bytes) else str(version)
    if text not in KNOWN_VERSIONS:
        raise BadRun(
            f"run file {str(path)!r} has the unknown version {text!r}, expected one of {known}.{nearest(text, KNOWN_VERSIONS)} "
            f"Merge the run again with a known version, or update penstock."
        )
    return MergedLayout(file, path, text)


def run_number(file: h5py.File, path: Path) -> int:
    """The run's number by the name of its file (``run_0042.h5``), else by what the file says, else -1."""
    if match := re.search(r"run_?(\d+)", path.stem):
        return int(match[1])
    if isinstance(events := file.get("events"), h5py.Group) and "frib_run" in events.attrs:
        return int(events.attrs["frib_run"])
    if isinstance(info := file.get("frib/runinfo"), h5py.Dataset) and info.size:
        return int(np.ravel(info[()])[0])
    return -1


def _event_range(first: int, last: int, path: Path) -> tuple[int, int]:
    if not 0 <= first <= last < first + MOST_EVENTS:
        raise BadRun(
            f"run file {str(path)!r} says that its events go from {first} to {last}; expected an ascending range of at most "
            f"{MOST_EVENTS} events. Its metadata are damaged: merge the run again."
        )
    return first, last


def _open_group(parent: h5g.GroupID, name: bytes) -> h5g.GroupID | None:
    return h5g.open(parent, name) if parent.links.exists(name) else None


def _open_dataset(parent: h5g.GroupID, name: bytes) -> h5d.DatasetID | None:
    return h5d.open(parent, name) if parent.links.exists(name) else None


def _integer_attribute(holder: h5g.GroupID | h5d.DatasetID, name: bytes) -> int | None:
    if not h5a.exists(holder, name):
        return None
    value = np.zeros((), np.int64)
    h5a.open(holder, name).read(value)
    return int(value)


def _second_word(header: h5d.DatasetID) -> int:
    words = np.zeros(header.shape, np.int64)
    header.read(h5s.ALL, h5s.ALL, words)
    return int(words.flat[1]) if words.size > 1 else 0
