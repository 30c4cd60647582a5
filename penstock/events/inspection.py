"""What is in captures: files, streams, kinds of messages, shapes, rates, and what is missing or damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from penstock.core.canonical import Json
from penstock.core.errors import BadEvent, ConfigError, PenstockError
from penstock.events._message_content import forms_of, values_of
from penstock.events.sources import EventSource, open_files, problems_of
from penstock.formats.captures import CaptureFile, CaptureWriter, Damage, Kind, RawCapture, kind_of
from penstock.stream.models import StreamData
from penstock.stream.protocols import Parse, by_typ, sniff
from penstock.stream.trigger_map import TriggerMap

__all__ = ["FileContent", "Inspection", "StreamContent", "inspect_captures", "write_events"]

_UNKNOWN = int(np.iinfo(np.int64).min)


@dataclass(slots=True)
class FileContent:
    """What one file is.

    Attributes
    ----------
    kind
        None where it cannot be read; then `fault` says why.
    items
        Events, or messages of a raw capture.
    nbytes
        As inflated.
    streams
        Names of its streams; of a raw capture the protocol that its messages are in, where it is known.
    """

    path: Path
    kind: Kind | None = None
    items: int = 0
    nbytes: int = 0
    streams: tuple[str, ...] = ()
    damage: list[Damage] = field(default_factory=list)
    fault: str = ""


@dataclass(slots=True)
class StreamContent:
    """What one stream contributes.

    Attributes
    ----------
    typ
        Protocol, as captures call it.
    events
        Events that have it; `first` and `last` are the numbers of the outermost.
    lacking
        Events between those two that lack it.
    messages
        Count by class of the parsed message, in the order in which they come.
    forms
        Data type, shape and compression of images, spectra or traces, each that occurs.
    values
        Names of the values of a message.
    hertz
        Events a second, by the times of recording; None where the captures do not say.
    bad
        Messages that cannot be parsed, counted by reason.
    """

    name: str
    typ: str
    events: int = 0
    first: int = 0
    last: int = 0
    lacking: int = 0
    nbytes: int = 0
    messages: dict[str, int] = field(default_factory=dict)
    forms: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    hertz: float | None = None
    bad: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Inspection:
    """What is in some captures, joined on event number.

    Attributes
    ----------
    complete
        Events that have all streams.
    absent
        Numbers between the first and the last that no event has.
    seconds
        From the first to the last recorded event; None where the captures do not say.
    problems
        Counted by reason, as a replay reports them.
    fault
        Why the files cannot be joined; empty where they can.
    """

    files: list[FileContent]
    streams: list[StreamContent] = field(default_factory=list)
    events: int = 0
    complete: int = 0
    absent: int = 0
    first: int = 0
    last: int = 0
    seconds: float | None = None
    problems: dict[str, int] = field(default_factory=dict)
    fault: str = ""

    @property
    def whole(self) -> bool:
        """Whether all of every file could be read. Streams that are missing in events do not count."""
        return not (self.fault or any(f.fault or f.damage for f in self.files) or any(s.bad for s in self.streams))

    def as_json(self) -> dict[str, Json]:
        """The same as plain values."""
        told = asdict(self) | {"whole": self.whole}
        for content in told["files"]:
            content["path"] = str(content["path"])
            content["streams"] = list(content["streams"])
            content["damage"] = [damage._asdict() for damage in content["damage"]]
        return told


def inspect_captures(paths: Sequence[Path], trigger_map: TriggerMap | None = None) -> Inspection:
    """Read captures through, every message of them. Pixels and samples are not looked at.

    Files that cannot be read or joined are part of the answer, and raise nothing.
    """
    found = Inspection([_file(path) for path in paths])
    if any(f.fault for f in found.files):
        found.fault = "a file cannot be read."
        return found
    try:
        with open_files(paths, trigger_map) as source:
            _look_through(found, source)
    except PenstockError as error:
        found.fault = str(error)
    return found


def _file(path: Path) -> FileContent:
    content = FileContent(path)
    try:
        content.kind = kind_of(path)
        if content.kind == "dump":
            with CaptureFile(path) as events:
                content.items, content.nbytes, content.streams = len(events), events.nbytes, events.stream_names
                content.damage = events.damage
        else:
            with RawCapture(path) as messages:
                content.items, content.nbytes, content.damage = len(messages), messages.nbytes, messages.damage
                protocol = sniff(messages)
                content.streams = (protocol,) if protocol else ()
    except PenstockError as error:
        content.fault = str(error)
    return content


def _look_through(found: Inspection, source: EventSource) -> None:
    looks: dict[str, _Look] = {}
    for position in range(len(source)):
        try:
            event = source.event(position)
        except BadEvent as error:
            found.fault = str(error)
            continue
        for name, data in event.streams.items():
            if name not in looks:
                looks[name] = _Look(StreamContent(name, data.typ))
            looks[name].take(position, data)
    names = [*looks]
    found.events = len(source)
    found.first, found.last = int(source.numbers[0]), int(source.numbers[-1])
    found.absent = found.last - found.first + 1 - found.events
    found.seconds = _seconds(source, range(len(source)))
    found.problems = problems_of(source)
    having = Counter(position for look in looks.values() for position in look.positions)
    found.complete = sum(n == len(names) for n in having.values())
    for look in looks.values():
        content, positions = look.content, look.positions
        content.events = len(positions)
        content.first, content.last = int(source.numbers[positions[0]]), int(source.numbers[positions[-1]])
        content.lacking = positions[-1] - positions[0] + 1 - len(positions)
        seconds = _seconds(source, positions)
        content.hertz = (len(positions) - 1) / seconds if seconds else None
        found.streams.append(content)


def _seconds(source: EventSource, positions: Sequence[int]) -> float | None:
    """Time from the first to the last of these events."""
    begin, end = (int(source.created_at[positions[k]]) for k in (0, -1))
    return None if _UNKNOWN in (begin, end) else (end - begin) / 1e9


class _Look:
    """Looks at the messages of one stream, in their order."""

    def __init__(self, content: StreamContent) -> None:
        self.content = content
        self.positions: list[int] = []
        self._parse: Parse | None
        try:
            self._parse = by_typ(content.typ).new_parse()
        except ConfigError as error:
            self._parse = None
            content.bad[str(error)] = 0

    def take(self, position: int, data: StreamData) -> None:
        content = self.content
        self.positions.append(position)
        content.nbytes += data.nbytes
        if self._parse is None:
            content.bad = {reason: n + 1 for reason, n in content.bad.items()}
            return
        try:
            message = self._parse(data)
        except BadEvent as error:
            content.bad[str(error)] = content.bad.get(str(error), 0) + 1
            return
        kind = type(message).__name__
        if kind not in content.messages:
            content.values += [name for name in values_of(message) if name not in content.values]
        content.messages[kind] = content.messages.get(kind, 0) + 1
        for form in forms_of(message):
            if form not in content.forms:
                content.forms.append(form)


def write_events(paths: Sequence[Path], out: Path, trigger_map: TriggerMap | None = None) -> int:
    """Write the events of captures, joined, into one capture of events; how many.

    Raises
    ------
    ConfigError
        `out` is there already.
    BadRun
        A file cannot be read.
    """
    if out.exists():
        raise ConfigError(f"{out} is there already, and is not written over. Give another name.")
    part = out.with_name(f".part-{out.name}")
    part.unlink(missing_ok=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    with open_files(paths, trigger_map) as source, CaptureWriter(part) as writer:
        for position in range(len(source)):
            writer.write(source.event(position))
        n_events = len(source)
    part.replace(out)
    return n_events
