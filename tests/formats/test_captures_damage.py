"""Damaged captures: what is good is read, what is lost is counted byte by byte, and nothing else happens."""

from __future__ import annotations

import gzip
from pathlib import Path

import cbor2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.core.errors import BadRun, ConfigError
from penstock.formats.captures import CaptureFile, Damage, RawCapture, kind_of


def contributions(capture: CaptureFile, position: int) -> list[tuple[str, str, list[bytes | memoryview]]]:
    return [(name, typ, frames) for name, (typ, frames) in capture.streams(position, lambda typ, frames: (typ, frames)).items()]


def item(number: int, frames: list[bytes]) -> bytes:
    event = cbor2.CBORTag(42877, [number, {"det": cbor2.CBORTag(42878, ["STINS", frames])}])
    return cbor2.dumps(cbor2.CBORTag(55799, event))


ITEMS = [item(number, [b"head %d" % number, bytes(range(60))]) for number in range(5)]
SIZE = len(ITEMS[0])
"""Bytes of each of them."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scan.cbors"


def opened(path: Path, data: bytes) -> CaptureFile:
    path.write_bytes(data)
    return CaptureFile(path)


def accounted(capture: CaptureFile | RawCapture) -> bool:
    """Whether each byte of the file lies in an item or in damage, none in two."""
    spans = capture.index.spans if isinstance(capture, CaptureFile) else capture.spans
    parts = sorted([*map(tuple, spans.tolist()), *((d.offset, d.offset + d.length) for d in capture.damage)])
    ends = [0, *(end for _, end in parts)]
    return ends[-1] == capture.nbytes and all(begin == end for (begin, _), end in zip(parts, ends, strict=False))


def test_garbage_between_events_is_reported_with_its_place(path: Path) -> None:
    capture = opened(path, ITEMS[0] + ITEMS[1] + b"\xff" * 10 + ITEMS[2])
    assert capture.numbers.tolist() == [0, 1, 2]
    assert capture.damage == [Damage(2 * SIZE, 10, "a break where an item should begin", after=1)]
    assert str(capture.damage[0]) == f"10 bytes at byte {2 * SIZE} after event 1: a break where an item should begin"


def test_a_truncated_last_event_is_reported(path: Path) -> None:
    capture = opened(path, ITEMS[0] + ITEMS[1][:-5])
    assert capture.numbers.tolist() == [0]
    (damage,) = capture.damage
    assert damage[:2] == (SIZE, SIZE - 5)
    assert damage.after == 0
    assert damage.reason == f"a string of 60 bytes, of which the file holds 55 (at byte {2 * SIZE - 62})"


@pytest.mark.parametrize("flip", [0xFF, 0x01, 0x20, 0x80])
def test_whatever_byte_of_an_event_is_damaged_all_others_are_read(path: Path, flip: int) -> None:
    data = b"".join(ITEMS)
    good = [contributions(opened(path, data), k) for k in range(5)]
    for at in range(2 * SIZE, 3 * SIZE):
        capture = opened(path, data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
        spans = capture.index.spans[:, 0].tolist()
        assert accounted(capture), at
        assert [contributions(capture, spans.index(k * SIZE)) for k in (0, 1, 3, 4)] == [good[k] for k in (0, 1, 3, 4)], at


@pytest.mark.parametrize("at", range(0, 5 * SIZE, 13))
def test_a_hole_in_a_file_loses_what_it_touches(path: Path, at: int) -> None:
    data = b"".join(ITEMS)
    capture = opened(path, data[:at] + data[at + 40 :])
    touched = {at // SIZE, (at + 39) // SIZE}
    assert accounted(capture)
    assert {0, 1, 2, 3, 4} - touched <= set(capture.numbers.tolist())
    assert capture.damage


def test_an_event_whose_length_reaches_into_the_next_one_is_the_damaged_one(path: Path) -> None:
    grown = ITEMS[1].replace(b"\x58\x3c", b"\x58\x50")
    capture = opened(path, ITEMS[0] + grown + ITEMS[2])
    assert capture.numbers.tolist() == [0, 2]
    assert capture.damage == [Damage(SIZE, SIZE, "an item whose lengths reach into those that follow", after=0)]


def test_a_length_beyond_the_end_of_the_file_loses_one_event(path: Path) -> None:
    huge = ITEMS[1].replace(b"\x58\x3c", b"\x5b" + b"\x7f" * 8)
    capture = opened(path, ITEMS[0] + huge + ITEMS[2])
    assert capture.numbers.tolist() == [0, 2]
    assert "a string of 9,187,201,950,435,737,471 bytes, of which the file holds" in capture.damage[0].reason


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (cbor2.dumps({"a": 1}), r"dict {'a': 1} instead of an event (tag 42877)"),
        (cbor2.dumps([1, 2]), r"a list of 2 instead of an event (tag 42877)"),
        (cbor2.dumps(cbor2.CBORTag(42877, [1])), "an event that holds a list of 1 instead of [number, streams, created_at]"),
        (cbor2.dumps(cbor2.CBORTag(42877, [-1, {}])), "an event with number -1"),
        (cbor2.dumps(cbor2.CBORTag(42877, ["one", {}])), "an event with number 'one'"),
        (cbor2.dumps(cbor2.CBORTag(42877, [1, []])), "event 1: a list of 0 instead of streams by name"),
        (cbor2.dumps(cbor2.CBORTag(42877, [1, {}, [5]])), "event 1: a list of 1 instead of a time"),
        (cbor2.dumps(cbor2.CBORTag(42877, [1, {5: 5}])), "event 1: a stream named 5"),
        (cbor2.dumps(cbor2.CBORTag(42877, [1, {"det": 5}])), "event 1, stream 'det': int 5 instead of [typ, frames] (tag 42878)"),
        (
            cbor2.dumps(cbor2.CBORTag(42877, [1, {"det": cbor2.CBORTag(42878, [5, []])}])),
            "event 1, stream 'det': int 5 instead of a typ",
        ),
        (
            cbor2.dumps(cbor2.CBORTag(42877, [1, {"det": cbor2.CBORTag(42878, ["STINS", ["text"]])}])),
            "event 1, stream 'det': a list of 1 instead of a list of byte strings",
        ),
        (b"\xfc", "byte 0xfc, which begins no CBOR item"),
        (b"\x9f" * 70 + b"\xff" * 70, "items nested more than 64 deep"),
        (b"\x5f\x61a\xff", "byte 0x61 within a string of several chunks"),
        (b"\x62\xff\xfe", "CBOR that does not decode"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_items_that_are_no_events_are_named(path: Path, other: bytes, reason: str) -> None:
    capture = opened(path, ITEMS[0] + other + ITEMS[2])
    assert capture.numbers.tolist() == [0, 2]
    assert [d[:2] for d in capture.damage] == [(SIZE, len(other))]
    assert reason in capture.damage[0].reason


def test_a_claim_of_many_frames_is_not_followed_for_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.formats.captures._walk.PARTS", 30_000)
    monkeypatch.setattr("penstock.formats.captures._indexing.PARTS", 30_000)
    claim = ITEMS[1].replace(b"\x82\x46head", b"\x9a\x00\x01\x00\x00\x46head")
    capture = opened(path, ITEMS[0] + claim + b"\x40" * 80_000 + ITEMS[2])
    assert capture.numbers.tolist() == [0, 2]
    assert "an item of more than 30,000 parts" in capture.damage[0].reason


def test_a_damaged_beginning_is_gone_round(path: Path) -> None:
    capture = opened(path, b"\x00\x01\x02" + ITEMS[0] + ITEMS[1])
    assert capture.numbers.tolist() == [0, 1]
    assert [(*d[:2], d.after) for d in capture.damage] == [(0, 3, None)]


def test_a_truncated_gzip_file_is_read_as_far_as_it_goes(path: Path) -> None:
    noise = np.random.default_rng(1).bytes(50_000)
    packed = gzip.compress(b"".join(item(k, [noise]) for k in range(20)))
    path.write_bytes(packed[: len(packed) // 2])
    capture = CaptureFile(path)
    assert capture.numbers.tolist() == list(range(len(capture)))
    assert 0 < len(capture) < 20
    assert "the gzip file is damaged (Compressed file ended before the end-of-stream marker was reached)" in capture.damage[-1].reason


def test_a_file_without_a_whole_event_is_refused(path: Path) -> None:
    with pytest.raises(
        BadRun, match=r"scan\.cbors: no whole item of a dump capture in 30 bytes\. First damage: 30 bytes at byte 0: a string of"
    ):
        opened(path, ITEMS[0][:30])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (ITEMS[0], "dump"),
        (ITEMS[0][3:], "dump"),
        (gzip.compress(ITEMS[0], mtime=0), "dump"),
        (cbor2.dumps([b"frame"]), "raw"),
        (cbor2.dumps([b"frame"] * 30), "raw"),
        (cbor2.dumps([b"frame"] * 300), "raw"),
        (gzip.compress(cbor2.dumps([b"frame"]), mtime=0), "raw"),
    ],
)
def test_kinds_are_told_apart_by_content(path: Path, data: bytes, kind: str) -> None:
    path.write_bytes(data)
    assert kind_of(path) == kind


def test_a_raw_capture_is_no_dump_and_the_other_way_round(path: Path) -> None:
    with pytest.raises(BadRun, match=r"scan\.cbors is a raw capture of messages; a dump of events is wanted here"):
        opened(path, cbor2.dumps([b"frame"]))
    path.write_bytes(ITEMS[0])
    with pytest.raises(BadRun, match=r"scan\.cbors is a dump of events; a raw capture of messages is wanted here"):
        RawCapture(path)


def test_other_files_are_refused_with_what_they_begin_with(path: Path) -> None:
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(
        BadRun, match=r"is no capture: it begins with b'\\x89HDF.*A dump of events begins with the CBOR tags 55799 and 42877"
    ):
        kind_of(path)
    path.write_bytes(b"")
    with pytest.raises(BadRun, match="is empty: nothing was recorded into it"):
        kind_of(path)
    path.write_bytes(gzip.compress(b"", mtime=0))
    with pytest.raises(BadRun, match="is empty: nothing was recorded into it"):
        kind_of(path)
    path.write_bytes(b"\x1f\x8b\x08broken")
    with pytest.raises(BadRun, match=r"the gzip file is damaged .* nothing of it can be read"):
        kind_of(path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_are_refused_unless_allowed(path: Path, protocol: int) -> None:
    import pickle

    path.write_bytes(pickle.dumps([b"frame"], protocol))
    with pytest.raises(ConfigError, match=r"scan\.cbors holds pickles, which may run any code when they are read\. Record it as a dump"):
        kind_of(path)
    assert kind_of(path, allow_pickle=True) == "pickles"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_goes_unaccounted(path: Path, data: st.DataObject) -> None:
    whole = bytearray(b"".join(ITEMS))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole) - 1))
        piece = data.draw(st.binary(max_size=12))
        whole[at : at + data.draw(st.integers(0, 30))] = piece
    try:
        capture = opened(path, bytes(whole))
    except BadRun:
        return
    assert accounted(capture)
    for k in range(len(capture)):
        contributions(capture, k)
