"""Captures of events: what the index finds is what an independent CBOR library reads."""

from __future__ import annotations

import gzip
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cbor2
import numpy as np
import pytest

from penstock.core.errors import BadEvent, BadRun, RunMissing
from penstock.formats.captures import UNKNOWN, CaptureFile
from penstock.formats.captures._scan import compile_scans, match_heads, scan_events, scan_messages
from penstock.formats.captures._source import COPIED
from penstock.kernels import jit

WHEN = datetime(2026, 11, 21, 2, 19, 39, 986122, UTC)
WHEN_NS = 1795227579986122000


def contributions(capture: CaptureFile, position: int) -> list[tuple[str, str, list[bytes | memoryview]]]:
    return [(name, typ, frames) for name, (typ, frames) in capture.streams(position, lambda typ, frames: (typ, frames)).items()]


def item(number: int, streams: dict[str, tuple[str, list[bytes]]], created_at: Any = WHEN, **style: bool) -> bytes:
    tagged = {name: cbor2.CBORTag(42878, list(stream)) for name, stream in streams.items()}
    parts = [number, tagged] if created_at is None else [number, tagged, created_at]
    event = cbor2.CBORTag(42877, parts)
    return cbor2.dumps(event if style.get("bare") else cbor2.CBORTag(55799, event))


def write(path: Path, *items: bytes) -> Path:
    path.write_bytes(b"".join(items))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scan.cbors"


def test_events_have_number_time_and_frames(path: Path) -> None:
    write(path, item(0, {"det": ("STINS", [b"start"])}), item(7, {"det": ("STINS", [b"head", b"pixels"]), "pos": ("PCAP", [b"x"])}))
    capture = CaptureFile(path)
    assert len(capture) == 2
    assert capture.numbers.tolist() == [0, 7]
    assert capture.created_at.tolist() == [WHEN_NS, WHEN_NS]
    assert contributions(capture, 1) == [("det", "STINS", [b"head", b"pixels"]), ("pos", "PCAP", [b"x"])]
    assert capture.stream_names == ("det", "pos")
    assert capture.has_stream("pos").tolist() == [False, True]
    assert capture.nbytes == path.stat().st_size
    assert capture.damage == []


@pytest.mark.parametrize("number", [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1])
def test_numbers_of_every_width(path: Path, number: int) -> None:
    assert CaptureFile(write(path, item(number, {"det": ("STINS", [])}))).numbers.tolist() == [number]


@pytest.mark.parametrize("length", [0, 23, 24, 255, 256, 65535, 65536, 70_000])
def test_frames_of_every_width_are_found(path: Path, length: int) -> None:
    frame = bytes(k % 251 for k in range(length))
    write(path, item(1, {"det": ("STINS", [frame, b"end"])}))
    assert contributions(CaptureFile(path), 0) == [("det", "STINS", [frame, b"end"])]


def test_large_frames_are_views_and_small_ones_are_bytes(path: Path) -> None:
    capture = CaptureFile(write(path, item(1, {"det": ("STINS", [bytes(COPIED), bytes(COPIED + 1)])})))
    small, large = contributions(capture, 0)[0][2]
    assert type(small) is bytes
    assert isinstance(large, memoryview)
    assert large.readonly
    capture.close()
    assert bytes(large) == bytes(COPIED + 1)


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        (None, UNKNOWN),
        (WHEN, WHEN_NS),
        (WHEN.replace(microsecond=0), 1795227579 * 10**9),
        (WHEN.astimezone(timezone(timedelta(hours=2))), WHEN_NS),
        (cbor2.CBORTag(0, "2026-11-21T02:19:39.986122345Z"), WHEN_NS + 345),
        (cbor2.CBORTag(0, "2026-11-21T02:19:39.98Z"), 1795227579980000000),
        (cbor2.CBORTag(0, "2026-11-20T21:49:39.986122-04:30"), WHEN_NS),
        (cbor2.CBORTag(0, "1969-12-31T23:59:59.500000Z"), -500_000_000),
        (cbor2.CBORTag(1, 1795227579), 1795227579 * 10**9),
        (cbor2.CBORTag(1, 1795227579.986122), WHEN_NS),
        (cbor2.CBORTag(1, 2**60), UNKNOWN),
        (cbor2.CBORTag(1, float("nan")), UNKNOWN),
        (cbor2.CBORTag(0, "2026-13-21T02:19:39.986122Z"), UNKNOWN),
        (cbor2.CBORTag(0, "9026-11-21T02:19:39.986122Z"), UNKNOWN),
        (cbor2.CBORTag(0, "9026-11-21T02:19:39Z"), UNKNOWN),
        (cbor2.CBORTag(0, "2026-11-21T02:19:39.98612+Z"), UNKNOWN),
        (cbor2.CBORTag(0, "yesterday"), UNKNOWN),
    ],
    ids=str,
)
def test_times_in_every_notation(path: Path, created_at: Any, expected: int) -> None:
    capture = CaptureFile(write(path, item(1, {"det": ("STINS", [b"x"])}, created_at), item(2, {"det": ("STINS", [b"x"])})))
    assert capture.created_at.tolist() == [expected, WHEN_NS]


