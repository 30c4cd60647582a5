"""GET events and physics items of the crate are paired by number or order, and their clocks tell which."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.formats.get._index import GetIndex
from penstock.formats.get._pairing import pair_events
from penstock.formats.get._ring import PHYSICS

TICKS = 100


def get_events(numbers: list[int], clock: list[int], recording: list[int] | None = None) -> GetIndex:
    n = len(numbers)
    nothing = np.zeros(n, np.int64)
    return GetIndex(
        frames=np.zeros(0, np.int8),
        offsets=np.zeros(n + 1, np.int64),
        event=np.array(numbers),
        recording=nothing if recording is None else np.array(recording),
        timestamp=nothing,
        timestamp_other=np.array(clock),
        boards=np.zeros((0, 2), np.int16),
        missing=nothing,
        missing_of_board=nothing,
        counts={},
    )


def items(numbers: list[int], clock: list[int], recording: list[int] | None = None) -> np.ndarray:
    rows = np.zeros(len(numbers), PHYSICS)
    rows["event"], rows["timestamp"] = numbers, np.array(clock) % (1 << 32)
    rows["recording"] = 0 if recording is None else recording
    return rows


def random_times(n: int, seed: int = 1) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).integers(100_000, 5_000_000, n)) * TICKS


TIMES = random_times(30)
ALL = list(range(30))


def clocks(rows: list[int]) -> list[int]:
    return [int(TIMES[row]) for row in rows]


def crate(rows: list[int], offset: int = 0) -> list[int]:
    return [int(TIMES[row]) // TICKS + offset for row in rows]


def test_equal_numbers_are_paired() -> None:
    found, counts = pair_events(get_events(ALL, clocks(ALL)), items(ALL, crate(ALL)))

    assert found.tolist() == ALL
    assert counts == {"events_without_crate": 0, "crate_without_event": 0, "unlike_clocks": 0}


@pytest.mark.parametrize("clock", [True, False], ids=["with clocks", "without"])
def test_an_event_that_get_lost_shifts_nothing(clock: bool) -> None:
    there = [n for n in ALL if n not in (4, 17)]
    ours = clocks(there) if clock else [0] * len(there)

    found, counts = pair_events(get_events(there, ours), items(ALL, crate(ALL)))

    assert found.tolist() == there
    assert counts["crate_without_event"] == 2


def test_numbers_that_begin_elsewhere_are_paired() -> None:
    found, counts = pair_events(get_events(ALL, clocks(ALL)), items([n + 1 for n in ALL], crate(ALL)))

    assert (found.tolist(), counts["unlike_clocks"]) == (ALL, 0)


def test_where_numbers_contradict_the_clocks_the_order_counts_as_in_mergers() -> None:
    there = [n for n in ALL if n != 9]

    found, counts = pair_events(get_events(there, clocks(there)), items(list(range(29)), crate(there)))

    assert (found.tolist(), counts["unlike_clocks"]) == (list(range(29)), 0)


def test_a_crate_clock_that_overflows_is_followed() -> None:
    _, counts = pair_events(get_events(ALL, clocks(ALL)), items(ALL, crate(ALL, (1 << 32) - 20_000_000)))

    assert counts["unlike_clocks"] == 0


def test_an_event_whose_clocks_disagree_is_counted() -> None:
    theirs = crate(ALL)
    theirs[12:] = [t + 3_000_000 for t in theirs[12:]]

    found, counts = pair_events(get_events(ALL, clocks(ALL)), items(ALL, theirs))

    assert (found.tolist(), counts["unlike_clocks"]) == (ALL, 1)


def test_events_after_the_end_of_the_crates_file_have_none() -> None:
    found, counts = pair_events(get_events(ALL, clocks(ALL)), items(ALL[:20], crate(ALL[:20])))

    assert found.tolist() == [*range(20), *[-1] * 10]
    assert counts["events_without_crate"] == 10


def test_runs_of_both_sides_are_paired_one_by_one() -> None:
    numbers, recording = [*range(5), *range(5)], [0] * 5 + [1] * 5

    found, _ = pair_events(get_events(numbers, clocks(ALL[:10]), recording), items(numbers[:8], crate(ALL[:8]), recording[:8]))

    assert found.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, -1, -1]


def test_without_a_crate_there_is_nothing_to_pair() -> None:
    found, counts = pair_events(get_events([0, 1], [0, 0]), items([], []))

    assert (found.tolist(), counts["events_without_crate"]) == ([-1, -1], 2)
