from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import BadEvent
from penstock.stream.models import StreamData
from penstock.stream.packet import Packet
from penstock.stream.positioncap import (
    PositioncapAssembler,
    PositioncapEnd,
    PositioncapField,
    PositioncapParser,
    PositioncapStart,
    PositioncapValues,
    parse,
)

HEADER = b"""arm_time: 2024-03-05T13:01:02.503Z
missed: 0
process: Scaled
format: ASCII
fields:
 PCAP.BITS2 uint32 Value
 COUNTER1.OUT double Min scale: 1 offset: 0 units: mm
 COUNTER1.OUT double Max scale: 1 offset: 0 units: \xc2\xb5m

"""
SCAN = HEADER + b" 0 1.5 2\n 8 -2e-3 nan\nEND 2 Disarmed\n"
BITS, LOW, HIGH = "PCAP.BITS2.Value", "COUNTER1.OUT.Min", "COUNTER1.OUT.Max"


def contribution(frame: bytes) -> StreamData:
    return StreamData("PCAP_RAW", [frame])


def packets_of(assembler: PositioncapAssembler, *chunks: bytes) -> list[Packet]:
    return [packet for chunk in chunks for packet in assembler.feed([chunk])]


def signature(packets: list[Packet]) -> list[tuple[str, int | None, bytes]]:
    return [(packet.kind, packet.frame, bytes(packet.data.frames[0])) for packet in packets]


def test_a_scan_is_parsed_to_start_values_and_end() -> None:
    parser = PositioncapParser()

    start, first, second, end = [parser.parse(packet.data) for packet in packets_of(PositioncapAssembler(), SCAN)]

    assert isinstance(start, PositioncapStart)
    assert start.arm_time == parser.arm_time == datetime(2024, 3, 5, 13, 1, 2, 503000, tzinfo=UTC)
    assert (start.__dict__["process"], start.__dict__["missed"]) == ("Scaled", "0")
    assert isinstance(first, PositioncapValues)
    assert list(first.fields) == [BITS, LOW, HIGH]
    assert first.fields[BITS] == PositioncapField(BITS, "uint32", 0)
    assert (first.fields[LOW].value, first.fields[HIGH].value) == (1.5, 2.0)
    assert isinstance(first.fields[HIGH].value, float)
    assert isinstance(second, PositioncapValues)
    assert (second.fields[BITS].value, second.fields[LOW].value, repr(second.fields[HIGH].value)) == (8, -0.002, "nan")
    assert isinstance(end, PositioncapEnd)
    assert (end.samples, end.reason) == (2, "Disarmed")


def test_a_second_scan_has_the_fields_of_its_own_header() -> None:
    other = b"arm_time: 2024-03-05T14:00:00Z\nformat: ASCII\nfields:\n INENC1.VAL int64 Value\n\n -5\nEND 1 Ok\n"
    parser = PositioncapParser()

    parsed = [parser.parse(packet.data) for packet in packets_of(PositioncapAssembler(), SCAN + other)]

    assert [field.name for field in parser.fields] == ["INENC1.VAL.Value"]
    assert isinstance(parsed[5], PositioncapValues)
    assert parsed[5].fields == {"INENC1.VAL.Value": PositioncapField("INENC1.VAL.Value", "int64", -5)}


@pytest.mark.parametrize("kind", ["int32", "uint32", "int64", "uint64"])
def test_whole_numbers_are_int(kind: str) -> None:
    start = parse(contribution(f"arm_time: 2024-03-05T14:00:00Z\nfields:\n A {kind} Value\n".encode()))
    assert isinstance(start, PositioncapStart)

    values = parse(contribution(b" 12\n"), start)

    assert isinstance(values, PositioncapValues)
    assert repr(values.fields["A.Value"].value) == "12"


@settings(deadline=None)
@given(st.lists(st.integers(0, len(b"OK\n" + SCAN + SCAN)), max_size=30))
def test_packets_do_not_depend_on_where_the_bytes_are_cut(cuts: list[int]) -> None:
    stream = b"OK\n" + SCAN + SCAN
    edges = [0, *sorted(cuts), len(stream)]
    assembler = PositioncapAssembler()

    packets = packets_of(assembler, *[stream[a:b] for a, b in pairwise(edges)])

    scan = [("start", None, HEADER), ("data", 0, b" 0 1.5 2\n"), ("data", 1, b" 8 -2e-3 nan\n"), ("end", None, b"END 2 Disarmed\n")]
    assert signature(packets) == scan + scan
    assert assembler.close() == {}


def test_chunks_may_be_views_and_come_together() -> None:
    packets = PositioncapAssembler().feed([memoryview(SCAN[:50]), memoryview(SCAN[50:])])

    assert [packet.kind for packet in packets] == ["start", "data", "data", "end"]


def test_lines_with_carriage_returns_are_read() -> None:
    parser = PositioncapParser()

    parsed = [parser.parse(packet.data) for packet in packets_of(PositioncapAssembler(), SCAN.replace(b"\n", b"\r\n"))]

    assert isinstance(parsed[1], PositioncapValues)
    assert parsed[1].fields[HIGH].value == 2.0


def test_lines_count_from_the_triggers_that_were_missed() -> None:
    packets = packets_of(PositioncapAssembler(), SCAN.replace(b"missed: 0", b"missed: 3"))

    assert [packet.frame for packet in packets] == [None, 3, 4, None]