def test_the_outer_tag_may_be_absent(path: Path) -> None:
    write(path, item(0, {"det": ("STINS", [b"x"])}, bare=True), item(1, {"det": ("STINS", [b"y"])}))
    assert CaptureFile(path).numbers.tolist() == [0, 1]


def test_events_without_streams_are_events(path: Path) -> None:
    capture = CaptureFile(write(path, item(0, {}), item(1, {"det": ("STINS", [])})))
    assert [contributions(capture, k) for k in range(2)] == [[], [("det", "STINS", [])]]


INDEFINITE = bytes.fromhex("d9d9f7d9a77d9f05bf63646574d9a77e9f655354494e539f41614162ffffffc074323032362d31312d32315430323a31393a33395aff")
"""Event 5, stream det, frames a and b: every list and map of indefinite length, as streaming encoders write them."""
CHUNKED = bytes.fromhex("d9a77d8206a163646574d9a77e82655354494e53815f4161426263ff")
"""Event 6, stream det, frame abc in two chunks."""


def test_items_in_unusual_words_are_read_as_well(path: Path) -> None:
    capture = CaptureFile(write(path, item(4, {"det": ("STINS", [b"x"])}), INDEFINITE, CHUNKED, item(7, {"other": ("PCAP", [b"z"])})))
    assert capture.numbers.tolist() == [4, 5, 6, 7]
    assert [contributions(capture, k)[0][2] for k in range(4)] == [[b"x"], [b"a", b"b"], [b"abc"], [b"z"]]
    assert capture.created_at.tolist() == [WHEN_NS, 1795227579 * 10**9, UNKNOWN, WHEN_NS]
    assert capture.damage == []


def test_a_stream_twice_in_one_event_is_refused(path: Path) -> None:
    once = item(3, {"det": ("STINS", [b"x"])}, None)
    entry = once[once.index(b"\x63det") :]
    capture = CaptureFile(write(path, once.replace(b"\xa1\x63det", b"\xa2\x63det") + entry))
    with pytest.raises(BadEvent, match=r"scan\.cbors: event 3 has 2 streams, some of one name: det\."):
        contributions(capture, 0)


def test_names_that_are_no_text_are_shown_as_escapes(path: Path) -> None:
    capture = CaptureFile(write(path, item(3, {"det": ("STINS", [b"x"])}).replace(b"\x63det", b"\x63d\xfft")))
    assert capture.stream_names == ("d\\xfft",)


def test_positions_count_from_the_end_too_and_others_are_refused(path: Path) -> None:
    capture = CaptureFile(write(path, *(item(k, {"det": ("STINS", [bytes([k])])}) for k in range(3))))
    assert contributions(capture, -1) == [("det", "STINS", [b"\x02"])]
    with pytest.raises(IndexError, match=r"scan\.cbors: event at position 3 was asked for; there are 3\."):
        contributions(capture, 3)


def test_gzip_is_recognised_by_content(path: Path) -> None:
    plain = item(0, {"det": ("STINS", [b"x" * 100_000])}) + item(1, {"det": ("STINS", [b"y"])})
    path.write_bytes(gzip.compress(plain))
    capture = CaptureFile(path)
    assert capture.nbytes == len(plain)
    assert contributions(capture, 0)[0][2] == [b"x" * 100_000]


def test_large_gzip_files_are_inflated_to_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.formats.captures._source.IN_MEMORY", 1000)
    path.write_bytes(gzip.compress(item(0, {"det": ("STINS", [b"x" * 100_000])})))
    with CaptureFile(path) as capture:
        assert contributions(capture, 0) == [("det", "STINS", [b"x" * 100_000])]


