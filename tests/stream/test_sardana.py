from __future__ import annotations

import math
from typing import Any

import orjson
import pytest

from penstock.core.errors import BadEvent
from penstock.stream.models import StreamData
from penstock.stream.sardana import SardanaAssembler, SardanaDataDesc, SardanaRecordData, SardanaRecordEnd, parse

DESC = {"serialno": 338, "scandir": "/data/staff", "title": "ascan mot01 0 1 2 0.5", "counters": ["expchan/1"]}
RECORD = {"timestamp": 0.625, "point_nb": 1, "mot01": 0.5}


def body(**fields: Any) -> bytes:
    return orjson.dumps(fields)


def contribution(frame: bytes) -> StreamData:
    return StreamData("sardana", [frame])


def test_a_scan_is_parsed_to_description_records_and_end() -> None:
    desc = parse(contribution(body(type="DataDescription", **DESC)))
    record = parse(contribution(body(type="RecordData", **RECORD)))
    end = parse(contribution(body(type="RecordEnd")))

    assert isinstance(desc, SardanaDataDesc)
    assert (desc.serialno, desc.scandir, desc.title) == (338, "/data/staff", "ascan mot01 0 1 2 0.5")
    assert isinstance(record, SardanaRecordData)
    assert repr(record) == "SardanaRecordData(type='RecordData', timestamp=0.625, point_nb=1, mot01=0.5)"
    assert isinstance(end, SardanaRecordEnd)


def test_a_type_that_is_left_out_is_told_by_the_fields() -> None:
    assert isinstance(parse(contribution(body(**DESC))), SardanaDataDesc)
    assert isinstance(parse(contribution(body(**RECORD))), SardanaRecordData)
    assert isinstance(parse(contribution(b"{}")), SardanaRecordEnd)


def test_posts_become_packets_whose_frames_have_a_type() -> None:
    assembler = SardanaAssembler()
    typed = body(type="RecordData", **RECORD)
    posts = [
        [b"/v1/data_desc", body(**DESC)],
        [b"/v1/custom_data", b"x"],
        [b"/v1/record_data/", body(**RECORD)],
        [typed],
        [b"record_end", b"{}"],
    ]

    packets = [packet for post in posts for packet in assembler.feed(post)]

    assert [(packet.kind, packet.frame) for packet in packets] == [("start", None), ("data", None), ("data", None), ("end", None)]
    assert orjson.loads(packets[0].data.frames[0]) == {"type": "DataDescription", **DESC}
    assert packets[2].data.frames[0] is typed
    assert isinstance(parse(packets[3].data), SardanaRecordEnd)
    assert assembler.close() == {"custom data": 1}


def test_a_reading_that_is_nan_survives() -> None:
    (packet,) = SardanaAssembler().feed([b"/v1/record_data", b'{"timestamp": 1.0, "mot01": NaN}'])

    assert math.isnan(parse(packet.data).__dict__["mot01"])


@pytest.mark.parametrize(
    ("post", "said"),
    [
        ([b"/v1/data", b"{}"], "sardana: the route is 'data', expected 'data_desc', 'record_data', 'record_end', 'custom_data'."),
        ([b"/v1/record_end", body(type="RecordData", timestamp=1)], "'type' is 'RecordData', expected 'RecordEnd' for this route."),
        ([body(type="Record")], "sardana: field 'type' is 'Record', expected 'DataDescription', 'RecordData', 'RecordEnd'."),
        ([body(mot01=1)], "sardana: field 'type' is missing; there are 'mot01'."),
        ([b"nonsense"], "sardana: the header is not JSON"),
        ([b"1", b"2", b"3"], "sardana: the message has 3 parts, expected 1."),
    ],
)
def test_a_damaged_post_is_named_and_left_out(post: list[bytes], said: str) -> None:
    assembler = SardanaAssembler()

    with pytest.raises(BadEvent, match=said):
        assembler.feed(post)

    assert [packet.kind for packet in assembler.feed([body(**RECORD)])] == ["data"]
    assert assembler.close() == {"damaged message": 1}


def test_a_missing_field_is_named() -> None:
    with pytest.raises(BadEvent, match="SardanaDataDesc: field 'scandir' is missing"):
        parse(contribution(body(type="DataDescription", serialno=3)))
