"""Events, messages, parameters and types under the names that workers for dranspose import."""

from __future__ import annotations

import io
import json
import logging
import pickle
import threading
from datetime import UTC, datetime
from pathlib import Path

import cbor2
import h5py
import numpy as np
import pytest

from penstock.compat.dranspose import (
    albaem,
    contrast,
    eiger_legacy,
    event,
    h5dump,
    lecroy,
    parameters,
    pcap,
    positioncap,
    sardana,
    stream1,
    xspress,
)
from penstock.compat.dranspose.models import Model
from penstock.core.errors import BadEvent
from penstock.stream import models, stins
from penstock.stream.models import StreamData

PIXELS = np.arange(6, dtype=np.uint16).reshape(2, 3)
HEADER = StreamData("STINS", [b'{"htype": "header", "filename": "a.h5", "msg_number": 0, "meta": {"energy": 12.4}}'])
IMAGE = StreamData(
    "STINS",
    [b'{"htype": "image", "frame": 4, "shape": [2, 3], "type": "uint16", "compression": "none", "msg_number": 5}', PIXELS.tobytes()],
)
COLUMNS = [positioncap.PositionCapField("INENC1.VAL.Mean", "double", 1.5), positioncap.PositionCapField("PCAP.BITS0.Value", "uint32", 7)]


def written(item: object) -> bytes:
    file = io.BytesIO()
    cbor2.CBOREncoder(file, default=event.message_encoder).encode(item)
    return file.getvalue()


def test_parsed_images_have_the_class_and_the_fields_that_workers_expect() -> None:
    acquired = stream1.parse(IMAGE)

    assert type(acquired) is stream1.Stream1Data
    assert isinstance(acquired, stins.StinsImage)
    assert np.array_equal(acquired.data, PIXELS)
    assert (acquired.frame, acquired.shape, acquired.msg_number) == (4, [2, 3], 5)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (stream1.parse(HEADER), "Stream1Start(msg_number=0, htype='header', filename='a.h5', meta={'energy': 12.4})"),
        (stream1.Stream1Start(msg_number=0, filename=""), "Stream1Start(msg_number=0, htype='header', filename='')"),
        (stream1.Stream1End(msg_number=9), "Stream1End(msg_number=9, htype='series_end')"),
        (xspress.XspressEnd(), "XspressEnd(htype='series_end')"),
        (eiger_legacy.EigerLegacyEnd(htype="dseries_end-1.0", series=6), "EigerLegacyEnd(htype='dseries_end-1.0', series=6)"),
        (sardana.SardanaRecordData(timestamp=0.5, x=1), "SardanaRecordData(type='RecordData', timestamp=0.5, x=1)"),
        (contrast.ContrastRunning(dt=2.0, x=0), "ContrastRunning(status='running', dt=2.0, x=0)"),
        (lecroy.LecroyPrepare(frame=0, htype="msg", what=0), "LecroyPrepare(htype='msg', what=0, frame=0)"),
        (
            pcap.PCAPEnd(message_id=6, version=1, message_type="series-end"),
            "PCAPEnd(message_id=6, version=1, message_type='series-end')",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Model) else "",
)
def test_messages_print_their_class_and_their_fields_in_order(message: Model, shown: str) -> None:
    assert repr(message) == shown


def test_a_message_made_by_hand_without_a_needed_field_is_refused() -> None:
    with pytest.raises(BadEvent, match="Stream1Data: field 'frame' is missing; there are 'htype', 'msg_number'"):
        stream1.Stream1Data(msg_number=1)


def test_messages_turn_into_dicts_and_json() -> None:
    message = stream1.parse(HEADER)

    assert message.model_dump(exclude={"meta"}) == {"htype": "header", "filename": "a.h5", "msg_number": 0}
    assert message.model_dump(include={"filename"}) == {"filename": "a.h5"}
    assert json.loads(message.model_dump_json()) == json.loads(HEADER.frames[0])
    assert message.model_extra == {"meta": {"energy": 12.4}}


def test_messages_come_back_from_their_contribution_to_an_event() -> None:
    made = stream1.Stream1Data(frame=4, shape=[2, 3], type="uint16", compression="none", msg_number=5, data=PIXELS)

    assert repr(stream1.parse(made.to_stream_data())) == repr(stream1.parse(IMAGE))


@pytest.mark.parametrize(
    "made",
    [
        pcap.PCAPData(message_id=2, version=1, message_type="data", frame_number=3, energy=8.9),
        contrast.ContrastStarted(path="/data", scannr=2, description="mesh", snapshot={"x": 0.5}),
    ],
    ids=["pcap", "contrast"],
)
def test_contributions_of_other_protocols_are_parsed_again(made: Model) -> None:
    parse = {"PCAP": pcap.parse, "contrast": contrast.parse}[made.to_stream_data().typ]  # type: ignore[attr-defined]

    assert parse(made.to_stream_data()) == made  # type: ignore[attr-defined]


def test_an_adapter_makes_the_message_that_a_field_names() -> None:
    started = {"message_id": 1, "version": 1, "message_type": "series-start"}

    assert type(albaem.AlbaemPacket.validate_python(started)) is albaem.AlbaemStart
    assert type(albaem.AlbaemPacket.validate_json(json.dumps(started))) is albaem.AlbaemStart


def test_an_adapter_says_what_it_knows_where_the_field_names_something_else() -> None:
    with pytest.raises(BadEvent, match="albaem: 'message_type' is 'begin'; expected 'series-start', 'data', 'series-end'"):
        albaem.AlbaemPacket.validate_python({"message_type": "begin"})


