from __future__ import annotations

import os
import pickle
from itertools import chain
from typing import Any

import numpy as np
import orjson
import pytest

from penstock.core.errors import BadEvent
from penstock.stream.models import StreamData
from penstock.stream.packet import Packet
from penstock.stream.xspress3 import META, XspressAssembler, XspressEnd, XspressImage, XspressStart, parse

START = {"htype": "header", "filename": "scan.h5", "overwritable": False}
END = {"htype": "series_end"}
SCALERS = [np.array([n, n + 1], np.uint32) for n in range(9)]
N_PARTS = 3


def spectra(frame: int) -> bytes:
    return (np.arange(16, dtype=np.uint32) + frame).tobytes()


def image(frame: Any, scalers: Any = SCALERS, **changes: Any) -> list[bytes]:
    header = {"htype": "image", "frame": frame, "shape": [2, 8], "exptime": 0.1, "type": "uint32", "compression": "none"}
    return [orjson.dumps(header | changes), spectra(frame if isinstance(frame, int) else 0), pickle.dumps(scalers)]


def contribution(*frames: bytes) -> StreamData:
    return StreamData("xspress", list(frames))


def parsed_image(frames: list[bytes]) -> XspressImage:
    found = parse(contribution(*frames))
    assert isinstance(found, XspressImage)
    return found


def fed(assembler: XspressAssembler, messages: Any) -> list[Packet]:
    return [packet for message in messages for packet in assembler.feed(message)]


def one_by_one(parts: list[bytes]) -> list[list[bytes]]:
    """How an older sender publishes an image."""
    return [[part] for part in parts]


def test_an_image_has_spectra_and_scalers_by_name() -> None:
    found = parsed_image(image(3))

    np.testing.assert_array_equal(found.data, np.arange(3, 19).reshape(2, 8))
    assert found.data.dtype == np.uint32
    assert not found.data.flags.writeable
    assert tuple(found.meta) == META
    assert found.meta["dtc"].tolist() == [7, 8]


def test_window_counts_are_absent_where_the_sender_has_none() -> None:
    assert tuple(parsed_image(image(0, SCALERS[:8])).meta) == META[:8]


def test_start_and_end_keep_their_fields() -> None:
    start = parse(contribution(orjson.dumps(START | {"limits": [[1, 2]], "extra_tags": {}})))

    assert isinstance(start, XspressStart)
    assert str(start) == "htype='header' filename='scan.h5' overwritable=False limits=[[1, 2]] extra_tags={}"
    assert parse(contribution(orjson.dumps(END))) == XspressEnd(htype="series_end")


def test_an_image_of_mapped_frames_can_be_pickled() -> None:
    found = parse(StreamData("xspress", [memoryview(part) for part in image(1)]))

    again = pickle.loads(pickle.dumps(found))

    assert again == found
    assert again.meta["ocr"].tolist() == [0, 1]


def test_scalers_that_would_run_code_are_refused() -> None:
    class Harmful:
        def __reduce__(self) -> Any:
            return os.system, ("true",)

    found = parsed_image(image(0, Harmful()))

    with pytest.raises(
        BadEvent, match=r"^Xspress3 scalers: the pickle asks for '\w+\.system'; only numpy arrays and plain containers are allowed\.$"
    ):
        _ = found.meta


@pytest.mark.parametrize(("scalers", "name"), [(SCALERS[:5], "a list of 5"), ({}, "dict")], ids=["too few", "no list"])
def test_scalers_that_are_no_list_of_eight_are_a_bad_event(scalers: Any, name: str) -> None:
    found = parsed_image(image(0, scalers))

    with pytest.raises(BadEvent) as caught:
        _ = found.meta

    names = "ocr, AllEvents, AllGood, ClockTicks, TotalTicks, ResetTicks, event_widths, dtc"
    assert str(caught.value) == f"Xspress3: the scalers are {name}, expected a list of at least 8: {names}."


