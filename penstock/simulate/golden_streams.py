"""The golden input of the family ``events``: a small run of an image and two motors, and what its stages make of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.stage import RunSource, Stage, load_dotted
from penstock.events.reader import CaptureRun
from penstock.formats.captures import CaptureWriter
from penstock.stream.models import EventData, StreamData

__all__ = ["stream_results", "write_stream_run"]

EVENTS = 12
ROWS, COLUMNS = 6, 8
_PONI = """poni_version: 2.1
Detector: Detector
Detector_config: {"pixel1": 1e-4, "pixel2": 1e-4, "max_shape": [6, 8], "orientation": 3}
Distance: 0.01
Poni1: 0.0003
Poni2: 0.0004
Rot1: 0
Rot2: 0
Rot3: 0
Wavelength: 1e-10
"""
_USER_CODE = """
import numpy as np


class Worker:
    def process_event(self, event, parameters=None):
        if "det" in event.streams and len(event.streams["det"].frames) > 1:
            return np.frombuffer(event.streams["det"].frames[1], "u2").astype("f8")


class Reducer:
    def __init__(self):
        self.publish = {"sum": np.zeros(48)}

    def process_result(self, result, parameters=None):
        self.publish["sum"] += result.payload
"""
_IMAGES: dict[str, Any] = {"stream": "det"}
_PARAMS: dict[str, dict[str, Any]] = {
    "events.mapreduce": {"worker": "golden_classes:Worker", "reducer": "golden_classes:Reducer", "nworkers": 1},
    "events.sum": {"values": _IMAGES},
    "events.mean": {"values": _IMAGES},
    "events.extremes": {"values": _IMAGES},
    "events.histogram": {"values": _IMAGES, "high": 100.0, "bins": 20},
    "events.stack": {"values": _IMAGES | {"region": "1:4,2:6"}},
    "events.timeseries": {"values": _IMAGES | {"statistic": "mean"}},
    "events.map": {
        "signal": _IMAGES,
        "x": {"stream": "motors", "field": "x", "step": 0.5},
        "y": {"stream": "motors", "field": "y", "low": 0.0, "high": 3.0, "bins": 3},
    },
    "events.profile": {"image": _IMAGES, "poni": "golden.poni", "bins": 5},
}


def write_stream_run(folder: Path) -> Path:
    """Write the run, and the files that parameters of its stages name, into a folder; the capture's path."""
    (folder / "golden.poni").write_text(_PONI)
    (folder / "golden_classes.py").write_text(_USER_CODE)
    path = folder / "run_0001.cbors"
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    start = StreamData("STINS", [json.dumps({"htype": "header", "filename": "", "msg_number": 0}).encode()])
    with CaptureWriter(path) as writer:
        writer.write(EventData(0, {"det": start}, 0))
        for frame in range(EVENTS):
            image = (10 + rows * columns + 7 * frame * (columns % 3) % 50).astype(np.uint16)
            image[2, 3] = np.iinfo(np.uint16).max
            point = {"type": "RecordData", "timestamp": 0.1 * frame, "x": 0.5 * (frame % 4) + 0.01, "y": frame // 4 + 0.5}
            streams = {"det": _image(image, frame), "motors": StreamData("sardana", [json.dumps(point).encode()])}
            writer.write(EventData(frame + 1, streams, 100_000_000 * (frame + 1)))
    return path


def _image(image: NDArray[Any], frame: int) -> StreamData:
    header = {
        "htype": "image", "frame": frame, "shape": image.shape, "type": image.dtype.name, "compression": "none", "msg_number": frame + 1,
    }  # fmt: skip
    return StreamData("STINS", [json.dumps(header).encode(), image.tobytes()])


def stream_results(stage: Stage, path: Path, folder: Path) -> Mapping[str, NDArray[Any]]:
    """What a stage of parts makes of the run: all finite numbers, by file and dataset.

    Parameters
    ----------
    path
        As `write_stream_run` returns it.
    folder
        Empty; the stage's files go there.
    """
    params = stage.params.model_validate(_PARAMS.get(stage.name, {}))
    if stage.complete:
        params = load_dotted(stage.complete)(params, path.parent, lambda _: "golden")
    source = RunSource(1, {"events": path}, {}, lambda: CaptureRun(path), path.parent)
    parts = []
    for part in range(load_dotted(stage.count)(source=source, params=params)):
        parts.append(folder / f"part_{part}")
        parts[-1].mkdir()
        stage.load_body()(source=source, part=part, folder=parts[-1], params=params)
    result = folder / "result"
    result.mkdir()
    load_dotted(stage.finish)(source=source, parts=parts, folder=result, params=params)
    return dict(_numbers(result))


def _numbers(folder: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    import h5py

    for path in sorted(folder.rglob("*.h5")):
        with h5py.File(path) as file:
            names: list[str] = []
            file.visit(names.append)
            for name in names:
                if isinstance(file[name], h5py.Dataset) and file[name].dtype.kind in "iuf":
                    values = np.asarray(file[name][()]).reshape(-1)
                    yield f"{path.stem}.{name.replace('/', '.')}", values[np.isfinite(values)]
