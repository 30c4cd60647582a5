from __future__ import annotations

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from toypackets import build, contents, feed, packet, series

from penstock.core.errors import ConfigError
from penstock.stream.build import EventBuilder
from penstock.stream.models import EventData
from penstock.stream.trigger_map import TriggerMap


def test_start_is_event_0_frame_k_is_event_k_plus_1_and_the_end_is_last() -> None:
    builder = EventBuilder(["a", "b"])

    events = build(builder, a=series([0, 1]), b=series([0, 1]))

    assert events == {0: {"a": "start", "b": "start"}, 1: {"a": "f0", "b": "f0"}, 2: {"a": "f1", "b": "f1"}, 3: {"a": "end", "b": "end"}}
    assert builder.report.lines() == ["4 events, 0 incomplete, 0 of them without any stream", "a: 4 taken", "b: 4 taken"]


def test_an_event_is_given_out_as_soon_as_all_streams_gave_their_part() -> None:
    builder = EventBuilder(["a", "b"])

    given_out = [
        [event.event_number for event in builder.feed(*fed)]
        for fed in (("a", packet("start")), ("a", packet("f0")), ("b", packet("start")))
    ]

    assert given_out == [[], [], [0]]


def test_an_event_is_not_waited_for_by_a_stream_that_has_moved_on() -> None:
    builder = EventBuilder(["a", "b"])
    feed_open = [("a", "start"), ("b", "start"), ("a", "f0"), ("b", "f1")]

    given_out = [[event.event_number for event in builder.feed(stream, packet(text))] for stream, text in feed_open]

    assert given_out == [[], [0], [], [1]]


def test_a_lost_message_makes_one_incomplete_event_and_shifts_nothing() -> None:
    builder = EventBuilder(["a", "b"])

    events = build(builder, a=series([0, 1, 2, 3]), b=series([0, 1, 3]))

    assert events[3] == {"a": "f2"}
    assert events[4] == {"a": "f3", "b": "f3"}
    assert events[5] == {"a": "end", "b": "end"}
    assert builder.report.incomplete == [(3, ("b",))]
    assert builder.report.streams["b"].counts == {"lost": 1, "missing": 1}
    assert builder.report.lines() == [
        "6 events, 1 incomplete, 0 of them without any stream",
        "a: 6 taken",
        "b: 5 taken, 1 lost (first: 2), 1 missing (first: 3)",
    ]


def test_last_frames_that_one_stream_lost_leave_the_ends_together() -> None:
    builder = EventBuilder(["a", "b"])

    events = build(builder, a=series([0, 1, 2]), b=series([0]))

    assert events[4] == {"a": "end", "b": "end"}
    assert builder.report.incomplete == [(2, ("b",)), (3, ("b",))]


def test_a_frame_that_all_streams_lost_leaves_its_number_free_and_is_counted() -> None:
    builder = EventBuilder(["a", "b"])

    events = build(builder, a=series([0, 2]), b=series([0, 2]))

    assert sorted(events) == [0, 1, 3, 4]
    assert (builder.report.n_events, builder.report.n_incomplete, builder.report.n_empty) == (4, 1, 1)
    assert builder.report.incomplete == [(2, ("a", "b"))]


def test_streams_without_frame_numbers_are_joined_by_count() -> None:
    events = build(EventBuilder(["a", "b"]), a=series([0, 1]), b=["start", "one", "two", "end"])

    assert events[2] == {"a": "f1", "b": "two"}


def test_frame_numbers_that_say_nothing_can_be_left_aside() -> None:
    events = build(EventBuilder(["a", "b"], by_count=["a"]), a=series([0, 0, 0]), b=series([0, 1, 2]))

    assert [events[n] for n in (2, 3)] == [{"a": "f0", "b": "f1"}, {"a": "f0", "b": "f2"}]


def test_a_message_that_could_not_be_read_keeps_its_place_in_a_stream_without_numbers() -> None:
    builder = EventBuilder(["a"])

    builder.skip("a", "before the start")
    feed_open = [event for text in ("start", "one") for event in builder.feed("a", packet(text))]
    builder.skip("a", "no JSON")
    events = contents(feed_open + feed(builder, [("a", "three"), ("a", "end")]))

    assert events == {0: {"a": "start"}, 1: {"a": "one"}, 3: {"a": "three"}, 4: {"a": "end"}}
    assert builder.report.streams["a"].first["damaged"] == "before the start"
    assert builder.report.streams["a"].counts == {"damaged": 2, "lost": 1, "missing": 1}


def test_a_second_series_is_a_run_of_its_own() -> None:
    builder = EventBuilder(["a", "b"])
    twice = ["start", "f0", "end", "start 2", "f0 2", "f1 2", "end 2"]

    events = feed(builder, [("a", text) for text in twice] + [("b", text) for text in twice])

    assert [event.event_number for event in events] == [0, 1, 2, 0, 1, 2, 3]
    assert contents(events[3:])[1] == {"a": "f0 2", "b": "f0 2"}
    assert builder.report.n_incomplete == 0


def test_a_second_series_may_continue_the_run() -> None:
    twice = ["start", "f0", "end", "start 2", "f0 2", "f1 2", "end 2"]

    events = build(EventBuilder(["a", "b"], multi_arm=True), a=twice, b=twice)

    assert [events[n]["a"] for n in range(7)] == twice
    assert [events[n]["b"] for n in range(7)] == twice


def test_a_start_ends_a_series_whose_end_was_lost() -> None:
    builder = EventBuilder(["a", "b"])
    whole = ["start", "f0", "end", "start 2", "f0 2", "end 2"]

    events = feed(builder, [("a", text) for text in whole] + [("b", text) for text in whole if text != "end"])

    assert [(event.event_number, len(event.streams)) for event in events] == [(0, 2), (1, 2), (2, 1), (0, 2), (1, 2), (2, 2)]
    assert builder.report.incomplete == [(2, ("b",))]


