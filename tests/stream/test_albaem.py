from __future__ import annotations

import math
from typing import Any

import orjson
import pytest

from penstock.core.errors import BadEvent
from penstock.stream.albaem import AlbaemAssembler, AlbaemEnd, AlbaemStart, AlbaemValues, parse
from penstock.stream.models import StreamData

HEAD = {"message_id": 2, "version": 1}
VALUES = HEAD | {
    "message_type": "data",
    "frame_number": 7,
    "timestamp": 7.5,
    "acquisition_timestamp": 1704807770443944912,
    "channel1": -2.5e-11,
}


def message(**fields: Any) -> bytes:
    return orjson.dumps(fields)


def contribution(frame: bytes) -> StreamData:
    return StreamData("albaem", [frame])


def test_a_series_is_parsed_to_start_values_and_end() -> None:
    start = parse(contribution(message(**HEAD, message_type="series-start")))
    values = parse(contribution(message(**VALUES)))
    end = parse(contribution(message(**HEAD, message_type="series-end", detector_specific={"read_overflow": False})))

    assert isinstance(start, AlbaemStart)
    assert isinstance(values, AlbaemValues)
    assert (values.frame_number, values.timestamp, values.acquisition_timestamp) == (7, 7.5, 1704807770443944912)
    assert repr(values) == (
        "AlbaemValues(message_id=2, version=1, message_type='data', frame_number=7, timestamp=7.5, "
        "acquisition_timestamp=1704807770443944912, channel1=-2.5e-11)"
    )
    assert isinstance(end, AlbaemEnd)
    assert repr(end).endswith("detector_specific={'read_overflow': False})")


def test_a_channel_without_a_value_is_nan() -> None:
    values = parse(contribution(message(**VALUES).replace(b"-2.5e-11", b"NaN")))

    assert math.isnan(values.__dict__["channel1"])


def test_packets_carry_the_frame_as_it_came_and_its_number() -> None:
    assembler = AlbaemAssembler()
    frame = memoryview(message(**VALUES))

    (start,) = assembler.feed([message(**HEAD, message_type="series-start")])
    (data,) = assembler.feed([frame])
    (end,) = assembler.feed([message(**HEAD, message_type="series-end")])

    assert [(packet.kind, packet.frame) for packet in (start, data, end)] == [("start", None), ("data", 7), ("end", None)]
    assert data.data.typ == "albaem"
    assert data.data.frames[0] is frame


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"{", "albaem: the header is not JSON"),
        (b'{"a": NaN', "albaem: the header is not JSON"),
        (b"[NaN]", "albaem: the header is not JSON"),
        (b"[1]", "albaem: the header is list, not a JSON object"),
        (message(**VALUES | {"version": 2}), "albaem: field 'version' is 2, expected 1."),
        (message(**VALUES | {"message_type": "image"}), "'message_type' is 'image', expected 'series-start', 'data', 'series-end'."),
        (message(**VALUES | {"message_type": []}), r"'message_type' is \[\], expected"),
        (message(**VALUES | {"frame_number": "7"}), "albaem: field 'frame_number' is '7', expected a whole number from 0 on."),
        (message(**VALUES | {"frame_number": -1}), "albaem: field 'frame_number' is -1, expected a whole number from 0 on."),
        (message(**HEAD, message_type="data"), "albaem: field 'frame_number' is None, expected a whole number from 0 on."),
    ],
)
def test_a_damaged_message_is_named_and_left_out(frame: bytes, said: str) -> None:
    assembler = AlbaemAssembler()

    with pytest.raises(BadEvent, match=said):
        parse(contribution(frame))
    with pytest.raises(BadEvent, match=said):
        assembler.feed([frame])

    assert [packet.frame for packet in assembler.feed([message(**VALUES)])] == [7]
    assert assembler.close() == {"damaged message": 1}


def test_a_missing_field_is_named() -> None:
    del (fields := dict(VALUES))["timestamp"]

    with pytest.raises(BadEvent, match="AlbaemValues: field 'timestamp' is missing"):
        parse(contribution(message(**fields)))


@pytest.mark.parametrize("parts", [0, 2])
def test_another_number_of_parts_is_refused(parts: int) -> None:
    with pytest.raises(BadEvent, match=f"albaem: the message has {parts} parts, expected 1."):
        AlbaemAssembler().feed([message(**VALUES)] * parts)


def test_a_contribution_of_another_protocol_is_refused() -> None:
    with pytest.raises(BadEvent, match=r"albaem: typ is 'STINS', expected 'albaem'. Parse it with its own protocol."):
        parse(StreamData("STINS", [message(**VALUES)]))
