"""Captures of messages: frames as they came from the wire."""

from __future__ import annotations

import gzip
from pathlib import Path

import cbor2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.core.errors import BadRun, RunMissing
from penstock.formats.captures import RawCapture, RawWriter

MESSAGES = [[b"start"], [b'{"frame": 0}', bytes(300)], [b'{"frame": 1}', bytes(100_000)], [], [b"end"]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wire.cbors"


def opened(path: Path, *messages: bytes) -> RawCapture:
    path.write_bytes(b"".join(messages))
    return RawCapture(path)


def test_messages_come_in_order_with_their_places(path: Path) -> None:
    capture = opened(path, *map(cbor2.dumps, MESSAGES))
    sizes = [len(cbor2.dumps(message)) for message in MESSAGES]
    assert list(capture) == MESSAGES
    assert len(capture) == 5
    assert capture.message(-1) == [b"end"]
    assert list(capture.messages(1, 5, 3)) == [MESSAGES[1], MESSAGES[4]]
    assert capture.spans.tolist() == [[sum(sizes[:k]), sum(sizes[: k + 1])] for k in range(5)]
    assert isinstance(capture.message(2)[1], memoryview)
    assert capture.damage == []


def test_positions_beyond_the_end_are_refused(path: Path) -> None:
    with pytest.raises(IndexError, match=r"wire\.cbors: message at position 1 was asked for; there are 1\."):
        opened(path, cbor2.dumps([b"x"])).message(1)


def test_frames_in_chunks_are_joined(path: Path) -> None:
    capture = opened(path, cbor2.dumps([b"a"]), bytes.fromhex("9f5f41614162ff4163ff"), cbor2.dumps([b"d"]))
    assert list(capture) == [[b"a"], [b"ab", b"c"], [b"d"]]


def test_what_was_written_is_read(path: Path) -> None:
    with RawWriter(path) as writer:
        for message in MESSAGES:
            writer.write(message)
    assert path.read_bytes() == b"".join(map(cbor2.dumps, MESSAGES))


def test_gzip_files_are_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "wire.cbor.gz"
    for message in MESSAGES:
        with RawWriter(path) as writer:
            writer.write(message)
    assert gzip.decompress(path.read_bytes()) == b"".join(map(cbor2.dumps, MESSAGES))
    assert list(RawCapture(path)) == MESSAGES


def test_messages_behind_damage_are_found_again(path: Path) -> None:
    noise = np.random.default_rng(3)
    messages = [cbor2.dumps([b'{"frame": %d}' % k, noise.bytes(500)]) for k in range(20)]
    capture = opened(path, *messages[:4], messages[4][:100], *messages[5:])
    assert [message[0] for message in capture] == [b'{"frame": %d}' % k for k in range(20) if k != 4]
    assert [(d.offset, d.length, d.after) for d in capture.damage] == [(4 * len(messages[0]), 100, None)]


def test_a_truncated_last_message_is_reported(path: Path) -> None:
    capture = opened(path, cbor2.dumps([b"x" * 50]), cbor2.dumps([b"y" * 50])[:-1])
    assert list(capture) == [[b"x" * 50]]
    assert [d[:2] for d in capture.damage] == [(53, 52)]


def test_missing_and_wholly_damaged_files_are_refused(path: Path) -> None:
    with pytest.raises(RunMissing, match=r"wire\.cbors: there is no such capture"):
        RawCapture(path)
    with pytest.raises(BadRun, match=r"wire\.cbors: no whole item of a raw capture in 52 bytes"):
        opened(path, cbor2.dumps([b"y" * 50])[:-1])


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(st.lists(st.binary(max_size=400), min_size=1, max_size=30), min_size=1, max_size=8))
def test_any_messages_come_back(path: Path, messages: list[list[bytes]]) -> None:
    path.unlink(missing_ok=True)
    with RawWriter(path) as writer:
        for message in messages:
            writer.write(message)
    assert list(RawCapture(path)) == messages
