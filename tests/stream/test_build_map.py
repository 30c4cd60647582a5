from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from toypackets import build, feed, packet, series

from penstock.stream.build import EventBuilder
from penstock.stream.trigger_map import TriggerMap, VirtualWorker


def slow_map() -> TriggerMap:
    worker = (VirtualWorker(0),)
    part = {"a": [worker, worker, worker, (), worker, worker], "slow": [None, worker, None, worker, None, None]}
    return TriggerMap({"scan": part}, ["scan"]).wrapped()


def test_with_a_map_a_frame_belongs_to_the_event_in_which_its_stream_has_that_many_cells() -> None:
    builder = EventBuilder(["a", "slow"], trigger_map=slow_map())

    events = build(builder, a=series(range(6)), slow=series(range(2)))

    assert events[0] == {"a": "start", "slow": "start"}
    assert [events[n] for n in range(1, 7)] == [
        {"a": "f0"},
        {"a": "f1", "slow": "f0"},
        {"a": "f2"},
        {"slow": "f1"},
        {"a": "f4"},
        {"a": "f5"},
    ]
    assert events[7] == {"a": "end", "slow": "end"}
    assert builder.report.n_incomplete == 0


def test_with_a_map_a_lost_frame_of_a_slow_stream_shifts_nothing() -> None:
    builder = EventBuilder(["a", "slow"], trigger_map=slow_map())

    events = build(builder, a=series(range(6)), slow=series([1]))

    assert (events[2], events[4]) == ({"a": "f1"}, {"slow": "f1"})
    assert builder.report.incomplete == [(2, ("slow",))]


def test_frames_beyond_the_map_are_left_out_and_counted() -> None:
    builder = EventBuilder(["a"], trigger_map=TriggerMap.uniform(["a"], 2))

    events = build(builder, a=[*series(range(5)), *series(range(2))])

    assert [events[n]["a"] for n in range(4)] == ["start", "f0", "f1", "end"]
    assert builder.report.streams["a"].counts == {"beyond": 7}


def test_a_scan_that_ends_before_its_map_gives_its_end_to_the_last_event() -> None:
    builder = EventBuilder(["a"], trigger_map=TriggerMap.uniform(["a"], 5))

    events = build(builder, a=series(range(2)))

    assert sorted(events) == [0, 1, 2, 6]
    assert (builder.report.n_events, builder.report.n_empty) == (4, 3)


def test_a_map_may_hold_several_starts_of_one_stream() -> None:
    worker = (VirtualWorker(0),)
    part = {"arms": [worker] * 5, "a": [worker, None, None, worker, worker]}
    builder = EventBuilder(["arms", "a"], trigger_map=TriggerMap({"scan": part}, ["scan"]).wrapped(), multi_arm=True)
    arms = ["start", "f0", "end", "start 2", "f0 2", "f1 2", "end 2"]

    events = build(builder, arms=arms, a=series(range(3)))

    assert [events[n]["arms"] for n in range(7)] == arms
    assert [events[n].get("a") for n in range(7)] == ["start", "f0", None, None, "f1", "f2", "end"]


@st.composite
def maps(draw: st.DrawFn) -> TriggerMap:
    names = draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True))
    parts = {}
    for part in ("p", "q"):
        length = draw(st.integers(0, 4))
        cells = st.sampled_from([None, (), (VirtualWorker(0),)])
        parts[part] = {name: draw(st.lists(cells, min_size=length, max_size=length)) for name in names}
    return TriggerMap(parts, draw(st.lists(st.sampled_from("pq"), max_size=6)))


@given(maps(), st.booleans(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_building_with_a_map_equals_taking_frames_as_the_map_says(trigger_map: TriggerMap, wrapped: bool, rng: random.Random) -> None:
    trigger_map = trigger_map.wrapped() if wrapped else trigger_map
    names = ["other", *trigger_map.streams]
    texts = {name: ["start", *(f"f{k}" for k in range(trigger_map.n_frames(name) - 1))] for name in trigger_map.streams}
    texts = {name: [*column[:-1], "end"] if wrapped else column[: trigger_map.n_frames(name)] for name, column in texts.items()}
    turns = [name for name, column in texts.items() for _ in column]
    unread = {name: iter(column) for name, column in texts.items()}
    rng.shuffle(turns)
    builder = EventBuilder(names, trigger_map=trigger_map)

    found = feed(builder, [(name, next(unread[name])) for name in turns])

    assert found == list(trigger_map.apply({name: [packet(text).data for text in column] for name, column in texts.items()}))
    assert builder.report.n_incomplete == 0
