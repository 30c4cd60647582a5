"""Runs whose events are selected from: opened and looked through once a process, however many blocks it reduces."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from penstock.core.errors import BadEvent, BadRun, ConfigError, nearest
from penstock.core.selection import EventSelection
from penstock.core.stage import RunSource
from penstock.events.reduction_params import FieldSelection
from penstock.events.reductions.base import Layout
from penstock.events.reductions.selection import DATA_MESSAGES, layout_of
from penstock.stream.models import EventData, StreamData
from penstock.stream.protocols import Parse, by_typ, parse

__all__ = ["OpenRun", "open_run"]

MOST_OPEN = 2
"""Runs that a process keeps open."""


class OpenRun:
    """The events of a run by position, and what is known of its streams.

    Parameters
    ----------
    reader
        An opened `penstock.events.reader.CaptureRun`, or one that has ``source``, ``stream_names`` and ``n_events`` too.
    selection
        The events that are asked for.
    """

    def __init__(self, run: int, reader: Any, selection: EventSelection) -> None:
        self._run = run
        self._reader = reader
        self._positions = selection.positions(reader.n_events)
        self.n_events = len(self._positions)
        self._layouts: dict[FieldSelection, Layout] = {}
        self._parsers: dict[str, dict[int, Parse]] = {}
        self._lock = threading.Lock()

    def event(self, position: int) -> EventData:
        """The event at a position, among those that are selected.

        Raises
        ------
        BadEvent
            It is damaged.
        """
        event: EventData = self._reader.source.event(self._positions[position])
        return event

    def with_stream(self, selection: FieldSelection) -> FieldSelection:
        """The selection with the name of its stream.

        Raises
        ------
        ConfigError
            There is no such stream, or none is named and there are several.
        """
        names = list(self._reader.stream_names)
        words = ", ".join(names) or "none"
        if not selection.stream:
            if len(names) != 1:
                raise ConfigError(f"run {self._run}: its streams are {words}. Name one as 'stream'.")
            return selection.model_copy(update={"stream": names[0]})
        if selection.stream not in names:
            raise ConfigError(f"run {self._run}: there is no stream {selection.stream!r}, only {words}.{nearest(selection.stream, names)}")
        return selection

    def layouts(self, selections: tuple[FieldSelection, ...]) -> tuple[Layout, ...]:
        """What the selected values look like, by the first event that has them.

        Raises
        ------
        ConfigError
            The channel or the region lies outside of the field.
        BadRun
            No event has the field.
        """
        with self._lock:
            for selection in selections:
                if selection not in self._layouts:
                    self._layouts[selection] = self._first_layout(selection)
            return tuple(self._layouts[selection] for selection in selections)

    def _first_layout(self, selection: FieldSelection) -> Layout:
        found: Parse | None = None
        problem = f"no event has a data message of stream {selection.stream!r}"
        for position in range(self.n_events):
            try:
                data = self.event(position).streams.get(selection.stream)
                if data is None:
                    continue
                if found is None:
                    found = _new_parse(data.typ)
                message = found(data)
                if type(message).__name__ in DATA_MESSAGES:
                    return layout_of(selection, message)
            except BadEvent as error:
                if problem.startswith("no event"):
                    problem = f"no event has what is selected; the first that could: {error}"
        raise BadRun(f"run {self._run}: {problem}")

    def parsers_at(self, position: int, streams: tuple[str, ...]) -> Mapping[str, Parse]:
        """What parses the messages from a position on, of streams whose messages make no sense alone."""
        found: dict[str, Parse] = {}
        for name in dict.fromkeys(streams):
            with self._lock:
                if name not in self._parsers:
                    self._parsers[name] = self._first_parser(name)
                known = self._parsers[name]
                if known:
                    found[name] = self._parser_at(name, known, position)
        return found

    def _first_parser(self, name: str) -> dict[int, Parse]:
        """By position a parser that has seen all messages before it; empty where messages are parsed alone."""
        for position in range(self.n_events):
            data = self._contribution(position, name)
            if data is not None:
                parser = _new_parse(data.typ)
                return {0: parser} if hasattr(parser, "__self__") else {}
        return {}

    def _parser_at(self, name: str, known: dict[int, Parse], position: int) -> Parse:
        start = max(at for at in known if at <= position)
        parser = _copied(known[start])
        for earlier in range(start, position):
            data = self._contribution(earlier, name)
            if data is not None:
                # A damaged message counts where its own block is reduced.
                with suppress(BadEvent):
                    parser(data)
        known[position] = parser
        return _copied(parser)

    def _contribution(self, position: int, name: str) -> StreamData | None:
        try:
            return self.event(position).streams.get(name)
        except BadEvent:
            return None


def _copied(parser: Parse) -> Parse:
    """The bound method of a copy of its object."""
    method: Any = parser
    copied: Parse = getattr(copy.copy(method.__self__), method.__name__)
    return copied


def _new_parse(typ: str) -> Parse:
    try:
        return by_typ(typ).new_parse()
    except ConfigError:
        return parse


_open: OrderedDict[tuple[Any, ...], OpenRun] = OrderedDict()
_opening = threading.Lock()


def open_run(source: RunSource) -> OpenRun:
    """The run of a stage, opened, or as it was opened before in this process.

    Raises
    ------
    BadRun
        It cannot be read, or has no events.
    """
    stamps = [(role, str(path), *_stamp(path)) for role, path in source.raw.items()]
    identity = (source.run, str(source.events), *stamps)
    with _opening:
        run = _open.pop(identity, None)
        if run is None:
            run = OpenRun(source.run, source.reader(), source.events)
            if not run.n_events:
                raise BadRun(f"run {source.run}: there are no events in it.")
            while len(_open) >= MOST_OPEN:
                _open.popitem(last=False)
        _open[identity] = run
    return run


def _stamp(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
