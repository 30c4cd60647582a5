from __future__ import annotations

import gzip
import io
import json
import pickle
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import BadEvent, ConfigError
from penstock.core.stage import load_dotted
from penstock.stream.contrast import ContrastFinished, ContrastRunning, ContrastStarted
from penstock.stream.models import StreamData
from penstock.stream.packet import Packet
from penstock.stream.pcap import PcapValues
from penstock.stream.positioncap import PositioncapValues
from penstock.stream.protocols import PROTOCOLS, Protocol, by_name, by_typ, parse, sniff

SAMPLES = Path(__file__).parents[3] / "shared/data/events"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample captures beside the repository")

COUNTS = {"contrast-dump": (1, 20, 1), "pcap-zmq": (1, 1500, 1), "albaem-dump": (1, 4, 1)}
PROTOCOL_OF = {
    "contrast-dump.cbors": "contrast",
    "pcap-zmq.cbors": "pcap",
    "albaem-dump.cbors": "albaem",
    "eiger-small.cbors": "eiger",
    "maui-02-continuous-3.cbor.gz": "lecroy",
    "xspress3-dump.cbors": "xspress3",
    "xspress3mini-dump20.cbors": "xspress3",
}
HEADER = b"arm_time: 2024-03-05T13:01:02.503Z\nmissed: 0\nprocess: Scaled\nformat: ASCII\nfields:\n A double Value\n\n"


def items(path: Path) -> list[Any]:
    content = path.read_bytes()
    content = gzip.decompress(content) if path.suffix == ".gz" else content
    stream = io.BytesIO(content)
    found = []
    while stream.tell() < len(content):
        found.append(cbor2.load(stream))
    return found


def assembled(name: str) -> list[Packet]:
    assembler = PROTOCOLS[PROTOCOL_OF[f"{name}.cbors"]].new_assembler()
    return [packet for message in items(SAMPLES / f"raw/{name}.cbors") for packet in assembler.feed(message)]


def dumped(name: str) -> list[StreamData]:
    contributions = [next(iter(item.value[1].values())).value for item in items(SAMPLES / f"dumps/{name}.cbors")]
    return [StreamData(typ, list(frames)) for typ, frames in contributions]


@needs_samples
@pytest.mark.parametrize("name", COUNTS)
def test_a_raw_capture_gives_the_events_of_its_dump(name: str) -> None:
    packets = assembled(name)

    assert tuple(Counter(packet.kind for packet in packets)[kind] for kind in ("start", "data", "end")) == COUNTS[name]
    assert [packet.data for packet in packets] == dumped(name)
    assert [packet.frame for packet in packets[1:-1]] == list(range(COUNTS[name][1]))


@needs_samples
@pytest.mark.parametrize("name", COUNTS)
def test_every_event_of_a_capture_is_parsed(name: str) -> None:
    kinds = [type(parse(data)).__name__ for data in dumped(name)]

    assert tuple(Counter(kinds).values()) == COUNTS[name]


@needs_samples
def test_the_contrast_sample_has_its_scan_and_positions() -> None:
    started, first, *_, finished = [parse(data) for data in dumped("contrast-dump")]

    assert isinstance(started, ContrastStarted)
    assert (started.scannr, started.description) == (2, "mesh sx -2 2 3 sy -2 2 4 0.1")
    assert isinstance(first, ContrastRunning)
    assert (first.dt, first.__dict__["sx"]) == (2.410903215408325, -2.000431059888797)
    assert first.__dict__["pseudo"]["x"].tolist() == [-2.004051863]
    assert first.__dict__["xspress3"]["type"] == "Link"
    assert isinstance(finished, ContrastFinished)


@needs_samples
def test_the_pcap_sample_has_one_value_a_trigger() -> None:
    values = parse(dumped("pcap-zmq")[17])

    assert isinstance(values, PcapValues)
    assert values.frame_number == 16
    assert list(values.fields) == ["inttime", "triggernumber", "repeatindex", "energy", "INENC3.VAL.Mean"]
    assert (values.fields["inttime"], values.fields["energy"]) == (6.851, 8882.300519741357)


@needs_samples
@pytest.mark.parametrize("name", PROTOCOL_OF)
def test_a_raw_capture_is_recognised(name: str) -> None:
    assert sniff(items(SAMPLES / "raw" / name)) == PROTOCOL_OF[name]


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))
def test_every_protocol_can_be_loaded(protocol: Protocol) -> None:
    assert callable(load_dotted(protocol.parse))
    assert callable(protocol.new_parse())
    assert dict(protocol.new_assembler().close()) == {}
    assert by_typ(protocol.typ) is protocol
    assert by_name(protocol.name) is protocol
    assert protocol.title
    assert protocol.doc.endswith(".")


def test_the_registry_imports_no_protocol_by_itself() -> None:
    code = "import sys, penstock.stream.protocols; print([m for m in sys.modules if m in ('penstock.stream.pcap', 'numba', 'h5py')])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_captures_name_the_protocols_as_their_readers_expect() -> None:
    assert {protocol.name: protocol.typ for protocol in PROTOCOLS.values()} == {
        "stins": "STINS",
        "eiger": "EIGER_LEGACY",
        "xspress3": "xspress",
        "contrast": "contrast",
        "pcap": "PCAP",
        "positioncap": "PCAP_RAW",
        "albaem": "albaem",
        "lecroy": "lecroy_9fwdWp6Rq7",
        "sardana": "sardana",
    }


