from __future__ import annotations

import pickle
import struct
from typing import Any

import bitshuffle
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from penstock.core.errors import BadEvent, ConfigError
from penstock.stream.models import StreamData
from penstock.stream.packet import Packet
from penstock.stream.stins import StinsAssembler, StinsEnd, StinsImage, StinsStart, parse

START = {"htype": "header", "filename": "output/xrd.h5", "msg_number": 0}
END = {"htype": "series_end", "msg_number": 2}
PIXELS = np.arange(6, dtype=np.uint16).reshape(2, 3)
IMAGE = {"htype": "image", "frame": 0, "shape": [2, 3], "type": "uint16", "compression": "none", "msg_number": 1}


def contribution(header: dict[str, Any], *others: bytes) -> StreamData:
    return StreamData("STINS", [orjson.dumps(header), *others])


def blob(pixels: Any) -> bytes:
    return struct.pack(">QI", pixels.nbytes, 8192) + bitshuffle.compress_lz4(pixels, 8192 // pixels.itemsize).tobytes()


def test_messages_are_printed_as_in_the_tutorial() -> None:
    assert str(parse(contribution(START))) == "msg_number=0 htype='header' filename='output/xrd.h5'"
    assert str(parse(contribution(END))) == "msg_number=2 htype='series_end'"
    assert str(parse(contribution(IMAGE, PIXELS.tobytes()))) == (
        "msg_number=1 htype='image' frame=0 shape=[2, 3] type='uint16' compression='none' "
        "data=array([[0, 1, 2],\n       [3, 4, 5]], dtype=uint16)"
    )


def test_pixels_are_a_read_only_view_of_the_frame() -> None:
    frame = memoryview(bytearray(PIXELS.tobytes()))

    image = parse(StreamData("STINS", [orjson.dumps(IMAGE), frame]))

    assert isinstance(image, StinsImage)
    np.testing.assert_array_equal(image.data, PIXELS)
    assert np.shares_memory(image.data, np.frombuffer(frame, np.uint8))
    assert not image.data.flags.writeable


def test_fields_of_the_sender_are_kept() -> None:
    image = parse(contribution(IMAGE | {"timestamps": {"gate": "2024-03-05T13:01:02"}}, PIXELS.tobytes()))

    assert image.__dict__["timestamps"] == {"gate": "2024-03-05T13:01:02"}


def test_a_start_may_bring_metadata_along() -> None:
    start = parse(contribution(START, b"anything"))

    assert isinstance(start, StinsStart)
    assert start.filename == "output/xrd.h5"


@pytest.mark.parametrize("compression", ["bslz4", "bs16-lz4<"])
def test_compressed_pixels_are_decoded(compression: str) -> None:
    image = parse(contribution(IMAGE | {"compression": compression}, blob(PIXELS)))

    assert isinstance(image, StinsImage)
    np.testing.assert_array_equal(image.data, PIXELS)
    assert not image.data.flags.writeable
    assert "data=array([[0, 1, 2]" in str(image)


def test_a_decoded_image_can_be_pickled_before_it_was_looked_at() -> None:
    image = parse(StreamData("STINS", [orjson.dumps(IMAGE | {"compression": "bslz4"}), memoryview(blob(PIXELS))]))

    again = pickle.loads(pickle.dumps(image))

    np.testing.assert_array_equal(again.data, PIXELS)


def test_a_damaged_blob_is_a_bad_event_when_the_pixels_are_asked_for() -> None:
    image = parse(contribution(IMAGE | {"compression": "bslz4"}, blob(PIXELS)[:-1]))

    with pytest.raises(BadEvent, match="STINS: the bitshuffle-LZ4 blob"):
        _ = image.data


def test_an_image_of_unknown_compression_has_no_pixels() -> None:
    image = parse(contribution(IMAGE | {"compression": "jpeg"}, b"..."))

    assert not hasattr(image, "data")
    with pytest.raises(
        AttributeError, match=r"^'StinsImage' has no field 'data'; there are htype, frame, shape, type, compression, msg_number\.$"
    ):
        _ = image.data
    with pytest.raises(ConfigError, match=r"^STINS: an image of compression 'jpeg' has no pixels to write\. Keep its frames instead\.$"):
        image.to_stream_data()


@given(
    npst.arrays(st.sampled_from(["u1", "<u2", "i4", "f4", "f8"]), npst.array_shapes(min_dims=1, max_dims=3, max_side=5)), st.integers(0, 9)
)
def test_an_image_survives_the_way_over_frames(pixels: Any, frame: int) -> None:
    image = StinsImage(
        msg_number=3, htype="image", frame=frame, shape=list(pixels.shape), type=pixels.dtype.name, compression="none", data=pixels
    )

    again = parse(image.to_stream_data())

    assert isinstance(again, StinsImage)
    np.testing.assert_array_equal(again.data, pixels)
    assert again.frame == frame


def test_a_decoded_image_is_written_without_compression() -> None:
    image = parse(contribution(IMAGE | {"compression": "bslz4"}, blob(PIXELS)))

    again = parse(image.to_stream_data())

    assert isinstance(again, StinsImage)
    assert again.compression == "none"
    np.testing.assert_array_equal(again.data, PIXELS)


def test_start_and_end_survive_the_way_over_frames() -> None:
    assert parse(StinsStart(**START).to_stream_data()) == StinsStart(**START)
    assert parse(StinsEnd(**END).to_stream_data()) == StinsEnd(**END)


RAW = PIXELS.tobytes()
DAMAGED: dict[str, tuple[StreamData, str]] = {
    "other protocol": (StreamData("xspress", [b"{}"]), "STINS: typ is 'xspress', expected 'STINS'. Parse it with its own protocol."),
    "no frame": (StreamData("STINS", []), "STINS: the message has no frame, expected a header."),
    "unknown type": (contribution({"htype": "sound"}), "STINS: field 'htype' is 'sound', expected 'header', 'image', 'series_end'."),
    "type of a type": (contribution({"htype": []}), "STINS: field 'htype' is [], expected 'header', 'image', 'series_end'."),
    "no type": (contribution({}), "STINS: field 'htype' is None, expected 'header', 'image', 'series_end'."),
    "no pixels": (contribution(IMAGE), "STINS: an image has 1 frames, expected 2: header and pixels."),
    "pixels missing": (contribution(IMAGE, RAW[:-1]), "STINS: the data have 11 bytes, expected 12 for shape [2, 3] of uint16."),
    "pixels too many": (contribution(IMAGE, RAW + b"."), "STINS: the data have 13 bytes, expected 12 for shape [2, 3] of uint16."),
    "objects": (contribution(IMAGE | {"type": "object"}, RAW), "STINS: field 'type' is 'object', expected the name of a numeric dtype such as 'uint16'."),
    "no dtype": (contribution(IMAGE | {"type": [1]}, RAW), "STINS: field 'type' is [1], expected the name of a numeric dtype such as 'uint16'."),
    "shape unknown": (contribution(IMAGE | {"shape": [-1, 3]}, RAW), "STINS: field 'shape' is [-1, 3], expected a list of whole numbers."),
    "shape of text": (contribution(IMAGE | {"shape": "23"}, RAW), "STINS: field 'shape' is '23', expected a list of whole numbers."),
    "frame": (contribution(IMAGE | {"frame": "0"}, RAW), "STINS: field 'frame' is '0', expected a whole number from 0 on."),
}  # fmt: skip


@pytest.mark.parametrize(("damaged", "message"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_message_is_a_bad_event(damaged: StreamData, message: str) -> None:
    with pytest.raises(BadEvent) as caught:
        parse(damaged)

    assert str(caught.value) == message


def test_a_missing_field_is_named() -> None:
    with pytest.raises(BadEvent, match=r"^StinsStart: field 'filename' is missing; there are 'htype', 'msg_number'\.$"):
        parse(contribution({"htype": "header", "msg_number": 0}))


def test_a_header_that_is_no_json_is_a_bad_event() -> None:
    with pytest.raises(BadEvent, match=r"^STINS: the header is not JSON .*it begins with b'\{\"htype\": \"im'\.$"):
        parse(StreamData("STINS", [b'{"htype": "im']))


def test_each_message_is_a_packet_with_its_frame_number() -> None:
    assembler = StinsAssembler()
    wire = [contribution(START, b"meta"), contribution(IMAGE | {"frame": 7}, RAW), contribution(END)]

    packets = [packet for data in wire for packet in assembler.feed(data.frames)]

    assert packets == [Packet("start", wire[0]), Packet("data", wire[1], 7), Packet("end", wire[2])]
    assert assembler.close() == {}


@pytest.mark.parametrize(
    "message",
    [[], [b"{"], [b'{"htype": "sound"}'], [orjson.dumps(IMAGE)], [orjson.dumps(IMAGE | {"frame": None}), RAW]],
    ids=["empty", "no JSON", "unknown type", "no pixels", "no number"],
)
def test_a_damaged_message_is_counted_and_the_next_one_is_read(message: list[bytes]) -> None:
    assembler = StinsAssembler()

    with pytest.raises(BadEvent, match=r"^STINS: "):
        assembler.feed(message)

    assert [packet.frame for packet in assembler.feed([orjson.dumps(IMAGE), RAW])] == [0]
    assert assembler.close() == {"damaged message": 1}
