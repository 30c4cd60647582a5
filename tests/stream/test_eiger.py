from __future__ import annotations

import pickle
import struct
from typing import Any

import bitshuffle
import lz4.block
import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from penstock.core.errors import BadEvent
from penstock.stream.eiger import EigerAssembler, EigerEnd, EigerImage, EigerStart, parse
from penstock.stream.models import StreamData
from penstock.stream.packet import Packet

PIXELS = np.random.default_rng(3).poisson(2, (30, 50)).astype(np.uint32)
FLATFIELD = np.linspace(0.9, 1.1, 1500, dtype=np.float32).reshape(30, 50)
MASK = (FLATFIELD > 1.09).astype(np.uint32)
TABLE = np.array([[0, 0], [10, 9], [20, 17]], np.float32)
CONFIG = {"compression": "bslz4", "wavelength": 1.54}
END = {"htype": "dseries_end-1.0", "series": 6}


def message(*parts: dict[str, Any] | bytes) -> list[bytes]:
    return [part if isinstance(part, bytes) else orjson.dumps(part) for part in parts]


def table(htype: str, values: NDArray[Any]) -> list[dict[str, Any] | bytes]:
    return [{"htype": htype, "shape": list(values.shape[::-1]), "type": values.dtype.name}, values.tobytes()]


def start(detail: str = "all", *appendix: bytes) -> list[bytes]:
    header = {"htype": "dheader-1.0", "header_detail": detail, "series": 6}
    tables = [*table("dflatfield-1.0", FLATFIELD), *table("dpixelmask-1.0", MASK), *table("dcountrate_table-1.0", TABLE)]
    parts = {"none": [], "basic": [CONFIG], "all": [CONFIG, *tables]}.get(detail, [])
    return message(header, *parts, *appendix)


