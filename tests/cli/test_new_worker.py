"""``penstock new-worker``: what it writes runs at once, for streams of every protocol."""

from __future__ import annotations

import json
import pickle
import shlex
import struct
from pathlib import Path
from typing import Any

import bitshuffle
import h5py
import numpy as np
import pytest

from penstock.core.errors import ConfigError
from penstock.events.skeleton import make_skeleton, write_skeleton
from penstock.formats.captures import CaptureWriter
from penstock.simulate.streams import write_stream_run
from penstock.simulate.streams_settings import StreamSimulation
from penstock.stream.models import EventData, StreamData
from penstock.stream.protocols import PROTOCOLS

POINTS = 4
PIXELS = np.arange(48, dtype=np.uint32).reshape(6, 8)
HEADER = b"arm_time: 2024-03-05T13:01:02.503Z\nmissed: 0\nprocess: Scaled\nformat: ASCII\nfields:\n INENC1.VAL double Mean\n\n"

Messages = tuple[list[bytes], list[list[bytes]], list[bytes]]
"""Start, one a point, end."""


def text(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def stins(k: int) -> list[bytes]:
    return [text(htype="image", frame=k, shape=[6, 8], type="uint32", compression="none", msg_number=k + 1), (PIXELS + k).tobytes()]


def eiger(k: int) -> list[bytes]:
    blob = struct.pack(">QI", PIXELS.nbytes, 8192) + bytes(bitshuffle.compress_lz4((PIXELS + k).reshape(-1), 2048))
    described = text(htype="dimage_d-1.0", encoding="bs32-lz4<", shape=[8, 6], size=len(blob), type="uint32")
    return [
        text(htype="dimage-1.0", frame=k, hash="", series=1),
        described,
        blob,
        text(htype="dconfig-1.0", start_time=0, stop_time=1, real_time=1),
    ]


def xspress(k: int) -> list[bytes]:
    header = text(htype="image", frame=k, shape=[2, 24], exptime=0.1, type="uint32", compression="none")
    return [header, (PIXELS + k).tobytes(), pickle.dumps([np.zeros(2)] * 9)]


def lecroy(k: int) -> list[bytes]:
    head = text(htype="msg", what=1, frame=k, ntriggers=-1, seqno=k, channels=[2])
    about = text(htype="traces", ch=2, ts=1.0, frame=k, shape=[1, 4], horiz_offset=0.0, horiz_interval=1e-9, dtype="float64")
    return [head, about, np.full(4, float(k)).tobytes(), pickle.dumps([1.0]), text(htype="msg", what=2, frame=k)]


def series(kind: str, **fields: Any) -> list[bytes]:
    return [text(message_id=1, version=1, message_type=kind, **fields)]


def contrast(status: str, **fields: Any) -> list[bytes]:
    return [pickle.dumps({"status": status, **fields})]


def record(kind: str, **fields: Any) -> list[bytes]:
    return [text(type=kind, **fields)]


POINT = range(POINTS)
SCAN = {"path": "", "scannr": 1, "description": "dscan"}
STREAMS: dict[str, Messages] = {
    "stins": ([text(htype="header", filename="", msg_number=0)], [stins(k) for k in POINT], [text(htype="series_end", msg_number=9)]),
    "eiger": ([text(htype="dheader-1.0", header_detail="none", series=1)], [eiger(k) for k in POINT], [text(htype="dseries_end-1.0", series=1)]),
    "xspress3": ([text(htype="header", filename="")], [xspress(k) for k in POINT], [text(htype="series_end")]),
    "contrast": (contrast("started", **SCAN), [contrast("running", dt=0.1 * k, sx=k, pseudo={"x": np.array([k])}) for k in POINT], contrast("finished", **SCAN)),
    "pcap": (
        series("series-start", arm_time="2024-10-07T08:49:10.627Z"),
        [series("data", frame_number=k, **{"INENC3.VAL.Mean": 0.5 * k}) for k in POINT],
        series("series-end"),
    ),
    "positioncap": ([HEADER], [[f" {k}.5\n".encode()] for k in POINT], [b"END 4 Disarmed\n"]),
    "albaem": (
        series("series-start"),
        [series("data", frame_number=k, timestamp=1.0 * k, acquisition_timestamp=k, channel1=1e-9 * k) for k in POINT],
        series("series-end"),
    ),
    "lecroy": ([text(htype="msg", what=0, frame=0)], [lecroy(k) for k in POINT], [text(htype="msg", what=3, frame=4, frames=4)]),
    "sardana": (record("DataDescription", serialno=1, scandir="", title="ascan"), [record("RecordData", timestamp=0.1 * k, mot01=2.0 * k) for k in POINT], record("RecordEnd")),
}  # fmt: skip


def capture(path: Path, *names: str) -> Path:
    """A capture of these protocols, a stream each; it is named ``<protocol> 1``."""
    with CaptureWriter(path) as writer:
        for number in range(POINTS + 2):
            place = 0 if number == 0 else 2 if number > POINTS else 1
            streams = {}
            for name in names:
                sent = STREAMS[name][place]
                frames: Any = sent[number - 1] if place == 1 else sent
                streams[f"{name} 1"] = StreamData(PROTOCOLS[name].typ, frames)
            writer.write(EventData(number, streams))
    return path


def test_there_is_a_capture_of_every_protocol() -> None:
    assert STREAMS.keys() == PROTOCOLS.keys()


def test_a_skeleton_for_all_protocols_runs_at_once(penstock, tmp_path: Path) -> None:
    capture(tmp_path / "all.cbors", *STREAMS)

    written = penstock("new-worker", "--from", "all.cbors", "--json", folder=tmp_path)
    assert written.code == 0, written.err
    replayed = penstock(*shlex.split(written.json["command"])[1:], folder=tmp_path)

    assert replayed.code == 0, replayed.err
    with h5py.File(tmp_path / "output" / "reduced.h5") as file:
        points = file[file.attrs["default"]]
        assert points["event_number"][:].tolist() == [1, 2, 3, 4]
        assert points.attrs["signal"] == "stins_1_sum"
        for name in ("stins_1_sum", "eiger_1_sum", "xspress3_1_counts"):
            np.testing.assert_array_equal(points[name], [PIXELS.sum() + 48 * k for k in POINT])
        np.testing.assert_array_equal(points["stins_1_columns"], [PIXELS.mean(axis=0) + k for k in POINT])
        np.testing.assert_array_equal(
            points["xspress3_1_spectrum"], [PIXELS[:3].reshape(24) + PIXELS[3:].reshape(24) + 2 * k for k in POINT]
        )
        for name, step, first in (
            ("lecroy_1_channel2", 1.0, 0.0), ("sx", 1.0, 0.0), ("pseudo_x", 1.0, 0.0), ("INENC3.VAL.Mean", 0.5, 0.0),
            ("INENC1.VAL.Mean", 1.0, 0.5), ("channel1", 1e-9, 0.0), ("mot01", 2.0, 0.0),
        ):  # fmt: skip
            np.testing.assert_allclose(points[name], first + step * np.arange(POINTS))


@pytest.mark.parametrize("name", STREAMS)
def test_a_skeleton_for_one_protocol_is_sound_python(tmp_path: Path, name: str) -> None:
    skeleton = make_skeleton([capture(tmp_path / "one.cbors", name)])

    names: dict[str, Any] = {}
    exec(compile(skeleton.worker.replace("from __future__ import annotations", ""), "worker.py", "exec"), names)
    assert callable(names["Worker"]().process_event)
    assert ("import numpy" in skeleton.worker) == ("np." in skeleton.worker)
    assert skeleton.streams == {f"{name} 1": PROTOCOLS[name].typ}


def test_simulated_captures_of_a_scan_are_joined(penstock, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    write_stream_run(tmp_path / "raw", StreamSimulation(), 1, 9)
    files = [f"raw/run_0001.{name}.cbors" for name in ("xrd", "contrast", "pcap")]

    written = penstock("new-worker", "--from", *files, "--out", "mine", folder=tmp_path)

    assert written.code == 0, written.err
    assert written.out.splitlines() == [
        "mine/src/worker.py and mine/src/reducer.py written, for xrd (STINS), contrast (contrast), pcap (PCAP).",
        f"Next: cd mine && penstock replay -w src.worker:Worker -r src.reducer:Reducer -f {' '.join(f'../{f}' for f in files)}",
    ]
    command = shlex.split(written.out.splitlines()[1].partition("penstock ")[2])
    assert penstock(*command, folder=tmp_path / "mine").code == 0
    with h5py.File(tmp_path / "mine" / "output" / "reduced.h5") as file, h5py.File(tmp_path / "raw" / "run_0001.truth.h5") as truth:
        np.testing.assert_array_equal(file["points/sx"], truth["sx_mm"])
        assert np.isnan(file["points/energy"]).tolist() == [k % 4 != 0 for k in range(9)]


def test_files_that_are_there_are_not_written_over(penstock, tmp_path: Path) -> None:
    capture(tmp_path / "one.cbors", "albaem")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "reducer.py").write_text("mine")

    result = penstock("new-worker", "--from", "one.cbors", folder=tmp_path)

    assert result.code == 2
    assert "src/reducer.py is there already, and is not written over. Name another folder with --out." in result.err
    assert [p.name for p in (tmp_path / "src").iterdir()] == ["reducer.py"]


def test_images_that_cannot_be_decoded_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "zip.cbors"
    header = text(htype="image", frame=0, shape=[6, 8], type="uint32", compression="zip", msg_number=1)
    with CaptureWriter(path) as writer:
        writer.write(EventData(0, {"xrd": StreamData("STINS", [header, b"PK"])}))

    worker = make_skeleton([path]).worker

    assert "# No pixels: compression 'zip' is not known" in worker
    assert "acquired.data" not in worker


def test_a_stream_of_an_unknown_protocol_is_mentioned_in_the_worker(tmp_path: Path) -> None:
    path = tmp_path / "two.cbors"
    with CaptureWriter(path) as writer:
        writer.write(EventData(0, {"odd": StreamData("STINZ", [b""]), "a": StreamData("albaem", series("series-start"))}))

    skeleton = make_skeleton([path])
    write_skeleton(skeleton, tmp_path / "src")

    assert "# event.streams[\"odd\"].frames: protocol 'STINZ' is not known." in (tmp_path / "src" / "worker.py").read_text()


def test_a_capture_without_any_known_stream_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.cbors"
    with CaptureWriter(path) as writer:
        writer.write(EventData(0, {"odd": StreamData("STINZ", [b""])}))

    with pytest.raises(ConfigError, match=r"no stream is of a known protocol \('odd' of 'STINZ'\)\. Write the worker by hand"):
        make_skeleton([path])
