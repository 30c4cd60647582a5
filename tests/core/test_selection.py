from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import ConfigError
from penstock.core.selection import EventSelection, RunRange, spans


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("94-97,100", [94, 95, 96, 97, 100]),
        ("94-97,!95", [94, 96, 97]),
        ("!95-96, 94-97", [94, 97]),
        ("7,7,3", [3, 7]),
        ("all", [1, 2, 5]),
        ("last:2", [2, 5]),
        ("all,!2", [1, 5]),
        ("last:9", [1, 2, 5]),
    ],
)
def test_a_run_range_expands_to_sorted_numbers(text: str, runs: list[int]) -> None:
    assert RunRange(text).expand([5, 1, 2]) == runs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9-4", "run range '9-4': '9-4' ends before it begins. Write 4-9."),
        ("a-b", "run range 'a-b': 'a-b' is not understood. Write for example 94-110,115,!100 or last:50 or all."),
        ("", "run range '': '' is not understood. Write for example 94-110,115,!100 or last:50 or all."),
        ("1-99999999999", "run range '1-99999999999': '1-99999999999' holds more than 1000000 runs."),
    ],
    ids=["backwards", "words", "empty", "endless"],
)
def test_a_wrong_run_range_is_refused_when_it_is_made(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        RunRange(text)


@given(st.sets(st.integers(0, 3000), min_size=1))
def test_spans_and_run_ranges_are_inverse(runs: set[int]) -> None:
    assert RunRange(spans(sorted(runs))).expand(()) == sorted(runs)


@pytest.mark.parametrize(("text", "fixed"), [("94-110,!100", True), ("all", False), ("3,last:2", False)])
def test_a_range_of_numbers_alone_is_fixed(text: str, fixed: bool) -> None:
    assert RunRange(text).is_fixed is fixed


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("0:3", [0, 1, 2]),
        ("first:3", [0, 1, 2]),
        ("every:4", [0, 4, 8]),
        ("2:9:3", [2, 5, 8]),
        ("8:", [8, 9]),
        (":2", [0, 1]),
        ("8:500", [8, 9]),
        ("20:30", []),
    ],
)
def test_an_event_selection_names_positions(text: str, positions: list[int]) -> None:
    assert list(EventSelection.parse(text).positions(10)) == positions


def test_two_ways_to_write_a_selection_are_the_same_selection() -> None:
    assert EventSelection.parse("first:500") == EventSelection.parse("0:500")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("some", "event selection 'some' is not understood. Write 0:500, first:100 or every:10."),
        ("5:5", "event selection '5:5' selects no event."),
        ("every:0", "event selection 'every:0' selects no event."),
        ("first:0", "event selection 'first:0' selects no event."),
    ],
)
def test_a_wrong_event_selection_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        EventSelection.parse(text)


@given(st.integers(0, 50), st.none() | st.integers(51, 90), st.integers(1, 9))
def test_the_text_of_a_selection_reads_back_as_the_same_selection(start: int, stop: int | None, step: int) -> None:
    selection = EventSelection(start, stop, step)

    assert EventSelection.parse(str(selection)) == selection


def test_spans_join_neighbours() -> None:
    assert spans([94, 95, 96, 98]) == "94-96, 98"
