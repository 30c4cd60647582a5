"""Small runs of streams, and ready reductions over them without a store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from penstock.core.schema import Records
from penstock.core.stage import RunSource, Stage, load_dotted
from penstock.events.reader import CaptureRun
from penstock.formats.captures import CaptureWriter
from penstock.stream.models import EventData, StreamData

START = StreamData("STINS", [b'{"htype": "header", "filename": "", "msg_number": 0}'])
END = StreamData("STINS", [b'{"htype": "series_end", "msg_number": 99}'])


def image(array: NDArray[Any], frame: int = 0, **changes: Any) -> StreamData:
    """An image as STINS sends it."""
    header = {"htype": "image", "frame": frame, "shape": array.shape, "type": array.dtype.name, "compression": "none", "msg_number": 1}
    return StreamData("STINS", [json.dumps(header | changes).encode(), array.tobytes()])


def point(**columns: Any) -> StreamData:
    """A point of a scan as Sardana posts it."""
    return StreamData("sardana", [json.dumps({"type": "RecordData", "timestamp": 0.0, **columns}).encode()])


def write_run(path: Path, events: Sequence[Mapping[str, StreamData]], first: int = 0) -> Path:
    """A capture of events of these streams, 10 ms apart."""
    with CaptureWriter(path) as writer:
        for number, streams in enumerate(events, first):
            writer.write(EventData(number, dict(streams), 1_700_000_000_000_000_000 + number * 10_000_000))
    return path


def images_run(path: Path, images: NDArray[Any]) -> Path:
    """A capture with a start, an image an event in the stream ``det``, and an end."""
    return write_run(path, [{"det": START}, *({"det": image(array, k)} for k, array in enumerate(images)), {"det": END}])


@dataclass(frozen=True)
class Reduced:
    """What a stage made of a run."""

    path: Path
    records: Records

    def __getitem__(self, name: str) -> Any:
        """A dataset below the default plot, or below the entry."""
        with h5py.File(self.path) as file:
            entry = file["entry"]
            group = entry[entry.attrs["default"]]
            found = group[name] if name in group else entry[name]
            return found[()]

    def attributes(self, name: str = "") -> dict[str, Any]:
        """Attributes of the default plot, or of a dataset of it."""
        with h5py.File(self.path) as file:
            entry = file["entry"]
            group = entry[entry.attrs["default"]]
            return dict((group[name] if name else group).attrs)


def source_of(*paths: Path, run: int = 7) -> RunSource:
    """The run in captures."""
    return RunSource(run, {p.name: p for p in paths}, {}, lambda: CaptureRun(*paths), paths[0].parent)


def reduce_run(stage: Stage, *paths: Path, folder: Path | None = None, **params: Any) -> Reduced:
    """Do all parts of the stage and finish it."""
    out = folder or paths[0].parent / f"{stage.name}-{len(list(paths[0].parent.iterdir()))}"
    values = stage.params.model_validate(params)
    if stage.complete:
        values = load_dotted(stage.complete)(values, paths[0].parent, lambda _: "")
    source = source_of(*paths)
    parts = [out / f"part_{k}" for k in range(load_dotted(stage.count)(source=source, params=values))]
    for number, part in enumerate(parts):
        part.mkdir(parents=True)
        stage.load_body()(source=source, part=number, folder=part, params=values)
    result = out / "result"
    result.mkdir()
    records = load_dotted(stage.finish)(source=source, parts=parts, folder=result, params=values)
    return Reduced(result / "reduced.h5", records)


def random_images(count: int, shape: tuple[int, ...] = (6, 8), dtype: str = "u2", seed: int = 1) -> NDArray[Any]:
    """Images of counts."""
    return np.random.default_rng(seed).integers(0, 1000, (count, *shape)).astype(dtype)
