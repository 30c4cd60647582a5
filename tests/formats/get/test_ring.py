"""Ring items of .evt files: runs of the crate, scalers, physics; cut files keep what is whole."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from penstock.formats.get._ring import index_evt
from penstock.simulate.get_crate import begin_item, end_item, physics_item, register_words, ring_item, scaler_item

WORDS = np.arange(11, dtype=np.uint32)


def write(folder: Path, *items: bytes, name: str = "run-0005-00.evt") -> Path:
    path = folder / name
    path.write_bytes(b"".join(items))
    return path


def event(number: int) -> bytes:
    return physics_item(number, 10 * number, register_words(1))


def test_a_run_is_known_by_its_begin_and_end(tmp_path: Path) -> None:
    index = index_evt([write(tmp_path, begin_item(5, 1700000000, "16O on H2"), event(0), end_item(5, 1700000060, 60))])

    (run,) = index.recordings
    assert (run.run, run.title, run.start, run.stop, run.elapsed) == (5, "16O on H2", 1700000000, 1700000060, 60)


def test_an_end_that_states_the_time_first_is_understood(tmp_path: Path) -> None:
    end = ring_item(2, struct.pack("<IIII", 1700000060, 60, 0, 0))

    (run,) = index_evt([write(tmp_path, begin_item(5, 1700000000, "x"), end)]).recordings

    assert (run.stop, run.elapsed) == (1700000060, 60)


def test_scalers_are_read_whole(tmp_path: Path) -> None:
    (record,) = index_evt([write(tmp_path, scaler_item(2, 4, 1700000004, WORDS))]).scalers

    assert (record.start_offset, record.stop_offset, record.timestamp, record.incremental) == (2, 4, 1700000004, 1)
    assert record.words.tolist() == list(range(11))


def test_events_go_on_through_all_files_with_and_without_body_header(tmp_path: Path) -> None:
    plain = event(1)
    bare = ring_item(30, plain[28:], body_header=False)
    paths = [write(tmp_path, event(0), bare), write(tmp_path, event(2), name="run-0005-01.evt")]

    physics = index_evt(paths).physics

    assert physics[["file", "event", "timestamp"]].tolist() == [(0, 0, 0), (0, 1, 10), (1, 2, 20)]


def test_items_of_unknown_types_are_counted_and_dummies_are_not(tmp_path: Path) -> None:
    index = index_evt([write(tmp_path, ring_item(12, b""), ring_item(77, b"abcd"), ring_item(31, bytes(8)), event(0))])

    assert (dict(index.notes.skipped), len(index.physics)) == ({77: 1}, 1)


def test_two_runs_in_the_files_are_told_apart(tmp_path: Path) -> None:
    items = [begin_item(5, 1, "a"), event(0), event(1), end_item(5, 2, 1), begin_item(6, 3, "b"), event(0)]

    index = index_evt([write(tmp_path, *items)])

    assert index.physics["recording"].tolist() == [0, 0, 1]
    assert [run.run for run in index.recordings] == [5, 6]


@pytest.mark.parametrize("kept, events", [(5, 1), (20, 1), (40, 2)], ids=["in the size", "in the header", "in the body"])
def test_a_file_cut_short_keeps_its_whole_items_and_what_is_left_of_an_event(tmp_path: Path, kept: int, events: int) -> None:
    path = write(tmp_path, begin_item(5, 1, "a"), event(0), event(1)[:kept])

    index = index_evt([path])

    assert index.physics["event"].tolist() == list(range(events))
    assert (index.notes.truncated, index.notes.lost_bytes) == (1, kept)


def test_an_item_of_an_impossible_size_ends_its_file_and_not_the_next(tmp_path: Path) -> None:
    paths = [write(tmp_path, event(0), b"\xff" * 100), write(tmp_path, event(1), name="run-0005-01.evt")]

    index = index_evt(paths)

    assert index.physics["event"].tolist() == [0, 1]
    assert (index.notes.truncated, index.notes.lost_bytes) == (1, 100)


def test_a_scaler_record_without_its_header_is_counted(tmp_path: Path) -> None:
    index = index_evt([write(tmp_path, ring_item(20, bytes(8)), scaler_item(0, 2, 3, WORDS))])

    assert (index.notes.truncated, len(index.scalers)) == (1, 1)
