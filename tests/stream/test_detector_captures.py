"""The sample captures of detectors: what assembling the raw messages gives, against dumps made from them by other software."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import numpy as np
import pytest

from penstock.core.errors import BadEvent
from penstock.stream import eiger, lecroy, stins, xspress3
from penstock.stream.models import StreamData
from penstock.stream.packet import Assembler, Packet

SAMPLES = Path(__file__).parents[3] / "shared/data/events"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample captures beside the repository")

EIGER = "raw/eiger-small.cbors"
XSPRESS3 = "raw/xspress3-dump.cbors"
XSPRESS3_MINI = "raw/xspress3mini-dump20.cbors"
LECROY = "raw/maui-02-continuous-3.cbor.gz"


def items(name: str) -> list[Any]:
    content = (SAMPLES / name).read_bytes()
    stream = io.BytesIO(gzip.decompress(content) if name.endswith(".gz") else content)
    found = []
    while stream.tell() < len(stream.getbuffer()):
        found.append(cbor2.load(stream))
    return found


def dumped(name: str) -> list[StreamData]:
    """Contributions to the events 0, 1, 2, ... of a capture with one stream."""
    found = []
    for number, item in enumerate(items(name)):
        event = item.value.value if item.tag == 55799 else item.value
        assert event[0] == number
        (contribution,) = event[1].values()
        typ, frames = contribution.value
        found.append(StreamData(typ, list(frames)))
    return found


def assembled(name: str, assembler: Assembler) -> list[Packet]:
    return [packet for message in items(name) for packet in assembler.feed(message)]


def classes(messages: list[Any]) -> Counter[str]:
    return Counter(type(message).__name__ for message in messages)


@pytest.mark.parametrize(
    ("raw", "dump", "make", "parse", "counts"),
    [
        (EIGER, "dumps/eiger-small.cbors", eiger.EigerAssembler, eiger.parse, {"EigerStart": 1, "EigerImage": 3, "EigerEnd": 1}),
        (XSPRESS3, "dumps/xspress3-dump.cbors", xspress3.XspressAssembler, xspress3.parse, {"XspressStart": 1, "XspressImage": 20, "XspressEnd": 1}),
        (XSPRESS3_MINI, "dumps/xspress3mini-dump20.cbors", xspress3.XspressAssembler, xspress3.parse, {"XspressStart": 1, "XspressImage": 22, "XspressEnd": 1}),
        (LECROY, "dumps/maui-02-continuous-3.cbors", lecroy.LecroyAssembler, lecroy.parse, {"LecroyPrepare": 1, "LecroyTraces": 2, "LecroyStop": 1}),
    ],
    ids=["eiger", "xspress3", "xspress3mini", "lecroy"],
)  # fmt: skip
def test_raw_messages_are_assembled_to_the_events_of_the_dump(
    raw: str, dump: str, make: Callable[[], Assembler], parse: Callable[[StreamData], Any], counts: dict[str, int]
) -> None:
    assembler = make()

    packets = assembled(raw, assembler)

    assert [packet.data for packet in packets] == dumped(dump)
    assert [packet.kind for packet in packets] == ["start", *["data"] * (len(packets) - 2), "end"]
    assert classes([parse(packet.data) for packet in packets]) == counts
    assert assembler.close() == {}


def test_images_of_the_tutorial_have_their_sums_and_means() -> None:
    messages = [stins.parse(data) for data in dumped("dumps/dump_xrd.cbors")]
    images = [message for message in messages if isinstance(message, stins.StinsImage)]

    assert classes(messages) == {"StinsStart": 1, "StinsImage": 9, "StinsEnd": 1}
    assert messages[0] == stins.StinsStart(msg_number=0, htype="header", filename="output/xrd.h5")
    assert [image.frame for image in images] == list(range(9))
    assert [image.data.sum() for image in images] == [991, 1001, 1041, 1076, 1166, 1268, 1363, 1422, 1481]
    assert [image.data[:2, 8:].mean() for image in images] == [9.25, 11.25, 11.75, 4.25, 2.25, 3.0, 4.75, 7.75, 10.75]


def test_the_region_of_the_fluorescence_map_has_its_counts() -> None:
    images = [xspress3.parse(packet.data) for packet in assembled(XSPRESS3_MINI, xspress3.XspressAssembler())[1:-1]]
    spectra = [image.data for image in images if isinstance(image, xspress3.XspressImage)]

    assert [int(data[-1, :10].sum()) for data in spectra[:20]] == [
        81, 76, 67, 49, 69, 97, 75, 58, 81, 77, 91, 81, 76, 67, 49, 69, 97, 75, 58, 81,
    ]  # fmt: skip


def test_the_frame_numbers_of_each_line_of_the_map_are_those_of_the_wire() -> None:
    packets = assembled(XSPRESS3_MINI, xspress3.XspressAssembler())

    assert [packet.frame for packet in packets] == [None, *range(11), *range(11), None]


@pytest.mark.parametrize("name", [XSPRESS3, XSPRESS3_MINI])
def test_scalers_of_the_xspress3_are_consistent(name: str) -> None:
    for packet in assembled(name, xspress3.XspressAssembler())[1:-1]:
        image = xspress3.parse(packet.data)
        assert isinstance(image, xspress3.XspressImage)
        assert tuple(image.meta) == xspress3.META[:8]
        assert {len(values) for values in image.meta.values()} == {image.shape[0]}
        assert (image.meta["AllGood"] <= image.meta["AllEvents"]).all()
        assert (image.meta["AllEvents"] <= image.meta["ClockTicks"]).all()


def test_cut_images_of_the_eiger_are_bad_events_and_its_table_is_whole() -> None:
    messages = [eiger.parse(data) for data in dumped("dumps/eiger-small.cbors")]
    start, image = messages[0], messages[1]
    assert isinstance(start, eiger.EigerStart)
    assert isinstance(image, eiger.EigerImage)

    table = start.countrate_table()

    assert start.info["description"] == "Dectris EIGER2 CdTe 9M"
    assert start.appendix["collect_dict"]["col_id"] == 128579
    assert table is not None
    assert table.shape == (1001, 2)
    assert (np.diff(table, axis=0) >= 0).all()
    with pytest.raises(BadEvent, match=r"^Eiger image 0: the bitshuffle-LZ4 blob of 20000 bytes is cut within block \d+\.$"):
        image.image()
    with pytest.raises(
        BadEvent, match=r"^Eiger flatfield: the data have 20000 bytes, expected 40553184 for shape \[3262, 3108\] of float32\.$"
    ):
        start.flatfield()


def test_the_highest_sample_of_the_scope_is_where_it_was_found_before() -> None:
    packets = assembled(LECROY, lecroy.LecroyAssembler())
    last = lecroy.parse(packets[2].data)

    assert isinstance(last, lecroy.LecroyTraces)
    assert [packet.frame for packet in packets] == [None, 0, 1, None]
    assert [len(packet.data.frames) for packet in packets] == [1, 8, 8, 1]
    assert last.data[0].shape == (1, 8002)
    assert last.data[0].max() == 0.1675630532008654
    assert last.timestamps[0] == [1740563664.335]
