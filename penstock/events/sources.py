"""Where the events of a replay come from: capture files, raw or in the replay format, or a user's own source."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError
from penstock.events._calls import construct
from penstock.events.user_code import load_class
from penstock.events.workers import RandomAccess
from penstock.formats.captures import RawCapture, kind_of, write_event
from penstock.formats.captures.folders import SUFFIXES
from penstock.stream.build import EventBuilder, build_from_raw
from penstock.stream.capture import Capture, JoinedCapture, open_captures
from penstock.stream.models import EventData, merge_parts
from penstock.stream.protocols import PROTOCOLS, by_name, sniff
from penstock.stream.trigger_map import TriggerMap

__all__ = ["EventSource", "Listed", "Streamed", "open_files", "open_user_source", "problems_of", "save_event", "stream_name"]


class EventSource(RandomAccess, Protocol):
    """Events by position, to be closed after use."""

    def __len__(self) -> int: ...
    def __enter__(self) -> EventSource: ...
    def __exit__(self, *_: object) -> None: ...


class Streamed:
    """Events that come one after the other and are not kept, such as those that a user's source makes."""

    def __init__(self, events: Iterator[EventData]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[EventData]:
        return self._events


class Listed:
    """Events that are held in memory, such as those that were built from raw captures."""

    def __init__(self, events: Iterable[EventData], problems: dict[str, int] | None = None) -> None:
        self._events = list(events)
        self.problems = problems or {}
        self.numbers: NDArray[np.int64] = np.array([e.event_number for e in self._events], np.int64)
        unknown = int(np.iinfo(np.int64).min)
        times = [unknown if e.created_at is None else e.created_at for e in self._events]
        self.created_at: NDArray[np.int64] = np.array(times, np.int64)

    def __len__(self) -> int:
        return len(self._events)

    def __enter__(self) -> Listed:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def event(self, position: int) -> EventData:
        """The event at a position."""
        return self._events[position]


def open_files(files: Sequence[Path], trigger_map: TriggerMap | None = None) -> EventSource:
    """The events of capture files, joined on event number; of raw captures, built from their messages.

    A raw capture holds one stream, which is named like its file (``xrd.cbors``: ``xrd``); its protocol is recognised.

    Parameters
    ----------
    trigger_map
        Says which frames of raw captures make an event; without it, frames of the same number do.

    Raises
    ------
    BadRun, ConfigError
        A file cannot be read, is no capture, or raw captures and others are mixed.
    """
    kinds = {path: kind_of(path) for path in files}
    if not kinds:
        raise ConfigError("no capture files are given.")
    if set(kinds.values()) == {"raw"}:
        return _built(files, trigger_map)
    if trigger_map is not None:
        raise ConfigError("a trigger map says how raw messages make events; these captures hold events already. Leave it out.")
    if "raw" in kinds.values():
        raw = ", ".join(path.name for path, kind in kinds.items() if kind == "raw")
        raise ConfigError(
            f"{raw}: raw messages, the other files hold events. Turn raw captures into events first with: penstock inspect FILE --events OUT.cbors"
        )
    return open_captures(files)


def problems_of(source: EventSource) -> dict[str, int]:
    """What a source lacks, counted by reason: streams that are absent in events, and damaged places."""
    if isinstance(source, Listed):
        return dict(source.problems)
    problems: dict[str, int] = {}
    for name, missing in source.missing.items() if isinstance(source, JoinedCapture) else ():
        if missing.between:
            problems[f"events without stream {name!r}, between others that have it"] = missing.between
        if missing.beyond:
            problems[f"events without stream {name!r}, before its first or after its last"] = missing.beyond
    for path, damages in source.damage.items() if isinstance(source, Capture | JoinedCapture) else ():
        for damage in damages:
            reason = f"{path.name}: {damage.reason}"
            problems[reason] = problems.get(reason, 0) + 1
    return problems


def _built(files: Sequence[Path], trigger_map: TriggerMap | None) -> Listed:
    captures = {stream_name(path): RawCapture(path) for path in files}
    if len(captures) < len(files):
        raise ConfigError(f"raw captures {', '.join(p.name for p in files)}: two of them name the same stream. Rename one.")
    assemblers = {name: by_name(_protocol(capture)).new_assembler() for name, capture in captures.items()}
    builder = EventBuilder(captures, trigger_map=trigger_map)
    events = list(build_from_raw(captures, assemblers, builder))
    problems = {
        f"stream {name!r}: {reason}": n for name, tally in builder.report.streams.items() for reason, n in tally.counts.items() if n
    }
    problems |= {f"stream {name!r}: {d.reason}": 1 for name, capture in captures.items() for d in capture.damage}
    if builder.report.n_incomplete:
        problems["events that lack a stream"] = builder.report.n_incomplete
    return Listed(events, problems)


def stream_name(path: Path) -> str:
    """Name of the stream in a raw capture: its file's, without endings and the number of the run."""
    stem = path.name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        stem = stem.removesuffix(suffix)
    return re.sub(r"^(?:run|scan)[-_]?\d+[-_.]", "", stem) or stem


def _protocol(capture: RawCapture) -> str:
    name = sniff(capture)
    if name is None:
        raise ConfigError(f"{capture.path}: raw messages of no protocol that is known ({', '.join(PROTOCOLS)}).")
    return name


def open_user_source(name: str, folder: Path) -> Streamed:
    """The events of a user's class with ``get_source_generators()``, joined on event number; none is held longer than needed.

    Raises
    ------
    ConfigError
        There is no such class, or its generators yield something that is no event.
    """
    cls = load_class(name, folder, "get_source_generators")
    generators = construct(cls).get_source_generators()
    return Streamed(_joined([_checked(generator, name) for generator in generators]))


def _checked(generator: Iterable[Any], name: str) -> Iterator[EventData]:
    for part in generator:
        if not (hasattr(part, "event_number") and hasattr(part, "streams")):
            raise ConfigError(f"source {name!r} yields {type(part).__name__}; it should yield events with 'event_number' and 'streams'.")
        yield part


def _joined(generators: Sequence[Iterator[EventData]]) -> Iterator[EventData]:
    """Events with the parts that carry the same number, ascending, until every generator has ended."""
    parts: list[EventData] = []
    for part in heapq.merge(*generators, key=lambda p: p.event_number):
        if parts and part.event_number != parts[0].event_number:
            yield merge_parts(parts)
            parts = []
        parts.append(part)
    if parts:
        yield merge_parts(parts)


def save_event(source: EventSource | Streamed, number: int, path: Path) -> bool:
    """Write the event of that number as a capture of its own; whether there was one."""
    if isinstance(source, Streamed):
        event = next((e for e in source if e.event_number == number), None)
    else:
        with source:
            found = np.flatnonzero(source.numbers == number)
            event = source.event(int(found[0])) if len(found) else None
            if event is not None:
                write_event(path, event)
            return event is not None
    if event is not None:
        write_event(path, event)
    return event is not None
