"""Trigger maps: which frames of which streams belong to one event, and what kind of worker is to process it.

The model is that of dranspose (https://dranspose.readthedocs.io), and so is the JSON: the body of ``POST /api/v1/sequence``, and the
``mapping-….json`` that its dumps have beside them. Which worker gets what: `penstock.stream.assignment`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from penstock.core.errors import ConfigError, nearest
from penstock.stream._map_json import read_map
from penstock.stream._map_part import GENERIC, Cell, Part, VirtualWorker
from penstock.stream.models import EventData, StreamData

__all__ = ["GENERIC", "WRAP_PART", "Cell", "Part", "TriggerMap", "VirtualWorker"]

WRAP_PART = "reserved_start_end"
"""Name of the part that start and end are given to all workers by."""


@dataclass(frozen=True, slots=True)
class _Run:
    """The same part, several times in a row."""

    part: Part
    name: str
    repeats: int
    start: int
    """First event."""
    frames: Mapping[str, int]
    """Frames of each stream before it."""

    @property
    def stop(self) -> int:
        return self.start + self.repeats * self.part.length

    def n_frames(self, stream: str) -> int:
        return self.repeats * len(self.part.frames_of(stream))


@dataclass(frozen=True)
class TriggerMap:
    """Parts, and the order in which they follow each other; immutable.

    A million events are as many references to a short part: what is kept grows with the parts and with the changes from one part to
    another, never with the events.

    Parameters
    ----------
    parts
        By name: cells by stream. A stream that a part leaves out has no frame in it.
    sequence
        Names of parts, each as often as it is wanted.

    Raises
    ------
    ConfigError
        Cells of a part's streams differ in number, or the sequence names a part that does not exist.
    """

    parts: Mapping[str, Part]
    sequence: tuple[str, ...]
    streams: tuple[str, ...] = field(init=False, compare=False)
    """All streams of the parts, sorted."""
    _runs: tuple[_Run, ...] = field(init=False, repr=False, compare=False)
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _frame_starts: Mapping[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)
    _n_frames: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __init__(self, parts: Mapping[str, Part | Mapping[str, Sequence[Cell]]], sequence: Sequence[str]) -> None:
        own = {name: part if isinstance(part, Part) else Part.of(name, part) for name, part in parts.items()}
        streams = tuple(sorted({stream for part in own.values() for stream in part.cells}))
        for name in dict.fromkeys(sequence):
            if name not in own:
                known = ", ".join(map(repr, own)) or "none"
                raise ConfigError(f"trigger map: the sequence names part {name!r}, there are {known}.{nearest(name, own)}")
        runs = tuple(_runs_of(own, sequence, streams))
        own_fields = {
            "parts": own,
            "sequence": tuple(sequence),
            "streams": streams,
            "_runs": runs,
            "_starts": tuple(run.start for run in runs),
            "_frame_starts": {stream: tuple(run.frames[stream] for run in runs) for stream in streams},
            "_n_frames": {stream: sum(run.n_frames(stream) for run in runs) for stream in streams},
        }
        for name, value in own_fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_json(cls, document: Any) -> TriggerMap:
        """The map that a parsed JSON document describes, in the form that is posted or in the form that is dumped.

        Raises
        ------
        ConfigError
            It is no trigger map; the message names part, stream and cell.
        """
        return cls(*read_map(document))

    @classmethod
    def uniform(cls, streams: Iterable[str], n_events: int) -> TriggerMap:
        """Each stream has one frame in each of `n_events` events, and all frames of an event go to one worker; start and end are around."""
        part = {stream: [(VirtualWorker(0),)] for stream in streams}
        return cls({"event": part}, ["event"] * n_events).wrapped()

    def as_json(self) -> dict[str, Any]:
        """The document that is posted."""
        return {"parts": {name: part.as_json() for name, part in self.parts.items()}, "sequence": list(self.sequence)}

    def as_dump(self) -> dict[str, Any]:
        """The document in the form of a dump."""
        return {"parts": {name: {"mapping": part.as_json()} for name, part in self.parts.items()}, "sequence": list(self.sequence)}

    def wrapped(self) -> TriggerMap:
        """The map with an event before and one behind, that give the start and the end of all streams to all workers of any tag that occurs.

        Raises
        ------
        ConfigError
            A part has the name that is reserved for it, and is something else.
        """
        if self.is_wrapped:
            return self
        if WRAP_PART in self.parts:
            raise ConfigError(f"trigger map: the name {WRAP_PART!r} is kept for start and end. Give your part another name.")
        tags = sorted({tag for part in self.parts.values() for tag in part.tags})
        everyone = tuple(VirtualWorker(None, frozenset((tag,))) for tag in tags)
        parts = {**self.parts, WRAP_PART: Part.of(WRAP_PART, dict.fromkeys(self.streams, (everyone,)))}
        return TriggerMap(parts, (WRAP_PART, *self.sequence, WRAP_PART))

    @property
    def is_wrapped(self) -> bool:
        """Whether start and end of all streams are given to all workers."""
        return len(self.sequence) > 1 and self.sequence[0] == self.sequence[-1] == WRAP_PART

    def __len__(self) -> int:
        """Number of events."""
        return self._runs[-1].stop if self._runs else 0

    @property
    def min_workers(self) -> int:
        """Most different constraints in one event: so many workers can work at it at once."""
        return max((part.min_workers for part in self.parts.values()), default=0)

    def check_streams(self, available: Iterable[str]) -> None:
        """Refuse streams that are not there.

        Raises
        ------
        ConfigError
            The map wants streams beyond those `available`.
        """
        there = sorted(set(available))
        if unknown := [stream for stream in self.streams if stream not in there]:
            names, known = ", ".join(map(repr, unknown)), ", ".join(map(repr, there)) or "none"
            raise ConfigError(f"trigger map: streams {names} are not available, there are {known}.{nearest(unknown[0], there)}")

    def locate(self, number: int) -> tuple[int, int, int]:
        """Where an event lies: the run of equal parts, the instance of the part in it, and the event in the part.

        Raises
        ------
        ConfigError
            There is no such event.
        """
        if not 0 <= number < len(self):
            raise ConfigError(f"trigger map: there is no event {number}, there are {len(self)} (0 is the first).")
        place = bisect_right(self._starts, number) - 1
        run = self._runs[place]
        return place, *divmod(number - run.start, run.part.length)

    def run(self, place: int) -> tuple[str, int]:
        """Name of the part of a run of equal parts, and how often it comes."""
        return self._runs[place].name, self._runs[place].repeats

    @property
    def n_runs(self) -> int:
        """Number of runs of equal parts."""
        return len(self._runs)

    def cell(self, stream: str, number: int) -> Cell:
        """What the map says of one stream in one event."""
        place, _, local = self.locate(number)
        cells = self._runs[place].part.cells.get(stream)
        return None if cells is None else cells[local]

    def cells(self, number: int) -> dict[str, Cell]:
        """What the map says of each stream in one event: None where it has no frame, ``()`` where its frame is read and discarded."""
        place, _, local = self.locate(number)
        cells = self._runs[place].part.cells
        return {stream: cells[stream][local] if stream in cells else None for stream in self.streams}

    def n_frames(self, stream: str) -> int:
        """How many frames of a stream the map asks for, those to be discarded included."""
        return self._n_frames.get(stream, 0)

    def event_of(self, stream: str, k: int) -> int:
        """The event that a stream's k-th frame belongs to, from 0: the k-th in which it has a cell.

        Raises
        ------
        ConfigError
            The map does not ask for so many frames.
        """
        if not 0 <= k < self.n_frames(stream):
            raise ConfigError(
                f"trigger map: there is no frame {k} of stream {stream!r}, there are {self.n_frames(stream)} (0 is the first)."
            )
        run = self._runs[bisect_right(self._frame_starts[stream], k) - 1]
        frames = run.part.frames_of(stream)
        instance, index = divmod(k - run.frames[stream], len(frames))
        return run.start + instance * run.part.length + frames[index]

    def apply(self, contributions: Mapping[str, Iterable[StreamData]]) -> Iterator[EventData]:
        """Events from what each stream contributes, in its order: a frame is taken only where the stream has a cell, so None shifts nothing.

        Events of which no worker gets anything are not given out. It ends with the map, or before the first event for which a stream has
        nothing left.

        Raises
        ------
        ConfigError
            A stream of the map is not among the contributions.
        """
        self.check_streams(contributions)
        unread = {stream: iter(contributions[stream]) for stream in self.streams}
        for number in range(len(self)):
            event = EventData(number, {})
            for stream, cell in self.cells(number).items():
                if cell is None:
                    continue
                data = next(unread[stream], None)
                if data is None:
                    return
                if cell:
                    event.streams[stream] = data
            if event.streams:
                yield event


def _runs_of(parts: Mapping[str, Part], sequence: Sequence[str], streams: Sequence[str]) -> Iterator[_Run]:
    start, frames = 0, dict.fromkeys(streams, 0)
    for name, group in groupby(name for name in sequence if parts[name].length):
        run = _Run(parts[name], name, sum(1 for _ in group), start, frames)
        yield run
        start = run.stop
        frames = {stream: n + run.n_frames(stream) for stream, n in frames.items()}
