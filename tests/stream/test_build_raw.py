from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import cbor2
import orjson
import pytest
from toypackets import alone, contents, packet, series

from penstock.core.errors import BadEvent, ConfigError
from penstock.stream.build import EventBuilder, build_from_raw
from penstock.stream.models import Frame
from penstock.stream.packet import Packet
from penstock.stream.protocols import PROTOCOLS

SAMPLES = Path(__file__).parents[3] / "shared/data/events"


class Fake:
    """Messages are packets as text; ``bad`` is damaged."""

    def feed(self, message: Sequence[Frame]) -> Iterator[Packet]:
        for frame in message:
            if frame == b"bad":
                raise BadEvent("fake: the message is bad.")
            yield packet(bytes(frame).decode())

    def close(self) -> Mapping[str, int]:
        return {"half a message": 1}


def test_raw_messages_are_read_from_the_stream_that_is_furthest_behind() -> None:
    builder = EventBuilder(["many", "few"], window=8)
    few = [[text.encode()] for text in series(range(40))]
    many = [[b"start"], *([f"f{k}".encode() for k in range(n, n + 8)] for n in range(0, 40, 8)), [b"end"]]

    events = list(build_from_raw({"many": many, "few": few}, {"many": Fake(), "few": Fake()}, builder))

    assert len(events) == 42
    assert builder.report.n_incomplete == 0
    assert builder.report.streams["few"].skipped == {"half a message": 1}


def test_a_damaged_raw_message_is_left_out_and_counted_with_its_reason() -> None:
    builder = EventBuilder(["a"])
    messages = [[b"start"], [b"f0"], [b"bad"], [b"f2"], [b"end"]]

    events = contents(list(build_from_raw({"a": messages}, {"a": Fake()}, builder)))

    assert sorted(events) == [0, 1, 3, 4]
    assert builder.report.streams["a"].first["damaged"] == "fake: the message is bad."
    assert builder.report.lines()[1] == (
        "a: 4 taken, 1 damaged (first: fake: the message is bad.), 1 lost (first: 1), 1 missing (first: 2), 1 half a message"
    )


def test_captures_assemblers_and_builder_have_the_same_streams() -> None:
    with pytest.raises(ConfigError, match=r"captures of 'a', and protocols for 'b'\. Give each stream both\."):
        build_from_raw({"a": []}, {"b": Fake()})
    with pytest.raises(ConfigError, match=r"captures of 'a', and events have 'b'\."):
        build_from_raw({"a": []}, {"a": Fake()}, EventBuilder(["b"]))


RAW_COUNTS = [
    ("albaem-dump.cbors", "albaem", 6),
    ("contrast-dump.cbors", "contrast", 22),
    ("eiger-small.cbors", "eiger", 5),
    ("maui-02-continuous-3.cbor.gz", "lecroy", 4),
    ("pcap-zmq.cbors", "pcap", 1502),
    ("xspress3-dump.cbors", "xspress3", 22),
    ("xspress3mini-dump20.cbors", "xspress3", 24),
]


def raw_messages(name: str) -> list[list[bytes]]:
    path = SAMPLES / "raw" / name
    if not path.exists():
        pytest.skip(f"needs the sample capture {name}")
    data = BytesIO(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    messages = []
    while data.tell() < len(data.getbuffer()):
        messages.append(cbor2.load(data))
    return messages


@pytest.mark.parametrize(("name", "protocol", "n_events"), RAW_COUNTS, ids=[name for name, _, _ in RAW_COUNTS])
def test_sample_captures_give_their_events_without_a_loss(name: str, protocol: str, n_events: int) -> None:
    messages = raw_messages(name)
    builder = EventBuilder([protocol])

    events = list(build_from_raw({protocol: messages}, {protocol: PROTOCOLS[protocol].new_assembler()}, builder))

    assert [event.event_number for event in events] == list(range(n_events))
    assert builder.report.n_incomplete == 0


def test_the_numbers_of_xspress3mini_begin_anew_once() -> None:
    headers = [orjson.loads(first) for first, *_ in raw_messages("xspress3mini-dump20.cbors") if first[:2] in (b'{"', b"{ ")]
    texts = ["start", *(f"f{header['frame']} {i}" for i, header in enumerate(headers) if header["htype"] == "image"), "end"]

    assert alone(texts) == (texts, {"restart": 1})


def test_xspress3mini_joins_contrast() -> None:
    builder = EventBuilder(["xspress3", "contrast"])
    captures = {"xspress3": raw_messages("xspress3mini-dump20.cbors"), "contrast": raw_messages("contrast-dump.cbors")}

    events = list(build_from_raw(captures, {name: PROTOCOLS[name].new_assembler() for name in captures}, builder))

    assert [event.event_number for event in events] == list(range(24))
    assert builder.report.incomplete == [(21, ("contrast",)), (22, ("contrast",))]
