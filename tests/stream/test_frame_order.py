from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toypackets import alone, build, series

from penstock.stream.build import EventBuilder


@pytest.mark.parametrize(
    ("texts", "found", "counts"),
    [
        (["start", "f0", "f1", "f1 again", "f2", "end"], ["start", "f0", "f1", "f2", "end"], {"duplicate": 1}),
        (["start", "f0", "f1", "f2", "f1 again", "f3", "end"], ["start", "f0", "f1", "f2", "f3", "end"], {"duplicate": 1}),
        (["start", "f0", "f1", "f2", "f0 again", "f1 again", "f3", "end"], ["start", "f0", "f1", "f2", "f3", "end"], {"duplicate": 2}),
        (["start", "f0", "f1", "f0 again", "end"], ["start", "f0", "f1", "end"], {"duplicate": 1}),
        (["start", "start", "f0", "end"], ["start", "f0", "end"], {"duplicate": 1}),
        (
            ["start", "f0", "f2", "f1", "f3", "end"],
            ["start", "f0", None, "f2", "f3", "end"],
            {"lost": 1, "late": 1, "missing": 1},
        ),
        (["start", "f0", "f9000", "f1", "f2", "end"], ["start", "f0", "f1", "f2", "end"], {"stray": 1}),
        (["start", "f0", "f-1", "f1", "end"], ["start", "f0", "f1", "end"], {"stray": 1}),
        (["f7", "end", "start", "f0", "end", "f1", "end"], ["start", "f0", "end"], {"junk": 4}),
    ],
    ids=["again", "again later", "two again", "again before the end", "start again", "late", "far ahead", "negative", "outside"],
)
def test_what_does_not_fit_is_left_out_and_counted(texts: list[str], found: list[str | None], counts: dict[str, int]) -> None:
    assert alone(texts) == (found, counts)


@pytest.mark.parametrize(
    "second",
    [["f0 2nd", "f1 2nd", "f2 2nd", "f3 2nd"], ["f0 2nd", "f1 2nd"], ["f0 2nd", "f1 2nd", "f2 2nd", "f3 2nd", "f4 2nd", "f5 2nd"]],
    ids=["as long", "shorter", "longer"],
)
def test_numbers_that_begin_anew_go_on_behind_the_last(second: list[str]) -> None:
    texts = ["start", "f0", "f1", "f2", "f3", *second, "end"]

    assert alone(texts) == (texts, {"restart": 1})


def test_numbers_may_begin_anew_many_times() -> None:
    texts = ["start", *(f"f{k} {arm}" for arm in range(5) for k in range(3)), "end"]

    assert alone(texts) == (texts, {"restart": 4})


def test_a_frame_lost_where_the_numbers_begin_anew_shifts_nothing() -> None:
    texts = ["start", "f0", "f1", "f2", "f3", "f1 2nd", "f2 2nd", "f3 2nd", "end"]

    found, counts = alone(texts)

    assert found == ["start", "f0", "f1", "f2", "f3", None, "f1 2nd", "f2 2nd", "f3 2nd", "end"]
    assert counts == {"restart": 1, "lost": 1, "missing": 1}


def test_a_frame_lost_at_the_end_of_a_later_turn_shifts_nothing() -> None:
    arms = [[f"f{k} {arm}" for k in range(4)] for arm in range(3)]

    found, counts = alone(["start", *arms[0], *arms[1][:3], *arms[2], "end"])

    assert found == ["start", *arms[0], *arms[1][:3], None, *arms[2], "end"]
    assert counts == {"restart": 2, "missing": 1}


def test_a_real_jump_ahead_is_believed_when_frames_go_on_from_there() -> None:
    builder = EventBuilder(["a"], window=10)

    events = build(builder, a=series([0, 1, 500, 501, 502]))

    assert sorted(events) == [0, 1, 2, 501, 502, 503, 504]
    assert builder.report.streams["a"].counts == {"lost": 498, "missing": 498}
    assert builder.report.n_empty == 498


@given(st.integers(3, 12), st.data())
@settings(max_examples=100, deadline=None)
def test_single_messages_that_come_again_change_no_event(n_frames: int, data: st.DataObject) -> None:
    texts = series(range(n_frames))
    again = data.draw(st.lists(st.integers(1, n_frames), unique=True, max_size=n_frames))
    noisy = list(texts)
    for place in sorted(again, reverse=True):
        noisy.insert(place + 1, texts[data.draw(st.integers(1, place))] + " again")

    found, counts = alone(noisy)

    assert found == texts
    assert counts == ({"duplicate": len(again)} if again else {})