def test_lines_of_a_pandabox_are_parsed_with_the_header_before_them() -> None:
    parser = positioncap.PositioncapParser()
    armed = datetime(2024, 1, 2, 3, 4, 5)

    start = parser.parse(positioncap.PositionCapStart(arm_time=armed).to_stream_data(COLUMNS))
    values = parser.parse(positioncap.PositionCapValues(fields={c.name: c for c in COLUMNS}).to_stream_data())
    end = parser.parse(positioncap.PositionCapEnd().to_stream_data())

    assert isinstance(start, positioncap.PositionCapStart)
    assert start.arm_time == armed
    assert isinstance(values, positioncap.PositionCapValues)
    assert {name: field.value for name, field in values.fields.items()} == {"INENC1.VAL.Mean": 1.5, "PCAP.BITS0.Value": 7}
    assert isinstance(end, positioncap.PositionCapEnd)


def test_every_event_of_penstock_is_an_event_of_dranspose() -> None:
    assert isinstance(models.EventData(1, {}), event.EventData)
    assert not isinstance(HEADER, event.EventData)


def test_parts_of_an_event_are_put_together() -> None:
    parts = [event.InternalWorkerMessage(event_number=3, streams={name: HEADER}) for name in ("a", "b")]

    whole = event.EventData.from_internals(parts)

    assert (whole.event_number, sorted(whole.streams)) == (3, ["a", "b"])


def test_parts_with_different_numbers_are_refused() -> None:
    with pytest.raises(BadEvent, match="event 3: a part has number 4"):
        event.EventData.from_internals([event.InternalWorkerMessage(3), event.InternalWorkerMessage(4)])


def test_a_part_keeps_when_it_was_recorded_in_ns() -> None:
    at = datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    part = event.InternalWorkerMessage(event_number=3, streams={"a": HEADER}, created_at=at)

    assert part.created_at == 1704164645678901000
    assert part.get_all_frames() == HEADER.frames
    assert pickle.loads(pickle.dumps(part)).created_at == part.created_at


def test_captures_are_written_and_read_through_the_hooks() -> None:
    part = event.InternalWorkerMessage(3, {"a": HEADER}, datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))

    read = cbor2.loads(written(part), tag_hook=event.message_tag_hook)

    assert (read, read.created_at) == (part, part.created_at)


def test_what_is_no_part_of_an_event_is_not_written() -> None:
    with pytest.raises(TypeError, match="Model: only events and streams are written"):
        event.message_encoder(None, Model())


def test_other_tags_of_a_capture_are_left_alone() -> None:
    assert cbor2.loads(cbor2.dumps(cbor2.CBORTag(4711, [1])), tag_hook=event.message_tag_hook).tag == 4711


def test_descriptions_of_parameters_are_made_of_dicts() -> None:
    (made,) = parameters.ParameterList.validate_python([{"name": "till_x", "dtype": "int", "default": 2}])

    assert made == parameters.IntParameter(name="till_x", default=2)
    assert isinstance(made, parameters.ParameterType)


def test_a_published_tree_is_written_with_its_attributes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tree = {"scan": {"sum": PIXELS, "sum_attrs": {"unit": "counts"}, "when": np.datetime64("2024-01-02")}, "_attrs": {"creator": "test"}}

    with caplog.at_level(logging.WARNING):
        h5dump.dump(tree, tmp_path / "tree.h5", lock=threading.Lock())

    with h5py.File(tmp_path / "tree.h5") as file:
        assert np.array_equal(file["scan/sum"][:], PIXELS)
        assert (file["scan/sum"].attrs["unit"], dict(file.attrs)) == ("counts", {"creator": "test"})
        assert "when" not in file["scan"]
    assert "/scan/when is left out of" in caplog.text


def traces() -> StreamData:
    """A sequence of one channel."""
    start = {"htype": "msg", "what": 1, "frame": 0, "ntriggers": 1, "seqno": 0, "channels": [2]}
    trace = {"htype": "traces", "ch": 2, "ts": 1.5, "frame": 0, "shape": [1, 3], "dtype": "float64"}
    trace |= {"horiz_offset": 0.0, "horiz_interval": 1e-9}
    end = {"htype": "msg", "what": 2, "frame": 1}
    samples = np.array([[0.5, 1.5, -1.0]])
    return StreamData(
        lecroy.LECROY_TYPE,
        [json.dumps(start).encode(), json.dumps(trace).encode(), samples.tobytes(), pickle.dumps([1.5]), json.dumps(end).encode()],
    )


def test_traces_have_the_classes_of_dranspose_down_to_each_channel() -> None:
    parsed = lecroy.parse(traces())

    assert isinstance(parsed, lecroy.LecroyParsed)
    assert isinstance(parsed, lecroy.LecroySeqStart)
    assert isinstance(parsed.meta[0], lecroy.LecroyData)
    assert parsed.model_dump()["meta"][0]["horiz_interval"] == 1e-9
    assert parsed.model_extra.keys() == {"meta", "data", "timestamps"}
    assert (parsed.data[0].max(), parsed.timestamps) == (1.5, [[1.5]])


def test_spectra_come_back_with_their_scalers() -> None:
    meta = {name: np.arange(2) for name in ("ocr", "AllEvents", "AllGood", "ClockTicks", "TotalTicks", "ResetTicks", "event_widths", "dtc")}
    made = xspress.XspressImage(frame=3, shape=[2, 3], type="uint16", data=PIXELS, meta=meta)

    parsed = xspress.parse(made.to_stream_data())

    assert type(parsed) is xspress.XspressImage
    assert np.array_equal(parsed.data, PIXELS)
    assert parsed.meta.keys() == meta.keys()
    assert parsed.model_dump().keys() == {"htype", "exptime", "compression", "frame", "shape", "type", "data", "meta"}