def test_a_line_that_cannot_be_read_is_an_event_of_its_own() -> None:
    assembler = PositioncapAssembler()
    parser = PositioncapParser()
    start, bad, good, _ = packets_of(assembler, SCAN.replace(b" 0 1.5 2", b" 0 1.5"))
    parser.parse(start.data)

    with pytest.raises(BadEvent, match=r"positioncap: a line has 2 values, expected 3, one a field; it begins with b' 0 1.5\\n'."):
        parser.parse(bad.data)

    assert (bad.frame, good.frame) == (0, 1)
    assert isinstance(parser.parse(good.data), PositioncapValues)


def test_a_header_in_the_middle_begins_a_new_series() -> None:
    assembler = PositioncapAssembler()

    packets = packets_of(assembler, HEADER + b" 0 1 2\n" + SCAN)

    assert [(packet.kind, packet.frame) for packet in packets] == [
        ("start", None), ("data", 0), ("start", None), ("data", 0), ("data", 1), ("end", None)
    ]  # fmt: skip
    assert assembler.close() == {"series without end": 1}


def test_what_is_left_over_is_counted() -> None:
    assembler = PositioncapAssembler()
    packets_of(assembler, b"junk\n" + SCAN.replace(b"END 2", b"END 5") + b" 1 2 3\n" + HEADER + b" 0 1 2\n 8 1")

    assert assembler.close() == {"line outside of a series": 2, "line lost": 3, "incomplete line": 1, "series without end": 1}


def test_a_refused_connection_is_told() -> None:
    with pytest.raises(BadEvent, match="the PandABox refused the connection: 'ERR Invalid options', expected 'OK'"):
        packets_of(PositioncapAssembler(), b"ERR Invalid options\n")


def test_binary_data_cost_their_own_line() -> None:
    assembler = PositioncapAssembler()
    before = packets_of(assembler, HEADER + b" 0 1 2\n")

    with pytest.raises(BadEvent, match=r"positioncap: a line has more than 262144 bytes, expected text. Connect with format ASCII."):
        packets_of(assembler, b"\x00" * 300_000)
    after = packets_of(assembler, b"\x00\n 1 2 3\nEND 3 Ok\n")

    assert [packet.frame for packet in before + after] == [None, 0, 2, None]
    assert assembler.close() == {"line too long": 1}


def test_a_header_without_end_is_given_up() -> None:
    assembler = PositioncapAssembler()

    with pytest.raises(BadEvent, match=r"positioncap: a header has more than 262144 bytes, expected an empty line after it."):
        packets_of(assembler, HEADER.rstrip() + b"\n" + b" A double Value\n" * 17_000)

    assert [packet.kind for packet in packets_of(assembler, SCAN)] == ["start", "data", "data", "end"]
    assert assembler.close()["header without end"] == 1


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (HEADER.replace(b"2024-03-05T13", b"noon"), "positioncap: field 'arm_time' is 'noon:01:02.503Z', expected a time"),
        (HEADER.replace(b"ASCII", b"Base64"), "positioncap: field 'format' is 'Base64', expected 'ASCII'. Connect with an empty line of options."),
        (HEADER.replace(b"uint32", b"complex"), "positioncap: field 'PCAP.BITS2' has type 'complex' and capture 'Value', expected one of int8"),
        (HEADER.replace(b"uint32 Value", b"uint32"), "positioncap: field 'PCAP.BITS2' has type 'uint32' and capture '', expected"),
    ],
)  # fmt: skip
def test_a_damaged_header_is_named_and_leaves_no_fields_behind(header: bytes, said: str) -> None:
    parser = PositioncapParser()
    parser.parse(contribution(HEADER))

    with pytest.raises(BadEvent, match=said):
        parser.parse(contribution(header))

    assert (parser.arm_time, parser.fields) == (None, [])
    with pytest.raises(BadEvent, match="a line of values has no good header before it"):
        parser.parse(contribution(b" 0 1 2\n"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b" 1.5 1 2\n", "positioncap: field 'PCAP.BITS2.Value' is '1.5', expected uint32."),
        (b" 1 x 2\n", "positioncap: field 'COUNTER1.OUT.Min' is 'x', expected double."),
        (b" 1 2 3 4\n", "positioncap: a line has 4 values, expected 3"),
        (b"\n", "positioncap: a line has 0 values, expected 3"),
    ],
)
def test_a_damaged_line_is_named(line: bytes, said: str) -> None:
    parser = PositioncapParser()
    parser.parse(contribution(HEADER))

    with pytest.raises(BadEvent, match=said):
        parser.parse(contribution(line))


def test_a_line_alone_says_what_it_needs() -> None:
    with pytest.raises(BadEvent, match="Parse the messages of a stream in order with one PositioncapParser"):
        parse(contribution(b" 1 2 3\n"))


@pytest.mark.parametrize(
    ("line", "samples", "reason"),
    [(b"END\n", None, ""), (b"END 10 Early disconnect\n", 10, "Early disconnect"), (b"END " + b"9" * 5000, None, "")],
    ids=["bare", "reason of two words", "absurd number"],
)
def test_the_end_tells_samples_and_reason(line: bytes, samples: int | None, reason: str) -> None:
    end = parse(contribution(line))

    assert isinstance(end, PositioncapEnd)
    assert (end.samples, end.reason) == (samples, reason)
    assert [packet.kind for packet in packets_of(PositioncapAssembler(), HEADER + line.rstrip() + b"\n")] == ["start", "end"]
