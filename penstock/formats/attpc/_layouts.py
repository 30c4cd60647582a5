"""The layouts of run files: which one a file has, and where an event's parts lie in each.

Everything of an event may be missing; what is there but cannot be opened raises what HDF5 raises.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5s, h5t

from penstock.core.errors import BadEvent, BadRun, nearest
from penstock.formats.attpc._events import read_row, read_whole_number
from penstock.formats.traces import FRIB_MODULES, FRIB_PART, GET_PART, SILICON_PARTS, SILICON_SETS

__all__ = ["ALL", "KNOWN_VERSIONS", "EventParts", "Layout", "LegacyLayout", "MergedLayout", "Wanted", "detect_layout", "run_number"]

KNOWN_VERSIONS = ("libattpc_merger:1.0", "libattpc_merger:2.0", "synchronizer:0.1.0", "harmonizer:0.1.0")
"""Values of ``/events.attrs["version"]``. Legacy files have none: they have a group ``/meta``."""

MOST_EVENTS = 100_000_000
"""A longer range of event numbers is a damaged attribute, not a run."""

ONE = ((), (1,))
"""Shapes of one value."""


@dataclass(slots=True)
class EventParts:
    """What a file holds of one event; None, 0, -1 and empty where it holds nothing or nothing that was asked for.

    ``modules`` by tag, ``silicon`` by number of the set; ``flags`` names all parts that the event has, opened or not.
    """

    pads: h5d.DatasetID | None = None
    register: h5d.DatasetID | None = None
    modules: dict[int, h5d.DatasetID] = field(default_factory=dict)
    silicon: dict[int, h5d.DatasetID] = field(default_factory=dict)
    timestamp: int = 0
    timestamp_other: int = 0
    get_event: int = -1
    frib_event: int = -1
    frib_timestamp: int = -1
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of an event is opened: the FRIB modules, by tag, and whether the silicon sets."""

    modules: Collection[int] = FRIB_MODULES
    silicon: bool = True


ALL = Wanted()


class Layout(Protocol):
    """Where the parts of an event lie."""

    name: str
    first: int
    last: int

    def parts(self, number: int, wanted: Wanted = ALL) -> EventParts:
        """The parts of event `number`, opened."""

    def origin(self, number: int) -> tuple[int, int] | None:
        """Run and event number under which the event was recorded, where the file says so."""