def test_a_pickled_capture_reads_the_same_without_a_new_index(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = CaptureFile(write(path, item(0, {"det": ("STINS", [b"x"])}), CHUNKED))
    sent = pickle.dumps(capture)
    monkeypatch.delattr("penstock.formats.captures.dump.build_index")
    again = pickle.loads(sent)
    assert [contributions(again, k) for k in range(2)] == [contributions(capture, k) for k in range(2)]


def test_a_file_that_changed_since_it_was_indexed_is_refused(path: Path) -> None:
    sent = pickle.dumps(CaptureFile(write(path, item(0, {"det": ("STINS", [b"x"])}))))
    write(path, item(0, {"det": ("STINS", [b"longer"])}))
    with pytest.raises(BadRun, match=r"scan\.cbors changed since it was indexed: it had 56 bytes, now 61\. Open it again\."):
        pickle.loads(sent)


def test_missing_and_empty_files_are_named(path: Path) -> None:
    with pytest.raises(RunMissing, match=r"scan\.cbors: there is no such capture"):
        CaptureFile(path)
    with pytest.raises(BadRun, match="is a folder, not a capture"):
        CaptureFile(path.parent)
    with pytest.raises(BadRun, match=r"scan\.cbors is empty: nothing was recorded into it"):
        CaptureFile(write(path))


def test_small_captures_are_opened_without_loading_the_compiler(path: Path) -> None:
    write(path, item(0, {"det": ("STINS", [b"x"])}))
    code = "import sys; from penstock.formats.captures import CaptureFile; CaptureFile(sys.argv[1]); print({'numba', 'cbor2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def random_items(seed: int, n: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    names = ["det", "pos", "a much longer name of a stream than others have"]
    items = []
    for number in range(n):
        streams = {
            name: ("T" * int(rng.integers(0, 30)), [rng.bytes(int(k)) for k in rng.integers(0, 300, rng.integers(0, 4))]) for name in names
        }
        kept = {name: streams[name] for name in rng.permutation(names)[: rng.integers(0, 4)].tolist()}
        items.append(item(number, kept, [None, WHEN][int(rng.integers(0, 2))], bare=bool(rng.integers(0, 2))))
    return items


FIELDS = ("spans", "numbers", "created_at", "first_entry", "first_frame", "frames")


@pytest.mark.parametrize("seed", range(3))
def test_the_compiled_scan_finds_the_same_as_the_plain_one(path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.formats.captures._indexing.BLOCK", 16)
    items = random_items(seed, 400)
    items[200:200] = [INDEFINITE, b"\xffgarbage"]
    write(path, *items)
    plain, compiled = CaptureFile(path), CaptureFile(path, compile_from=1)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(plain.index, name), getattr(compiled.index, name))
    assert [contributions(plain, k) for k in range(401)] == [contributions(compiled, k) for k in range(401)]
    assert plain.damage == compiled.damage


def test_compiled_scans_stop_where_plain_ones_do() -> None:
    """Also for every cut and every damaged byte, where the compiled form must not read beyond the end."""
    compiled: dict[str, Any] = compile_scans(jit)
    data = item(300, {"det": ("STINS", [b"head", b"pixels" * 50]), "pos": ("PCAP", [b"x"])}) * 2
    message = cbor2.dumps([b"head", b"x" * 300]) * 2
    for scan, whole in ((scan_events, data), (scan_messages, message)):
        for k in range(len(whole)):
            for damaged in (whole[:k], whole[:k] + bytes([whole[k] ^ 0xFF]) + whole[k + 1 :]):
                tables = [[np.zeros(60, np.int64) for _ in range(3)] for _ in range(2)]
                pixels = np.frombuffer(damaged, np.uint8)
                assert scan(damaged, 0, len(damaged), *tables[0]) == compiled[scan.__name__](pixels, 0, len(damaged), *tables[1])


def test_equal_heads_are_matched() -> None:
    rng = np.random.default_rng(1)
    heads = [rng.bytes(int(n)) for n in rng.integers(3, 6, 20)]
    chosen = rng.integers(0, 20, 500)
    data = b"".join(heads[k] for k in chosen)
    lengths = np.array([len(heads[k]) for k in chosen])
    entries = np.column_stack([np.cumsum(lengths) - lengths, lengths, np.zeros(500, int)]).reshape(-1)
    same, first = np.zeros(500, np.int64), np.zeros(500, np.int64)
    n = match_heads(data, entries, 500, same, first)
    assert n == len({heads[k] for k in chosen})
    assert [heads[chosen[first[k]]] for k in same] == [heads[k] for k in chosen]


def test_report_says_what_is_in_the_file(path: Path) -> None:
    capture = CaptureFile(write(path, item(0, {"det": ("STINS", [b"x"])}), item(9, {"pos": ("PCAP", [b"x"])})))
    assert capture.report() == f"{path}: 2 events (0 to 9), 111 bytes, streams det, pos"
