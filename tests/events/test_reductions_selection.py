"""What is taken from events: streams, fields, channels, regions, statistics; what is refused, and how it is said."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from toyreduce import END, START, image, point

from penstock.core.errors import BadEvent, ConfigError
from penstock.events.reduction_params import AxisSelection, HistogramParams, MapParams, ScalarSelection, Selection
from penstock.events.reductions.selection import DATA_MESSAGES, Selector, layout_of, select
from penstock.stream.models import EventData, StreamData
from penstock.stream.protocols import PROTOCOLS, parse

PIXELS = np.arange(24, dtype="u2").reshape(4, 6)


def take(data: StreamData, **selection: Any) -> Any:
    """The selected values of a message, as the first of its run."""
    kind = ScalarSelection if "statistic" in selection else Selection
    chosen = kind(stream="det", **selection)
    message = parse(data)
    return Selector(chosen, layout_of(chosen, message)).take(message)


def xspress() -> StreamData:
    import pickle

    header = {"htype": "image", "frame": 3, "shape": [2, 5], "exptime": 1.0, "type": "uint32", "compression": "none"}
    scalers = pickle.dumps([np.array([k, k + 0.5]) for k in range(9)])
    return StreamData("xspress", [json.dumps(header).encode(), np.arange(10, dtype="u4").tobytes(), scalers])


def test_pixels_come_without_a_copy() -> None:
    data = image(PIXELS)

    values = take(data)

    np.testing.assert_array_equal(values, PIXELS)
    assert np.shares_memory(values, np.frombuffer(data.frames[1], "u2"))


@pytest.mark.parametrize(
    ("region", "wanted"),
    [("1:3,2:5", PIXELS[1:3, 2:5]), ([1, 3, 2, 5], PIXELS[1:3, 2:5]), ("2:", PIXELS[2:]), (":,:1", PIXELS[:, :1]), ("", PIXELS)],
    ids=["text", "numbers", "open end", "all rows", "none"],
)
def test_a_region_is_cut_out(region: Any, wanted: Any) -> None:
    np.testing.assert_array_equal(take(image(PIXELS), region=region), wanted)


def test_a_channel_is_taken_before_the_region() -> None:
    np.testing.assert_array_equal(take(xspress(), channel=1, region="2:4"), [7, 8])


@pytest.mark.parametrize(
    ("data", "field", "wanted"),
    [
        (xspress(), "meta.ocr", [0.0, 0.5]),
        (xspress(), "meta.AllEvents.1", 1.5),
        (point(samx=2.5), "samx", 2.5),
        (point(**{"INENC1.VAL.Mean": 4}), "INENC1.VAL.Mean", 4.0),
        (point(counts=[1, 2]), "counts", [1.0, 2.0]),
    ],
    ids=["key of a dict", "element", "number", "name with dots", "list"],
)
def test_fields_are_named_with_dots(data: StreamData, field: str, wanted: Any) -> None:
    np.testing.assert_array_equal(take(data, field=field), wanted)


@pytest.mark.parametrize(("statistic", "wanted"), [("sum", 17.0), ("mean", 17 / 3), ("min", 4.0), ("max", 7.0)])
def test_a_statistic_is_made_of_the_valid_values(statistic: str, wanted: float) -> None:
    pixels = np.array([[4, 6, 7], [65535, 900, 65535]], "u2")

    found = take(image(pixels), statistic=statistic, valid_max=100)

    assert found.shape == ()
    assert found == pytest.approx(wanted)


def test_a_statistic_of_nothing_is_not_a_number() -> None:
    assert np.isnan(take(image(PIXELS), statistic="mean", valid_min=500))


def test_start_and_end_are_no_data() -> None:
    chosen = Selection(stream="det")
    selector = Selector(chosen, layout_of(chosen, parse(image(PIXELS))))

    found = [select([selector], EventData(n, {"det": data}), n) for n, data in enumerate([START, image(PIXELS, 5), END])]

    assert [f is not None for f in found] == [False, True, False]
    assert (found[1].position, found[1].number, found[1].frame) == (1, 1, 5)
    assert select([selector], EventData(4, {"other": START}), 4) is None


def test_every_kind_of_data_message_belongs_to_a_protocol() -> None:
    modules = [importlib.import_module(f"penstock.stream.{name}") for name in PROTOCOLS]

    assert {name for name in DATA_MESSAGES for module in modules if hasattr(module, name)} == DATA_MESSAGES
    assert all(any(hasattr(module, name) for name in DATA_MESSAGES) for module in modules)


def test_a_field_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(BadEvent, match="stream 'det', field 'pixels' is not in StinsImage; there are htype, frame, shape"):
        take(image(PIXELS), field="pixels")


def test_private_names_are_no_fields() -> None:
    with pytest.raises(BadEvent, match="field '__class__' is not in StinsImage"):
        take(image(PIXELS), field="__class__")


def test_a_field_without_numbers_is_refused() -> None:
    with pytest.raises(BadEvent, match="stream 'det', field 'compression' is 'none', expected real numbers"):
        take(image(PIXELS), field="compression")


def test_an_image_unlike_those_before_is_damaged() -> None:
    chosen = Selection(stream="det")
    selector = Selector(chosen, layout_of(chosen, parse(image(PIXELS))))

    with pytest.raises(BadEvent, match=r"has shape \(4, 5\) and type uint16; that of the events before has \(4, 6\) and uint16"):
        selector.take(parse(image(PIXELS[:, :5].copy())))


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"region": "0:2,0:7"}, r"has shape \(4, 6\); region '0:2,0:7' lies outside of it \('0:7' of 6\)"),
        ({"region": "0:1,0:1,0:1"}, "region '0:1,0:1,0:1' has 3 axes"),
        ({"channel": 4}, r"has shape \(4, 6\); there is no channel 4"),
        ({"valid_min": 70000}, "has type uint16; no value of it lies between valid_min 70000.0 and valid_max None"),
    ],
    ids=["region outside", "too many axes", "channel", "limits"],
)
def test_a_selection_that_does_not_fit_is_a_wrong_request(selection: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        take(image(PIXELS), **selection)


@pytest.mark.parametrize("region", ["3", "5:2", "a:b", "1:2;3:4", [1, 2, 3]])
def test_a_region_that_is_none_is_told(region: Any) -> None:
    with pytest.raises(ValidationError, match=r"start:stop|valid string"):
        Selection(region=region)


def test_bins_ascend() -> None:
    with pytest.raises(ValidationError, match=r"low 5.0 is not below high 5.0"):
        HistogramParams(low=5.0, high=5.0)
    with pytest.raises(ValidationError, match=r"low 2.0 is not below high 1.0"):
        MapParams(x=AxisSelection(field="x", low=2.0))


SAMPLES = Path(__file__).parents[3] / "shared/data/events/dumps"
FIELDS = {
    "albaem-dump": "channel1",
    "contrast-dump": "dt",
    "dump_xrd": "data",
    "eiger-small": "config.real_time",
    "maui-02-continuous-3": "data.0",
    "pcap-zmq": "frame_number",
    "xspress3-dump": "data",
    "xspress3mini-dump20": "meta.ocr",
}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample captures are not beside the checkout")
@pytest.mark.parametrize(("name", "field"), FIELDS.items(), ids=FIELDS)
def test_samples_of_every_protocol_can_be_selected_from(name: str, field: str) -> None:
    from penstock.stream.capture import Capture

    with Capture.open(SAMPLES / f"{name}.cbors") as capture:
        (stream,) = capture.stream_names
        messages = [(e, parse(e.streams[stream])) for e in capture.events()]
        first = next(message for _, message in messages if type(message).__name__ in DATA_MESSAGES)
        chosen = Selection(stream=stream, field=field)
        selector = Selector(chosen, layout_of(chosen, first))

        found = [select([selector], event, position) for position, (event, _) in enumerate(messages)]

    assert sum(f is not None for f in found) == sum(type(m).__name__ in DATA_MESSAGES for _, m in messages) > 0
