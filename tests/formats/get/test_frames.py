"""Frames are found one after the other, whatever else a file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from penstock.formats.get._frames import walk_frames
from penstock.simulate.get_frames import encode_frame, encode_header

BOARD = (3, 1)
CHANNELS = np.array([(1, 7)])
SAMPLES = np.arange(512, dtype=np.int16)[None]


def frame(event: int, board: tuple[int, int] = BOARD) -> bytes:
    return encode_frame(board, event, 100 * event, CHANNELS, SAMPLES)


def write(folder: Path, *parts: bytes, name: str = "CoBo3_AsAd1_0000.graw") -> Path:
    path = folder / name
    path.write_bytes(b"".join(parts))
    return path


def test_frames_stand_in_the_order_of_the_file_with_their_board_event_and_time(tmp_path: Path) -> None:
    frames, notes = walk_frames(write(tmp_path, frame(7), frame(8)), 4)

    assert frames[["file", "event", "time", "cobo", "asad", "items"]].tolist() == [(4, 7, 700, 3, 1, 512), (4, 8, 800, 3, 1, 512)]
    assert frames["offset"].tolist() == [0, 256 + 2048]
    assert not any((notes.refused, notes.truncated, notes.gaps, notes.lost_bytes, notes.skipped))


@pytest.mark.parametrize("time", [0, 1, (1 << 48) - 1])
def test_times_of_48_bits_are_read_whole(tmp_path: Path, time: int) -> None:
    frames, _ = walk_frames(write(tmp_path, encode_header(BOARD, (1 << 32) - 1, time, 1, 4, 0)), 0)

    assert frames[["time", "event", "items"]].tolist() == [(time, (1 << 32) - 1, 0)]


def test_a_frame_with_the_byte_order_turned_is_read_the_same(tmp_path: Path) -> None:
    big = frame(258)
    little = bytearray(big)
    little[0] |= 0x80
    for start, stop in ((1, 4), (5, 7), (8, 10), (10, 12), (12, 16), (16, 22), (22, 26)):
        little[start:stop] = big[start:stop][::-1]

    frames, _ = walk_frames(write(tmp_path, big, bytes(little)), 0)

    assert frames["little"].tolist() == [False, True]
    assert len(np.unique(frames[["size", "kind", "header", "items", "time", "event", "cobo", "asad"]])) == 1


def test_an_old_frame_counts_in_blocks_of_64_bytes_and_its_file_names_the_board(tmp_path: Path) -> None:
    old = bytearray(frame(9, board=(0, 1)))
    old[0], old[1:4], old[7], old[8:10] = 6, (len(old) // 64).to_bytes(3, "big"), 4, (4).to_bytes(2, "big")

    frames, _ = walk_frames(write(tmp_path, bytes(old), bytes(old)), 0)

    assert frames[["cobo", "asad", "header", "items"]].tolist() == [(3, 1, 256, 512)] * 2


def topology(size_64: int = 1) -> bytes:
    head = bytes([0x46]) + size_64.to_bytes(3, "big") + b"\0" + (7).to_bytes(2, "big") + b"\0"
    return head + bytes([3, 0xF, 0]) + bytes(64 * size_64 - 11)


def test_frames_without_samples_are_counted_and_skipped(tmp_path: Path) -> None:
    merged = encode_header(BOARD, 0, 0, 0xFF01, 4, 64) + bytes(256)

    frames, notes = walk_frames(write(tmp_path, topology(), frame(0), merged, frame(1), topology()), 0)

    assert frames["event"].tolist() == [0, 1]
    assert dict(notes.skipped) == {7: 2, 0xFF01: 1}
    assert notes.gaps == 0


@pytest.mark.parametrize("kept", [1, 27, 28, 256, 1000], ids=lambda n: f"{n} bytes")
def test_a_last_frame_that_is_cut_is_counted_and_those_before_it_stay(tmp_path: Path, kept: int) -> None:
    frames, notes = walk_frames(write(tmp_path, frame(0), frame(1)[:kept]), 0)

    assert frames["event"].tolist() == [0]
    assert (notes.truncated, notes.gaps, notes.lost_bytes) == (1, 0, kept)


@pytest.mark.parametrize(
    "garbage", [b"\0" * 300, bytes(range(1, 256)) * 5, b"\x08\0\0\x02" + b"\xff" * 600], ids=["zeros", "bytes", "half a header"]
)
def test_after_bytes_that_are_no_frame_the_next_one_is_found(tmp_path: Path, garbage: bytes) -> None:
    frames, notes = walk_frames(write(tmp_path, frame(0), garbage, frame(1)), 0)

    assert frames["event"].tolist() == [0, 1]
    assert (notes.gaps, notes.lost_bytes, notes.truncated) == (1, len(garbage), 0)


def test_a_frame_whose_size_is_wrong_does_not_swallow_the_next(tmp_path: Path) -> None:
    spoiled = bytearray(frame(1))
    spoiled[1:4] = (500).to_bytes(3, "big")

    frames, notes = walk_frames(write(tmp_path, frame(0), bytes(spoiled), frame(2), frame(3)), 0)

    assert frames["event"].tolist() == [0, 2, 3]
    assert notes.gaps == 1


def test_a_frame_whose_items_have_another_size_than_its_type_says_is_refused(tmp_path: Path) -> None:
    spoiled = bytearray(frame(1))
    spoiled[10:12] = (2).to_bytes(2, "big")

    frames, notes = walk_frames(write(tmp_path, frame(0), bytes(spoiled), frame(2)), 0)

    assert frames["event"].tolist() == [0, 2]
    assert notes.refused == 1


@pytest.mark.parametrize("count", [0, 100, 5000])
def test_a_number_of_items_that_does_not_fit_the_size_is_replaced_by_the_room_there_is(tmp_path: Path, count: int) -> None:
    spoiled = bytearray(frame(1))
    spoiled[12:16] = count.to_bytes(4, "big")

    frames, _ = walk_frames(write(tmp_path, frame(0), bytes(spoiled), frame(2)), 0)

    assert frames[["items", "repaired"]].tolist() == [(512, False), (512, True), (512, False)]


def test_an_empty_file_has_no_frames(tmp_path: Path) -> None:
    frames, notes = walk_frames(write(tmp_path), 0)

    assert (len(frames), notes.lost_bytes) == (0, 0)