class LegacyLayout:
    """Files from before versions: ``/meta/meta``, ``/get/evtN_data`` and ``/frib/evt/evtN_1903``."""

    name = "legacy"

    def __init__(self, file: h5py.File, path: Path) -> None:
        if not isinstance(meta := file.get("meta/meta"), h5py.Dataset):
            raise BadRun(f"run file {str(path)!r} looks like a legacy file, but has no dataset '/meta/meta' with its event range.")
        values = read_row(meta.id, "'/meta/meta'")
        if len(values) < 3 or not np.all(np.isfinite(values)):
            raise BadRun(f"run file {str(path)!r}: '/meta/meta' is {values.tolist()!r}, expected [first event, time, last event, time].")
        self.first, self.last = _event_range(int(values[0]), int(values[2]), path)
        self._get = _open_group(file.id, b"get")
        frib = _open_group(file.id, b"frib")
        self._frib = None if frib is None else _open_group(frib, b"evt")

    def parts(self, number: int, wanted: Wanted = ALL) -> EventParts:
        """The parts of event `number`, opened."""
        stem = b"evt%d" % number
        parts = EventParts()
        if self._get is not None:
            parts.pads = _open_dataset(self._get, stem + b"_data")
            parts.flags = GET_PART if parts.pads is not None else 0
            header = _open_dataset(self._get, stem + b"_header")
            parts.get_event, parts.timestamp, parts.timestamp_other = _words(header, (-1, 0, 0))
        if self._frib is not None:
            header = _open_dataset(self._frib, stem + b"_header")
            parts.frib_event, parts.frib_timestamp = _words(header, (-1, -1))
            parts.register = _open_dataset(self._frib, stem + b"_977")
            parts.modules = _open_modules(self._frib, stem + b"_%d", wanted)
            names = (b"_header", b"_977", *(b"_%d" % module for module in FRIB_MODULES))
            parts.flags |= FRIB_PART if any(self._frib.links.exists(stem + name) for name in names) else 0
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
        self.first, self.last = _event_range(read_whole_number(attributes, "min_event"), read_whole_number(attributes, "max_event"), path)
        self._events = file["events"].id

    def parts(self, number: int, wanted: Wanted = ALL) -> EventParts:
        """The parts of event `number`, opened."""
        parts = EventParts()
        event = _open_group(self._events, b"event_%d" % number)
        if event is None:
            return parts
        if self._nested:
            self._open_get(event, parts, wanted)
        else:
            parts.pads = _open_dataset(event, b"get_traces")
            if parts.pads is not None:
                _read_stamps(parts.pads, parts)
        parts.flags |= GET_PART if parts.pads is not None else 0
        frib = _open_group(event, b"frib_physics")
        if frib is not None:
            parts.flags |= FRIB_PART
            parts.frib_event = _integer_attribute(frib, b"id", -1)
            parts.frib_timestamp = _integer_attribute(frib, b"timestamp", -1)
            parts.register = _open_dataset(frib, b"977")
            parts.modules = _open_modules(frib, b"%d", wanted)
        return parts

    def _open_get(self, event: h5g.GroupID, parts: EventParts, wanted: Wanted) -> None:
        get = _open_group(event, b"get")
        if get is None:
            return
        parts.pads = _open_dataset(get, b"pads")
        _read_stamps(get, parts)
        for number, place in enumerate(SILICON_SETS):
            # The merger writes "si_", Spyral's reader looks for "silicon_": files with either name exist.
            for name in (b"si_" + place.encode(), b"silicon_" + place.encode()):
                if get.links.exists(name):
                    parts.flags |= SILICON_PARTS[number]
                    if wanted.silicon:
                        parts.silicon[number] = h5d.open(get, name)
                    break

    def origin(self, number: int) -> tuple[int, int] | None:
        """Run and event number before events of many runs were regrouped, where the file says so."""
        if not self._harmonised or (event := _open_group(self._events, b"event_%d" % number)) is None:
            return None
        run, original = _integer_attribute(event, b"orig_run", -1), _integer_attribute(event, b"orig_event", -1)
        return None if run < 0 or original < 0 else (run, original)


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
    try:
        version = file["events"].attrs.get("version")
    except TypeError as error:
        raise BadEvent(f"attribute 'version' of '/events' is no text ({error})") from error
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
        return read_whole_number(events.attrs, "frib_run")
    if isinstance(info := file.get("frib/runinfo"), h5py.Dataset) and info.size:
        return int(read_row(info.id, "'/frib/runinfo'")[0])
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


def _open_modules(parent: h5g.GroupID, name: bytes, wanted: Wanted) -> dict[int, h5d.DatasetID]:
    return {module: h5d.open(parent, name % module) for module in wanted.modules if parent.links.exists(name % module)}


def _read_stamps(holder: h5g.GroupID | h5d.DatasetID, parts: EventParts) -> None:
    parts.get_event = _integer_attribute(holder, b"id", -1)
    parts.timestamp = _integer_attribute(holder, b"timestamp", 0)
    parts.timestamp_other = _integer_attribute(holder, b"timestamp_other", 0)


def _integer_attribute(holder: h5g.GroupID | h5d.DatasetID, name: bytes, absent: int) -> int:
    if not h5a.exists(holder, name):
        return absent
    attribute = h5a.open(holder, name)
    # h5py reads as many values as there are, whatever room they are given.
    if attribute.shape not in ONE:
        raise BadEvent(f"attribute {name.decode()!r} has the shape {attribute.shape}, expected one whole number")
    value = np.zeros((), np.int64)
    try:
        # With the type named, h5py is twice as fast as when it derives it from the array.
        attribute.read(value, h5t.NATIVE_INT64)
    except TypeError as error:
        raise BadEvent(f"attribute {name.decode()!r} is no whole number ({error})") from error
    return int(value)


def _words(header: h5d.DatasetID | None, absent: tuple[int, ...]) -> tuple[int, ...]:
    """The first words of a header, as many as there are of `absent`, which stands for those that are missing."""
    if header is None or header.shape is None:
        return absent
    words = np.zeros(header.shape, np.int64)
    try:
        header.read(h5s.ALL, h5s.ALL, words)
    except TypeError as error:
        raise BadEvent(f"a header holds no whole numbers ({error})") from error
    found = words.reshape(-1)[: len(absent)].tolist()
    return (*found, *absent[len(found) :])
