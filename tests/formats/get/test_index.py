"""Events are built from frames in whatever order, and what is missing or too much is counted."""

from __future__ import annotations

import numpy as np
import pytest

A, B, OTHER = (0, 0), (1, 3), (10, 0)


def counts(run) -> dict[str, int]:
    return {name: number for name, number in run.notes().items() if number and name not in ("frames", "recordings", "events_without_crate")}


def test_events_of_several_boards_and_files_come_together(daq) -> None:
    for board in (A, B, OTHER):
        daq.write(f"CoBo{board[0]}_AsAd{board[1]}_x_0000.graw", *(daq.frame(board, event) for event in range(2)))
        daq.write(f"CoBo{board[0]}_AsAd{board[1]}_x_0001.graw", daq.frame(board, 2))

    with daq.open() as run:
        traces = run.read(0, 3)

        assert (run.number, run.n_events, run.boards.tolist()) == (5, 3, [[0, 0], [1, 3], [10, 0]])
        assert counts(run) == {}
    assert traces["events"]["get_event"].tolist() == [0, 1, 2]
    assert traces["events"]["timestamp"].tolist() == [1_000_000, 2_000_000, 3_000_000]
    assert traces["pads"]["cobo"].tolist() == [0, 0, 1, 1, 10, 10] * 3
    assert traces["pads"]["channel"].tolist() == [4, 11] * 9


def test_one_file_with_all_boards_interleaved_gives_the_same_events_as_a_file_a_board(daq) -> None:
    frames = [daq.frame(board, event) for event in range(4) for board in (A, B)]
    daq.write("CoBo_AsAd0_x_0000.graw", *frames)
    with daq.open() as run:
        together = run.read(0, 4)
    daq.paths.clear()
    daq.write("CoBo0_AsAd0_x_0000.graw", *frames[::2])
    daq.write("CoBo1_AsAd3_x_0000.graw", *frames[1::2])

    with daq.open() as run:
        apart = run.read(0, 4)

    np.testing.assert_array_equal(together.pad_samples, apart.pad_samples)
    np.testing.assert_array_equal(together.offsets["pads"], apart.offsets["pads"])


def test_frames_out_of_order_find_their_event_and_are_counted(daq) -> None:
    order = [0, 2, 1, 3, 6, 4, 5]
    daq.write("CoBo0_AsAd0_x_0000.graw", *(daq.frame(A, event) for event in order))
    daq.write("CoBo1_AsAd3_x_0000.graw", *(daq.frame(B, event) for event in range(7)))

    with daq.open() as run:
        traces = run.read(0, 7)

        assert counts(run) == {"late_frames": 3}
    assert traces["events"]["get_event"].tolist() == list(range(7))
    np.testing.assert_array_equal(traces.pad_samples[4:6], daq.samples(A, 1, 2_000_000))


def test_repeated_frames_are_one_and_are_counted(daq) -> None:
    daq.write("CoBo0_AsAd0_x_0000.graw", *(daq.frame(A, event) for event in (0, 1, 1, 2, 0)))

    with daq.open() as run:
        traces = run.read(0, 3)

        assert (run.n_events, counts(run)) == (3, {"repeated_frames": 2})
    assert len(traces.pad_samples) == 6


@pytest.mark.parametrize("clock", [0, 90_000_000], ids=["clock starts anew", "clock goes on"])
def test_two_runs_in_one_file_stay_apart(daq, clock: int) -> None:
    for board in (A, B):
        first = [daq.frame(board, event) for event in range(5)]
        second = [daq.frame(board, event, clock + 1_000_007 * (event + 1)) for event in range(8)]
        daq.write(f"CoBo{board[0]}_AsAd{board[1]}_x_0000.graw", *first, *second)

    with daq.open() as run:
        traces = run.read(0, run.n_events)

        assert run.n_events == 13
        assert run.notes()["recordings"] == 2
        assert counts(run) == {}
    assert traces["events"]["get_event"].tolist() == [*range(5), *range(8)]
    assert traces["events"]["event"].tolist() == list(range(13))
    np.testing.assert_array_equal(traces.pad_samples[20:22], daq.samples(A, 0, clock + 1_000_007))


def test_a_board_that_missed_the_first_of_two_runs_is_told_by_its_times(daq) -> None:
    second = {board: [daq.frame(board, event, 50_000_000 + 7 * event) for event in range(4)] for board in (A, B)}
    daq.write("CoBo0_AsAd0_x_0000.graw", *(daq.frame(A, event) for event in range(4)), *second[A])
    daq.write("CoBo1_AsAd3_x_0000.graw", *second[B])

    with daq.open() as run:
        traces = run.read(0, 8)

        assert counts(run) == {}
    assert np.diff(traces.offsets["pads"]).tolist() == [2] * 4 + [4] * 4


def test_a_board_that_events_lack_is_counted_and_named_and_the_events_stay(daq) -> None:
    daq.write("CoBo0_AsAd0_x_0000.graw", *(daq.frame(A, event) for event in range(4)))
    daq.write("CoBo1_AsAd3_x_0000.graw", *(daq.frame(B, event) for event in (0, 3)))

    with daq.open() as run:
        traces = run.read(0, 4)

        assert counts(run) == {"incomplete_events": 2}
        assert [run.missing_boards(position) for position in range(4)] == [[], [B], [B], []]
        assert run.missing_frames() == {A: 0, B: 2}
    assert np.diff(traces.offsets["pads"]).tolist() == [4, 2, 2, 4]


def test_the_crates_clock_is_that_of_cobo_10_and_the_other_that_of_most_boards(daq) -> None:
    for board, time in ((A, 500), (B, 700), ((2, 0), 700), (OTHER, 999)):
        daq.write(f"CoBo{board[0]}_AsAd{board[1]}_x_0000.graw", daq.frame(board, 0, time))

    with daq.open() as run:
        events = run.read(0, 1)["events"]

        assert counts(run) == {"events_with_unlike_times": 1}
    assert (events["timestamp"].tolist(), events["timestamp_other"].tolist()) == ([700], [999])
