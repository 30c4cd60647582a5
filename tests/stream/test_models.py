"""Events, packets and results, and how they are printed."""

from __future__ import annotations

import pytest

from penstock.core.errors import BadEvent
from penstock.stream.models import EventData, ResultData, StreamData, merge_parts

HEADER = b'{"htype": "header", "filename": "", "msg_number": 0}'


def test_events_print_as_people_know_them() -> None:
    event = EventData(0, {"xrd": StreamData("STINS", [memoryview(HEADER)])}, created_at=5)

    told = f"streams={{'xrd': StreamData(typ='STINS', frames=[{HEADER!r}], length=1)}}"
    assert str(event) == f"event_number=0 {told}"
    assert repr(event) == f"EventData(event_number=0, {told})"


def test_results_print_as_people_know_them() -> None:
    result = ResultData(1, "development0", "6887", 9.5)

    assert str(result) == "event_number=1 worker='development0' parameters_hash='6887' payload=9.5"
    assert repr(result) == "ResultData(event_number=1, worker='development0', parameters_hash='6887', payload=9.5)"


def test_parts_of_one_event_are_merged_and_the_earliest_time_stands() -> None:
    parts = [EventData(3, {"a": StreamData("x", [b"1"])}, 20), EventData(3, {"b": StreamData("x", [b"2"])}, 10), EventData(3, {}, None)]

    whole = merge_parts(parts)

    assert (whole.event_number, sorted(whole.streams), whole.created_at) == (3, ["a", "b"], 10)


@pytest.mark.parametrize(
    "parts, message",
    [
        ([EventData(1, {}), EventData(2, {})], "event 1: a part has number 2"),
        ([EventData(1, {"a": StreamData("x", [])}), EventData(1, {"a": StreamData("x", [])})], "stream a comes twice"),
        ([], "at least one part"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(parts: list[EventData], message: str) -> None:
    with pytest.raises(BadEvent, match=message):
        merge_parts(parts)


def test_get_bytes_gives_frames_of_their_own() -> None:
    data = StreamData("x", [memoryview(b"abc"), b"d"])

    copy = data.get_bytes()

    assert copy.frames == [b"abc", b"d"]
    assert (data.length, data.nbytes) == (2, 4)
