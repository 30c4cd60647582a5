from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import BadEvent
from penstock.stream.models import StreamData
from penstock.stream.pcap import PcapAssembler, PcapEnd, PcapStart, PcapValues, parse

HEAD = {"message_id": 2, "version": 1}
START = HEAD | {"message_type": "series-start", "arm_time": "2024-10-07T08:49:10.627Z"}
DATA = HEAD | {"message_type": "data", "frame_number": 15}


def message(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def contribution(frame: bytes) -> StreamData:
    return StreamData("PCAP", [frame])


def test_a_message_becomes_one_packet_a_trigger() -> None:
    frame = message(**DATA, energy=[8.5, 8.75, 9.0], **{"INENC3.VAL.Mean": [0.0, 1.0, 2.0]}, gate="open")

    packets = list(PcapAssembler().feed([frame]))

    assert [(packet.kind, packet.frame) for packet in packets] == [("data", 15), ("data", 16), ("data", 17)]
    assert json.loads(bytes(packets[2].data.frames[0])) == DATA | {
        "frame_number": 17,
        "energy": 9.0,
        "INENC3.VAL.Mean": 2.0,
        "gate": "open",
    }
    second = parse(packets[1].data)
    assert isinstance(second, PcapValues)
    assert second.fields == {"energy": 8.75, "INENC3.VAL.Mean": 1.0, "gate": "open"}
    assert repr(second).startswith("PcapValues(message_id=2, version=1, message_type='data', frame_number=16, energy=8.75")


def test_a_message_that_holds_one_trigger_already_passes_as_it_is() -> None:
    frame = message(**DATA, energy=8.5)

    (packet,) = PcapAssembler().feed([frame])

    assert packet.frame == 15
    assert packet.data.frames[0] is frame


def test_start_and_end_pass_as_they_are() -> None:
    assembler = PcapAssembler()
    end = message(**HEAD, message_type="series-end")

    (first,) = assembler.feed([message(**START)])
    (last,) = assembler.feed([end])

    assert (first.kind, first.frame, last.kind, last.frame) == ("start", None, "end", None)
    assert isinstance(parse(first.data), PcapStart)
    assert isinstance(parse(last.data), PcapEnd)


@pytest.mark.parametrize(
    ("told", "time"),
    [
        ("2024-10-07T08:49:10.627Z", datetime(2024, 10, 7, 8, 49, 10, 627000, tzinfo=UTC)),
        ("2024-10-07T08:49:10.627123456Z", datetime(2024, 10, 7, 8, 49, 10, 627123, tzinfo=UTC)),
        ("2024-10-07T08:49:10", datetime(2024, 10, 7, 8, 49, 10, tzinfo=UTC)),
        ("2024-10-07T08:49:10+02:00", datetime(2024, 10, 7, 8, 49, 10, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_the_arm_time_has_a_time_zone(told: str, time: datetime) -> None:
    start = parse(contribution(message(**START | {"arm_time": told})))

    assert isinstance(start, PcapStart)
    assert start.arm_time == time


def test_numbers_that_are_not_finite_survive() -> None:
    packets = list(PcapAssembler().feed([message(**DATA, energy=[math.nan, 2.0, -math.inf], note=[None, "null", "é"])]))

    values = [parse(packet.data).__dict__ for packet in packets]
    assert math.isnan(values[0]["energy"])
    assert [value["energy"] for value in values[1:]] == [2.0, -math.inf]
    assert [value["note"] for value in values] == [None, "null", "é"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(), st.integers(-(2**70), 2**70), st.text()), min_size=1), st.integers(0, 2**40))
def test_splitting_keeps_every_value(rows: list[tuple[float, int, str]], first: int) -> None:
    columns = {f"column {i}": list(column) for i, column in enumerate(zip(*rows, strict=True))}

    packets = list(PcapAssembler().feed([message(**DATA | {"frame_number": first}, **columns)]))

    assert [packet.frame for packet in packets] == list(range(first, first + len(rows)))
    found = [tuple(json.loads(bytes(packet.data.frames[0]))[name] for name in columns) for packet in packets]
    assert [repr(row[0]) for row in found] == [repr(row[0]) for row in rows]
    assert [row[1] == pytest.approx(expected[1], rel=1e-15) for row, expected in zip(found, rows, strict=True)] == [True] * len(rows)
    assert [row[2] for row in found] == [row[2] for row in rows]


def test_lists_of_different_length_are_named_and_the_next_message_is_right() -> None:
    assembler = PcapAssembler()

    with pytest.raises(
        BadEvent, match=r"PCAP: lists of frame 15 differ in length, expected one value a trigger in each: 'energy' 2, 'time' 1."
    ):
        assembler.feed([message(**DATA, energy=[1.0, 2.0], time=[1.0])])

    assert [packet.frame for packet in assembler.feed([message(**DATA, energy=[1.0])])] == [15]
    assert assembler.close() == {"damaged message": 1}


def test_a_message_without_triggers_is_counted() -> None:
    assembler = PcapAssembler()

    assert list(assembler.feed([message(**DATA, energy=[])])) == []
    assert assembler.close() == {"message without triggers": 1}


def test_a_message_of_several_parts_is_refused() -> None:
    with pytest.raises(BadEvent, match=r"PCAP: the message has 2 parts, expected 1."):
        PcapAssembler().feed([message(**DATA, energy=[1.0]), b""])


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (message(**START | {"arm_time": "noon"}), "PCAP: field 'arm_time' is 'noon', expected a time such as '2024-10-07T08:49:10.627Z'."),
        (message(**START | {"arm_time": 3}), "PCAP: field 'arm_time' is 3, expected a time"),
        (message(**HEAD, message_type="series-start"), "PcapStart: field 'arm_time' is missing"),
        (message(**DATA | {"frame_number": 1.5}), "PCAP: field 'frame_number' is 1.5, expected a whole number from 0 on."),
        (b"\x80\x04", "PCAP: the header is not JSON"),
    ],
)
def test_a_damaged_message_is_named(frame: bytes, said: str) -> None:
    with pytest.raises(BadEvent, match=said):
        parse(contribution(frame))
