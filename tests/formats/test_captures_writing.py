"""Written captures are what dranspose writes, and come back as they were."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.core.errors import BadEvent
from penstock.formats.captures import UNKNOWN, CaptureFile, CaptureWriter, write_event

WHEN_NS = 1795227579986122000


@dataclass
class Part:
    typ: str
    frames: list[bytes]


@dataclass
class Event:
    event_number: int
    streams: Mapping[str, Part]
    created_at: int | None = None


def encoded(event: Event) -> bytes:
    """As dranspose 0.2 writes a message: by cbor2, with these tags."""
    streams = {name: cbor2.CBORTag(42878, [part.typ, part.frames]) for name, part in event.streams.items()}
    created_at = [] if event.created_at is None else [datetime.fromtimestamp(event.created_at // 10**9, UTC)]
    created_at = [moment.replace(microsecond=event.created_at % 10**9 // 1000) for moment in created_at if event.created_at is not None]
    return cbor2.dumps(cbor2.CBORTag(55799, cbor2.CBORTag(42877, [event.event_number, streams, *created_at])))


def contributions(capture: CaptureFile, position: int) -> list[tuple[str, str, list[bytes | memoryview]]]:
    return [(name, typ, frames) for name, (typ, frames) in capture.streams(position, lambda typ, frames: (typ, frames)).items()]


def write(path: Path, *events: Event) -> Path:
    with CaptureWriter(path) as writer:
        for event in events:
            writer.write(event)
    return path


EVENT = Event(7, {"det": Part("STINS", [b"head", bytes(70_000)]), "pos": Part("PCAP", [b"x"])}, WHEN_NS)


@pytest.mark.parametrize("created_at", [None, WHEN_NS, 1795227579 * 10**9], ids=["none", "microseconds", "seconds"])
def test_bytes_are_those_of_cbor2(tmp_path: Path, created_at: int | None) -> None:
    event = Event(7, EVENT.streams, created_at)
    assert write(tmp_path / "a.cbors", event).read_bytes() == encoded(event)


def test_nanoseconds_are_kept(tmp_path: Path) -> None:
    assert CaptureFile(write(tmp_path / "a.cbors", Event(7, {}, WHEN_NS + 1))).created_at.tolist() == [WHEN_NS + 1]


def test_captures_are_appended_to(tmp_path: Path) -> None:
    path = write(tmp_path / "a.cbors", EVENT)
    write(path, Event(8, {}))
    assert CaptureFile(path).numbers.tolist() == [7, 8]


def test_names_with_gz_are_gzipped_and_appended_to(tmp_path: Path) -> None:
    path = write(tmp_path / "a.cbors.gz", EVENT)
    write(path, Event(8, {}))
    assert gzip.decompress(path.read_bytes()) == encoded(EVENT) + encoded(Event(8, {}))
    assert CaptureFile(path).numbers.tolist() == [7, 8]


@pytest.mark.parametrize("name", ["a.cbors", "a.cbors.gz"])
def test_flushed_events_can_be_read_while_the_writer_is_open(tmp_path: Path, name: str) -> None:
    with CaptureWriter(tmp_path / name, flush=True) as writer:
        writer.write(EVENT)
        assert CaptureFile(tmp_path / name).numbers.tolist() == [7]


def test_an_event_by_itself_replaces_the_file(tmp_path: Path) -> None:
    write(tmp_path / "a.cbors", Event(8, {}))
    write_event(tmp_path / "a.cbors", EVENT)
    assert (tmp_path / "a.cbors").read_bytes() == encoded(EVENT)


@pytest.mark.parametrize("number", [-1, 2**63])
def test_numbers_that_no_reader_takes_are_not_written(tmp_path: Path, number: int) -> None:
    with pytest.raises(BadEvent, match=rf"event {number} cannot be captured: numbers from 0 to 2\*\*63 - 1 can\."):
        write(tmp_path / "a.cbors", Event(number, {}))


parts = st.builds(Part, st.text(max_size=30), st.lists(st.binary(max_size=300), max_size=30))
events = st.builds(
    Event,
    st.integers(0, 2**63 - 1),
    st.dictionaries(st.text(max_size=30), parts, max_size=4),
    st.none() | st.integers(-(10**18), 6 * 10**18),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(events, min_size=1, max_size=5))
def test_any_events_come_back(tmp_path: Path, written: list[Event]) -> None:
    path = tmp_path / "a.cbors"
    path.unlink(missing_ok=True)
    capture = CaptureFile(write(path, *written))
    assert capture.numbers.tolist() == [event.event_number for event in written]
    assert capture.created_at.tolist() == [UNKNOWN if event.created_at is None else event.created_at for event in written]
    for k, event in enumerate(written):
        assert contributions(capture, k) == [(name, part.typ, part.frames) for name, part in event.streams.items()]
    assert capture.damage == []
    assert path.read_bytes() == b"".join(
        encoded(e) if (e.created_at or 0) % 1000 == 0 else path.read_bytes()[slice(*capture.span(k))] for k, e in enumerate(written)
    )
