"""Captures of real detectors, where they lie beside the repository."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from penstock.formats.captures import CaptureFile, CaptureWriter, RawCapture, RawWriter, kind_of
from penstock.stream.capture import Capture

SAMPLES = Path(__file__).parents[3] / "shared/data/events"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the captures of real detectors do not lie beside the repository")

DUMPS = {
    "albaem-dump.cbors": ("albaem", "albaem", 6),
    "contrast-dump.cbors": ("contrast", "contrast", 22),
    "dump_xrd.cbors": ("xrd", "STINS", 11),
    "eiger-small.cbors": ("eiger", "EIGER_LEGACY", 5),
    "maui-02-continuous-3.cbors": ("lecroy", "lecroy_9fwdWp6Rq7", 4),
    "pcap-zmq.cbors": ("pcap", "PCAP", 1502),
    "xspress3-dump.cbors": ("xspress3", "xspress", 22),
    "xspress3mini-dump20.cbors": ("xspress3", "xspress", 24),
}
RAW = {
    "albaem-dump.cbors": 6,
    "contrast-dump.cbors": 26,
    "eiger-small.cbors": 5,
    "maui-02-continuous-3.cbor.gz": 9,
    "pcap-zmq.cbors": 102,
    "xspress3-dump.cbors": 62,
    "xspress3mini-dump20.cbors": 68,
}


def test_every_sample_is_known() -> None:
    assert {path.name for path in (SAMPLES / "dumps").iterdir()} == set(DUMPS)
    assert {path.name for path in (SAMPLES / "raw").iterdir()} == set(RAW)


@pytest.mark.parametrize("name", DUMPS)
def test_dumps_hold_the_events_of_the_reference(name: str) -> None:
    stream, typ, events = DUMPS[name]
    path = SAMPLES / "dumps" / name
    capture = CaptureFile(path)
    assert kind_of(path) == "dump"
    assert capture.numbers.tolist() == list(range(events))
    assert {(n, typ) for k in range(events) for n, typ in capture.streams(k, lambda typ, _: typ).items()} == {(stream, typ)}
    assert capture.damage == []


@pytest.mark.parametrize("name", DUMPS)
def test_dumps_are_written_again_byte_by_byte(name: str, tmp_path: Path) -> None:
    with CaptureWriter(tmp_path / name) as writer:
        for event in Capture.open(SAMPLES / "dumps" / name).events():
            writer.write(event)
    assert (tmp_path / name).read_bytes() == (SAMPLES / "dumps" / name).read_bytes()


@pytest.mark.parametrize("name", RAW)
def test_raw_captures_hold_the_messages_of_the_reference(name: str, tmp_path: Path) -> None:
    path = SAMPLES / "raw" / name
    capture = RawCapture(path)
    assert kind_of(path) == "raw"
    assert len(capture) == RAW[name]
    assert capture.damage == []
    with RawWriter(tmp_path / "again.cbors") as writer:
        for message in capture:
            writer.write(message)
    data = path.read_bytes()
    assert (tmp_path / "again.cbors").read_bytes() == (gzip.decompress(data) if path.suffix == ".gz" else data)


def test_frames_of_parts_by_message_are_those_of_the_reference() -> None:
    assert [len(m) for m in RawCapture(SAMPLES / "raw/eiger-small.cbors")] == [9, 5, 5, 5, 1]
    lecroy = Capture.open(SAMPLES / "dumps/maui-02-continuous-3.cbors")
    assert [event.streams["lecroy"].length for event in lecroy.events()] == [1, 8, 8, 1]