def encoded(pixels: NDArray[Any], encoding: str) -> bytes:
    if encoding.startswith("bs"):
        units = pixels.view(f"u{int(encoding[2 : encoding.index('-')]) // 8}")
        return struct.pack(">QI", pixels.nbytes, 8192) + bitshuffle.compress_lz4(units, 8192 // units.itemsize).tobytes()
    return lz4.block.compress(pixels.tobytes(), store_size=False) if encoding == "lz4<" else pixels.tobytes()


def image(frame: Any = 0, encoding: str = "bs32-lz4<", pixels: NDArray[Any] = PIXELS, **changes: Any) -> list[bytes]:
    blob = encoded(pixels, encoding)
    shape = list(pixels.shape[::-1])
    data = {"htype": "dimage_d-1.0", "encoding": encoding, "shape": shape, "size": len(blob), "type": pixels.dtype.name}
    times = {"htype": "dconfig-1.0", "start_time": 100, "stop_time": 350, "real_time": 250}
    return message({"htype": "dimage-1.0", "frame": frame, "hash": "59bb", "series": 6}, data | changes, blob, times)


def contribution(frames: list[bytes]) -> StreamData:
    return StreamData("EIGER_LEGACY", list(frames))


def parsed_image(frames: list[bytes]) -> EigerImage:
    found = parse(contribution(frames))
    assert isinstance(found, EigerImage)
    return found


def parsed_start(frames: list[bytes]) -> EigerStart:
    found = parse(contribution(frames))
    assert isinstance(found, EigerStart)
    return found


def test_a_header_brings_configuration_tables_and_appendix() -> None:
    header = parsed_start(start("all", b'{"user": "me"}'))

    assert (header.series, header.header_detail, header.info, header.appendix) == (6, "all", CONFIG, {"user": "me"})
    np.testing.assert_array_equal(header.flatfield(), FLATFIELD)
    np.testing.assert_array_equal(header.pixel_mask(), MASK)
    np.testing.assert_array_equal(header.countrate_table(), TABLE)


@pytest.mark.parametrize(("detail", "info"), [("none", {}), ("basic", CONFIG)])
def test_a_header_of_less_detail_has_no_tables(detail: str, info: dict[str, Any]) -> None:
    header = parsed_start(start(detail))

    assert header.info == info
    assert header.appendix is None
    assert header.flatfield() is None
    assert header.pixel_mask() is None
    assert header.countrate_table() is None


def test_a_header_without_detail_may_have_an_appendix() -> None:
    assert parsed_start(start("none", b"free text")).appendix == "free text"


@pytest.mark.parametrize("encoding", ["bs8-lz4<", "bs16-lz4<", "bs32-lz4<", "lz4<", "<"])
def test_every_encoding_is_decoded_to_rows_and_columns(encoding: str) -> None:
    np.testing.assert_array_equal(parsed_image(image(0, encoding)).image(), PIXELS)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_every_depth_of_pixels_is_decoded(dtype: str) -> None:
    pixels = PIXELS.astype(dtype)

    found = parsed_image(image(0, f"bs{8 * pixels.itemsize}-lz4<", pixels)).image()

    assert found.dtype == pixels.dtype
    np.testing.assert_array_equal(found, pixels)


def test_an_image_keeps_its_description_and_the_blob_as_it_came() -> None:
    frames = [*image(4), b"{}"]
    found = parsed_image(frames)

    assert (found.frame, found.hash, found.appendix) == (4, "59bb", {})
    assert found.data["buffer"] is frames[2]
    assert found.data["shape"] == [50, 30]
    assert found.config["real_time"] == 250
    assert repr(found).startswith("EigerImage(htype='dimage-1.0', frame=4, hash='59bb', series=6, data={'htype': 'dimage_d-1.0'")


def test_messages_of_mapped_frames_can_be_pickled() -> None:
    views: list[Any] = [memoryview(part) for part in image()]
    tables: list[Any] = [memoryview(part) for part in start()]

    again = pickle.loads(pickle.dumps([parse(contribution(views)), parse(contribution(tables))]))

    np.testing.assert_array_equal(again[0].image(), PIXELS)
    np.testing.assert_array_equal(again[1].pixel_mask(), MASK)


def test_the_end_is_parsed() -> None:
    assert parse(contribution(message(END))) == EigerEnd(**END)


DAMAGED = {
    "too few frames": (image()[:3], "Eiger: a message 'dimage-1.0' has 3 frames, expected 4, or one more with an appendix."),
    "too many frames": (start("none", b"", b""), "Eiger: a message 'dheader-1.0' has 3 frames, expected 1, or one more with an appendix."),
    "long end": (message(END, b"", b""), "Eiger: a message 'dseries_end-1.0' has 3 frames, expected 1, or one more with an appendix."),
    "unknown detail": (start("some"), "Eiger: field 'header_detail' is 'some', expected 'none', 'basic' or 'all'."),
    "odd detail": (message({"htype": "dheader-1.0", "header_detail": [], "series": 1}), "Eiger: field 'header_detail' is [], expected 'none', 'basic' or 'all'."),
    "unknown type": (message({"htype": "dimage-2.0"}), "Eiger: field 'htype' is 'dimage-2.0', expected 'dheader-1.0', 'dimage-1.0', 'dseries_end-1.0'."),
    "no frame": ([], "Eiger: the message has no frame, expected a header."),
    "odd number": (image(-1), "Eiger: field 'frame' is -1, expected a whole number from 0 on."),
    "no series": (message({"htype": "dseries_end-1.0"}), "EigerEnd: field 'series' is missing; there are 'htype'."),
    "no JSON": ([image()[0], b"[1]", *image()[2:]], "Eiger image description: the header is list, not a JSON object."),
}  # fmt: skip


@pytest.mark.parametrize(("frames", "complaint"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_message_is_a_bad_event(frames: list[bytes], complaint: str) -> None:
    with pytest.raises(BadEvent) as caught:
        parse(contribution(frames))

    assert str(caught.value) == complaint


def test_a_message_of_another_protocol_is_refused() -> None:
    with pytest.raises(BadEvent, match=r"^Eiger: typ is 'STINS', expected 'EIGER_LEGACY'\. Parse it with its own protocol\.$"):
        parse(StreamData("STINS", []))


PIXEL_DAMAGE = {
    "cut": ({}, 627, "the bitshuffle-LZ4 blob of 627 bytes is cut within block 0."),
    "unknown encoding": ({"encoding": "zip"}, None, "encoding 'zip' is unknown"),
    "other shape": ({"shape": [50, 31]}, None, "the bitshuffle-LZ4 blob announces 6000 bytes, expected 6200."),
    "no shape": ({"shape": None}, None, "field 'shape' is None, expected a list of whole numbers."),
    "no numbers": ({"type": "str"}, None, "field 'type' is 'str', expected the name of a numeric dtype"),
}


@pytest.mark.parametrize(("changes", "end", "complaint"), PIXEL_DAMAGE.values(), ids=PIXEL_DAMAGE.keys())
def test_damaged_pixels_are_a_bad_event(changes: dict[str, Any], end: int | None, complaint: str) -> None:
    frames = image(2, **changes)
    frames[2] = frames[2][:end]

    with pytest.raises(BadEvent) as caught:
        parsed_image(frames).image()

    assert str(caught.value).startswith(f"Eiger image 2: {complaint}")


def test_a_damaged_table_is_a_bad_event() -> None:
    frames = start()
    frames[3] = frames[3][:2000]

    with pytest.raises(BadEvent, match=r"^Eiger flatfield: the data have 2000 bytes, expected 6000 for shape \[30, 50\] of float32\.$"):
        parsed_start(frames).flatfield()


def test_each_message_is_a_packet_with_its_frame_number() -> None:
    assembler = EigerAssembler()
    wire = [start(), image(0), image(1), message(END)]

    packets = [packet for frames in wire for packet in assembler.feed(frames)]

    assert [(packet.kind, packet.frame) for packet in packets] == [("start", None), ("data", 0), ("data", 1), ("end", None)]
    assert [packet.data for packet in packets] == [contribution(frames) for frames in wire]
    assert assembler.close() == {}


def test_a_damaged_message_is_counted_and_the_next_one_is_read() -> None:
    assembler = EigerAssembler()

    with pytest.raises(BadEvent, match=r"^Eiger: "):
        assembler.feed(image(0)[:2])

    assert list(assembler.feed(image(1))) == [Packet("data", contribution(image(1)), 1)]
    assert assembler.close() == {"damaged message": 1}