def test_no_more_events_are_open_than_the_window_allows() -> None:
    builder = EventBuilder(["a", "b"], window=3)

    ahead = [event.event_number for text in series(range(6)) for event in builder.feed("a", packet(text))]
    behind = contents(feed(builder, [("b", text) for text in series(range(6))]))

    assert ahead == [0, 1, 2, 3, 4]
    assert behind == {5: {"a": "f4", "b": "f4"}, 6: {"a": "f5", "b": "f5"}, 7: {"a": "end", "b": "end"}}
    assert builder.report.streams["b"].counts == {"missing": 5, "late": 5}
    assert builder.report.n_incomplete == 5


def test_closing_gives_what_is_open_and_what_was_held() -> None:
    builder = EventBuilder(["a", "b"])
    restarted = ["start", "f0", "f1", "f2", "f0 2nd", "f1 2nd"]

    events = contents(feed(builder, [("a", text) for text in restarted] + [("b", "start")]))

    assert [events[n]["a"] for n in range(6)] == restarted
    assert builder.report.streams["b"].counts == {"missing": 5}


def test_the_report_can_be_told_as_plain_values() -> None:
    builder = EventBuilder(["a", "b"])

    build(builder, a=series([0, 1]), b=series([1]))

    assert builder.report.as_json() == {
        "events": 4,
        "incomplete": 1,
        "empty": 0,
        "first_incomplete": [{"event": 1, "missing": ["b"]}],
        "streams": {
            "a": {"taken": 4, "first": {}, "skipped": {}},
            "b": {"taken": 3, "lost": 1, "missing": 1, "first": {"lost": 0, "missing": 1}, "skipped": {}},
        },
    }


def test_wrong_requests_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"needs streams with different names, got 'a', 'a'\."):
        EventBuilder(["a", "a"])
    with pytest.raises(ConfigError, match=r"needs streams with different names, got none\."):
        EventBuilder([])
    with pytest.raises(ConfigError, match=r"window is 0, at least 1 event has to be open\."):
        EventBuilder(["a"], window=0)
    with pytest.raises(ConfigError, match=r"there is no stream 'eigr', there are 'eiger'\. Did you mean 'eiger'\?"):
        EventBuilder(["eiger"], by_count=["eigr"])
    with pytest.raises(ConfigError, match=r"there is no stream 'b', there are 'a'\."):
        EventBuilder(["a"]).feed("b", packet("start"))
    with pytest.raises(ConfigError, match=r"streams 'a', 'slow' are not available, there are 'b'\."):
        EventBuilder(["b"], trigger_map=TriggerMap({"scan": {"a": [None], "slow": [()]}}, ["scan"]))


streams_of_frames = st.lists(
    st.lists(st.integers(0, 12), max_size=10).map(lambda frames: ["start", *(f"f{k} {i}" for i, k in enumerate(frames)), "end"]),
    min_size=1,
    max_size=3,
)


@given(streams_of_frames, st.booleans(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_any_interleaving_gives_the_same_events(texts: list[list[str]], twice: bool, rng: random.Random) -> None:
    names = [f"s{i}" for i in range(len(texts))]
    texts = [one + [f"{text} 2nd" for text in one] for one in texts] if twice else texts
    turns = [name for name, one in zip(names, texts, strict=True) for _ in one]
    shuffled = rng.sample(turns, len(turns))
    unread = {name: iter(one) for name, one in zip(names, texts, strict=True)}
    one_after_the_other, interleaved = EventBuilder(names), EventBuilder(names)

    expected = feed(one_after_the_other, [(name, text) for name, one in zip(names, texts, strict=True) for text in one])
    found = feed(interleaved, [(name, next(unread[name])) for name in shuffled])

    assert found == expected
    assert interleaved.report == one_after_the_other.report


@given(st.integers(1, 12), st.integers(1, 3), st.data())
@settings(max_examples=100, deadline=None)
def test_one_lost_message_makes_exactly_one_incomplete_event(n_frames: int, n_streams: int, data: st.DataObject) -> None:
    names = [f"s{i}" for i in range(n_streams)]
    whole = {name: series(range(n_frames)) for name in names}
    loser, lost = data.draw(st.sampled_from(names)), data.draw(st.integers(0, n_frames - 1))
    assume(n_streams > 1 or lost < n_frames - 1)  # nothing tells that the only stream's last frame is missing
    expected = build(EventBuilder(names), **whole)
    del expected[lost + 1][loser]
    builder = EventBuilder(names)

    found = build(builder, **whole | {loser: [text for text in whole[loser] if text != f"f{lost}"]})

    assert found == {n: streams for n, streams in expected.items() if streams}
    assert builder.report.incomplete == [(lost + 1, (loser,))]


@given(streams_of_frames, st.integers(1, 4), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_memory_stays_within_the_window_and_no_packet_comes_twice(texts: list[list[str]], window: int, rng: random.Random) -> None:
    names = [f"s{i}" for i in range(len(texts))]
    unread = {name: iter(one) for name, one in zip(names, texts, strict=True)}
    turns = [name for name, one in zip(names, texts, strict=True) for _ in one]
    rng.shuffle(turns)
    builder = EventBuilder(names, window=window)
    events: list[EventData] = []

    for name in turns:
        events += builder.feed(name, packet(next(unread[name])))
        assert len(builder._open) <= window
    events += builder.close()

    assert len(contents(events)) == builder.report.n_events
    used = [(name, bytes(data.frames[0])) for event in events for name, data in event.streams.items()]
    assert len(used) == len(set(used)) == sum(tally.taken for tally in builder.report.streams.values())