def test_a_contribution_is_parsed_by_the_protocol_of_its_typ() -> None:
    frame = json.dumps({"message_id": 1, "version": 1, "message_type": "series-end"}).encode()

    assert repr(parse(StreamData("albaem", [frame]))) == "AlbaemEnd(message_id=1, version=1, message_type='series-end')"
    assert repr(parse(StreamData("PCAP", [frame]))) == "PcapEnd(message_id=1, version=1, message_type='series-end')"


def test_streams_whose_lines_need_a_header_have_a_parser_each() -> None:
    one, other = by_name("positioncap").new_parse(), by_name("positioncap").new_parse()
    one(StreamData("PCAP_RAW", [HEADER]))

    assert isinstance(one(StreamData("PCAP_RAW", [b" 1.5\n"])), PositioncapValues)
    with pytest.raises(BadEvent, match="a line of values has no good header before it"):
        other(StreamData("PCAP_RAW", [b" 1.5\n"]))


def test_an_unknown_protocol_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"there is no protocol 'eigr', only stins, .*\. Did you mean 'eiger'\?"):
        by_name("eigr")
    with pytest.raises(ConfigError, match=r"no protocol has typ 'stins', only 'STINS', .* are known\."):
        by_typ("stins")
    with pytest.raises(BadEvent, match=r"no protocol has typ 'xspres', only .* are known\. Did you mean 'xspress'\?"):
        parse(StreamData("xspres", [b""]))


def sent(**fields: Any) -> list[bytes]:
    return [json.dumps(fields).encode()]


@pytest.mark.parametrize(
    ("messages", "name"),
    [
        ([sent(htype="header", filename="", msg_number=0)], "stins"),
        ([sent(htype="series_end"), [*sent(htype="image", frame=0), b"pixels"]], "stins"),
        ([sent(htype="header", filename="a.h5", overwritable=False)], "xspress3"),
        ([sent(htype="header"), [*sent(htype="image"), b"spectra", b"scalers"]], "xspress3"),
        ([sent(htype="dimage-1.0", frame=0)], "eiger"),
        ([sent(htype="msg", what=0)], "lecroy"),
        ([sent(message_type="series-end", version=1), sent(message_type="data", energy=[1.0])], "pcap"),
        ([sent(message_type="data", energy=[float("nan")])], "pcap"),
        ([sent(message_type="series-start", version=1), sent(message_type="data", acquisition_timestamp=1)], "albaem"),
        ([[pickle.dumps([1, 2])], [pickle.dumps({"status": "heartbeat"})]], "contrast"),
        ([[b"OK\n"], [HEADER[:20]], [HEADER[20:]]], "positioncap"),
        ([[b"OK\narm_t"], [HEADER[5:]]], "positioncap"),
        ([sent(type="RecordEnd")], "sardana"),
        ([[b"/v1/data_desc", b"{}"]], "sardana"),
        ([[], [b"\x00\x01"], [b"{broken"], sent(htype="other"), sent(message_type=3)], None),
        ([], None),
    ],
)  # fmt: skip
def test_a_capture_is_recognised_by_its_first_messages(messages: list[list[bytes]], name: str | None) -> None:
    assert sniff(messages) == name


WHOLE = {
    "pcap": json.dumps({"message_id": 1, "version": 1, "message_type": "data", "frame_number": 3, "energy": [1.5, float("nan")]}).encode(),
    "albaem": json.dumps({"message_id": 1, "version": 1, "message_type": "data", "frame_number": 3, "timestamp": 1.5}).encode(),
    "sardana": json.dumps({"type": "RecordData", "timestamp": 1.5, "mot01": None}).encode(),
    "positioncap": HEADER + b" 1.5\nEND 1 Ok\n",
}


@pytest.mark.parametrize("name", WHOLE)
@settings(deadline=None)
@given(edges=st.tuples(st.integers(0, 200), st.integers(0, 20)), junk=st.binary(max_size=20))
def test_whatever_is_damaged_only_bad_events_are_raised_and_whole_messages_pass(name: str, edges: tuple[int, int], junk: bytes) -> None:
    start, length = edges
    damaged = WHOLE[name][:start] + junk + WHOLE[name][start + length :]
    assembler, parse_next = by_name(name).new_assembler(), by_name(name).new_parse()

    with suppress(BadEvent):
        for packet in assembler.feed([damaged]):
            repr(parse_next(packet.data))

    assert "data" in [packet.kind for packet in assembler.feed([b"\n" * (name == "positioncap") + WHOLE[name]])]


def test_views_are_recognised_as_bytes_are() -> None:
    assert sniff([[memoryview(HEADER)]]) == "positioncap"
    assert sniff([[memoryview(pickle.dumps({"status": "started"}))]]) == "contrast"
    assert sniff([[memoryview(sent(htype="msg")[0])]]) == "lecroy"


def test_a_capture_that_fits_two_protocols_names_both() -> None:
    with pytest.raises(ConfigError, match=r"the first messages of the capture fit albaem or pcap alike. Name the protocol."):
        sniff([sent(message_type="series-start"), sent(message_type="series-end")])


def test_a_capture_of_two_protocols_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"message 1 of the capture is of lecroy, those before it of eiger. Name the protocol"):
        sniff([sent(htype="dheader-1.0"), sent(htype="msg")])