DAMAGED = {
    "no frame": ([], "Xspress3: the message has no frame, expected a header."),
    "a part missing": (image(0)[:2], "Xspress3: an image has 2 frames, expected 3: header, spectra and scalers."),
    "spectra cut": ([image(0)[0], spectra(0)[:-4], b""], "Xspress3: the data have 60 bytes, expected 64 for shape [2, 8] of uint32."),
    "unknown type": ([b'{"htype": 3}'], "Xspress3: field 'htype' is 3, expected 'header', 'image', 'series_end'."),
    "compressed": (image(0, compression="zip"), "Xspress3: field 'compression' is 'zip', expected 'none'."),
    "odd number": (image(1.5), "Xspress3: field 'frame' is 1.5, expected a whole number from 0 on."),
    "no shape": (image(0, shape=None), "Xspress3: field 'shape' is None, expected a list of whole numbers."),
    "no filename": ([b'{"htype": "header"}'], "XspressStart: field 'filename' is missing; there are 'htype'."),
}


@pytest.mark.parametrize(("frames", "complaint"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_message_is_a_bad_event(frames: list[bytes], complaint: str) -> None:
    with pytest.raises(BadEvent) as caught:
        parse(contribution(*frames))

    assert str(caught.value) == complaint


def test_a_message_of_another_protocol_is_refused() -> None:
    with pytest.raises(BadEvent, match=r"^Xspress3: typ is 'STINS', expected 'xspress'\. Parse it with its own protocol\.$"):
        parse(StreamData("STINS", []))


@pytest.mark.parametrize("way", [one_by_one, lambda parts: [parts]], ids=["three messages", "one message"])
def test_both_forms_of_images_become_the_same_packets(way: Any) -> None:
    assembler = XspressAssembler()
    wire = [[orjson.dumps(START)], *way(image(0)), *way(image(1)), [orjson.dumps(END)]]

    packets = fed(assembler, wire)

    assert [(packet.kind, packet.frame) for packet in packets] == [("start", None), ("data", 0), ("data", 1), ("end", None)]
    assert [packet.data for packet in packets[1:3]] == [contribution(*image(0)), contribution(*image(1))]
    assert assembler.close() == {}


@pytest.mark.parametrize(
    ("lost", "counts"),
    [(0, {"part without its image": 2}), (1, {"incomplete image": 1, "part without its image": 1}), (2, {"incomplete image": 1})],
    ids=["header", "spectra", "scalers"],
)
def test_a_lost_message_costs_its_image_and_never_another_one(lost: int, counts: dict[str, int]) -> None:
    assembler = XspressAssembler()
    wire = list(chain.from_iterable(one_by_one(image(frame)) for frame in range(5)))
    del wire[2 * N_PARTS + lost]

    packets = fed(assembler, wire)

    assert [packet.frame for packet in packets] == [0, 1, 3, 4]
    assert [packet.data for packet in packets] == [contribution(*image(frame)) for frame in (0, 1, 3, 4)]
    assert assembler.close() == counts


def test_spectra_that_look_like_the_begin_of_json_are_spectra() -> None:
    assembler = XspressAssembler()
    parts = image(0)
    parts[1] = b'{"' + parts[1][2:]

    assert [packet.data for packet in fed(assembler, one_by_one(parts))] == [contribution(*parts)]


def test_an_image_that_is_not_complete_at_the_end_is_counted() -> None:
    assembler = XspressAssembler()

    assert fed(assembler, one_by_one(image(0))[:2]) == []
    assert assembler.close() == {"incomplete image": 1}


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (image(0)[:2], "Xspress3: an image has 2 frames"),
        ([b'{"htype": "image"}'], "Xspress3: field 'frame' is None"),
        (image(0, type="x")[:1], "Xspress3: field 'type' is 'x'"),
        ([], "Xspress3: the message has no frame"),
        ([b'{"htype": }'], "Xspress3: the header is not JSON"),
    ],
    ids=["two parts", "no number", "no dtype", "empty", "no JSON"],
)
def test_a_damaged_message_is_counted_and_the_next_one_is_read(message: list[bytes], complaint: str) -> None:
    assembler = XspressAssembler()

    with pytest.raises(BadEvent) as caught:
        assembler.feed(message)

    assert str(caught.value).startswith(complaint)
    assert [packet.frame for packet in fed(assembler, one_by_one(image(1)))] == [1]
    assert assembler.close() == {"damaged message": 1}
