"""Captures as sources of events, and several of them joined on event number."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.core.errors import BadEvent, BadRun, ConfigError
from penstock.formats.captures import UNKNOWN, CaptureWriter
from penstock.stream.capture import Capture, JoinedCapture, Missing, open_captures
from penstock.stream.models import EventData, StreamData, merge_parts

WHEN_NS = 1795227579986122000


def part(number: int, name: str, created_at: int | None = WHEN_NS) -> EventData:
    return EventData(number, {name: StreamData("STINS", [b"%s %d" % (name.encode(), number), bytes(100)])}, created_at)


def capture(path: Path, *events: EventData) -> Path:
    path.unlink(missing_ok=True)
    with CaptureWriter(path) as writer:
        for event in events:
            writer.write(event)
    return path


@pytest.fixture
def fast(tmp_path: Path) -> Path:
    """Stream det in events 0 to 5."""
    return capture(tmp_path / "fast.cbors", *(part(k, "det", WHEN_NS + k) for k in range(6)))


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Stream temp in events 0, 3 and 9."""
    return capture(tmp_path / "slow.cbors.gz", *(part(k, "temp", WHEN_NS - 5) for k in (0, 3, 9)))


def test_events_of_one_capture_by_position(fast: Path) -> None:
    with Capture.open(fast) as source:
        assert len(source) == 6
        assert source.event(2) == part(2, "det")
        assert source.event(2).created_at == WHEN_NS + 2
        assert source.event(-1) == part(5, "det")
        assert list(source.events(1, 6, 2)) == [part(k, "det") for k in (1, 3, 5)]
        assert source.numbers.tolist() == list(range(6))
        assert source.created_at.tolist() == [WHEN_NS + k for k in range(6)]
        assert source.stream_names == ("det",)
        assert source.nbytes == fast.stat().st_size
        assert source.damage == {}
        assert source.report() == f"{fast}: 6 events (0 to 5), {source.nbytes} bytes, streams det"


def test_an_event_without_time_has_none(tmp_path: Path) -> None:
    source = Capture.open(capture(tmp_path / "a.cbors", part(0, "det", None)))
    assert source.event(0).created_at is None
    assert source.created_at.tolist() == [UNKNOWN]


def test_joined_events_have_what_each_file_has(fast: Path, slow: Path) -> None:
    with JoinedCapture([fast, slow]) as source:
        assert source.numbers.tolist() == [0, 1, 2, 3, 4, 5, 9]
        assert [sorted(event.streams) for event in source.events()] == [
            ["det", "temp"],
            *[["det"]] * 2,
            ["det", "temp"],
            *[["det"]] * 2,
            ["temp"],
        ]
        assert source.event(3) == merge_parts([part(3, "det"), part(3, "temp")])
        assert source.event(-1) == part(9, "temp")
        assert source.created_at.tolist() == [WHEN_NS - 5, WHEN_NS + 1, WHEN_NS + 2, WHEN_NS - 5, WHEN_NS + 4, WHEN_NS + 5, WHEN_NS - 5]
        assert source.event(0).created_at == WHEN_NS - 5


def test_nothing_is_dropped_when_one_file_is_longer(fast: Path, slow: Path) -> None:
    source = JoinedCapture([fast, slow])
    assert source.stream_names == ("det", "temp")
    assert source.complete.tolist() == [True, False, False, True, False, False, False]
    assert source.missing == {"det": Missing(between=0, beyond=1), "temp": Missing(between=4, beyond=0)}
    assert source.nbytes == sum(file.nbytes for file in source.files)
    assert source.report().splitlines()[2:] == [
        "joined: 7 events, 2 of them with all of det, temp",
        "  events without det before its first or after its last: 1",
        "  events without temp between its first and its last: 4",
    ]


def test_positions_beyond_the_end_are_refused(fast: Path, slow: Path) -> None:
    with pytest.raises(IndexError, match=r"event at position 7 was asked for; there are 7\."):
        JoinedCapture([fast, slow]).event(7)


def test_a_stream_in_two_files_is_refused_by_event(fast: Path, tmp_path: Path) -> None:
    again = capture(tmp_path / "again.cbors", part(3, "det"), part(7, "det"))
    source = JoinedCapture([fast, again])
    assert source.event(2) == part(2, "det")
    assert source.event(6) == part(7, "det")
    with pytest.raises(BadEvent, match=r"event 3: stream 'det' comes in .*fast\.cbors and in .*again\.cbors\. Leave one of them out\."):
        source.event(3)


def test_numbers_that_do_not_ascend_are_sorted(tmp_path: Path) -> None:
    path = capture(tmp_path / "a.cbors", part(4, "det"), part(0, "det"), part(2, "det"))
    assert [event.event_number for event in JoinedCapture([path]).events()] == [0, 2, 4]
    assert [event.event_number for event in open_captures([path]).events()] == [0, 2, 4]


def test_numbers_that_come_again_are_refused_with_their_places(tmp_path: Path) -> None:
    path = capture(tmp_path / "a.cbors", part(0, "det"), part(1, "det"), part(0, "det"), part(1, "det"))
    with pytest.raises(
        BadRun,
        match=r"a\.cbors: event 0 comes at positions 0 and 2 \(bytes 0 and 324\); 2 numbers come again\. A capture holds one scan: split it",
    ):
        JoinedCapture([path])


def test_no_file_and_the_same_file_twice_are_refused(fast: Path) -> None:
    with pytest.raises(ConfigError, match=r"no capture is given\. Name at least one file\."):
        JoinedCapture([])
    with pytest.raises(ConfigError, match=r"fast\.cbors is given twice\. Name each capture once\."):
        JoinedCapture([fast, fast.parent / "." / fast.name])


def test_damage_is_known_by_file(fast: Path, slow: Path) -> None:
    fast.write_bytes(fast.read_bytes()[:-1])
    source = JoinedCapture([fast, slow])
    assert [(path, len(damage)) for path, damage in source.damage.items()] == [(fast, 1)]
    assert "damaged, 164 bytes lost:" in source.report()


def test_one_ordered_file_is_not_joined(fast: Path, slow: Path) -> None:
    assert isinstance(open_captures([fast]), Capture)
    assert isinstance(open_captures([fast, slow]), JoinedCapture)


def test_sources_can_be_sent_to_other_processes(fast: Path, slow: Path) -> None:
    for source in (Capture.open(fast), JoinedCapture([fast, slow])):
        again = pickle.loads(pickle.dumps(source))
        assert list(again.events()) == list(source.events())
        assert again.created_at.tolist() == source.created_at.tolist()


subsets = st.lists(st.integers(0, 12), max_size=8, unique=True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(subsets.filter(bool), min_size=1, max_size=4), order=st.randoms())
def test_joining_is_merging_parts_whatever_the_order_of_files(tmp_path: Path, numbers: list[list[int]], order: object) -> None:
    paths = [capture(tmp_path / f"{k}.cbors", *(part(n, f"s{k}") for n in mine)) for k, mine in enumerate(numbers)]
    expected = [merge_parts(part(n, f"s{k}") for k, mine in enumerate(numbers) if n in mine) for n in sorted(set().union(*numbers))]
    order.shuffle(paths)  # type: ignore[attr-defined]
    source = JoinedCapture(paths)
    assert list(source.events()) == expected
    assert {name: m.between + m.beyond for name, m in source.missing.items()} == {
        f"s{k}": len(source) - len(mine) for k, mine in enumerate(numbers)
    }
