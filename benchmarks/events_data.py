"""Captures of images that the benchmarks replay, made once and kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from penstock.formats.captures import CaptureWriter
from penstock.stream.models import EventData, StreamData

__all__ = ["ImageCapture"]

TEMPLATES = 8
BEGAN_NS = 1_760_000_000_000_000_000
STEP_NS = 1_000_001_000
"""Between events; of an odd number of microseconds, so that all times are written with them."""


@dataclass(frozen=True, slots=True)
class ImageCapture:
    """A capture of a STINS stream ``det``: a start message, square uint16 images of a few kinds in turn, an end message."""

    images: int
    side: int

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.images} images of {self.side}x{self.side}"

    def provide(self, folder: Path) -> Path:
        """The file, made where there is none."""
        path = folder / f"images_{self.side}_{self.images}.cbors"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            with CaptureWriter(part) as writer:
                for event in self._events():
                    writer.write(event)
            part.rename(path)
        return path

    def mean_sum(self) -> float:
        """Sum over all images of the mean that `MeanWorker` takes."""
        means = [float(_template(k, self.side)[20:60, 20:60].mean()) for k in range(TEMPLATES)]
        return sum(means[k % TEMPLATES] for k in range(self.images))

    def _events(self) -> Iterator[EventData]:
        frames = [_template(k, self.side).tobytes() for k in range(TEMPLATES)]
        headers = [{"htype": "header", "filename": "", "msg_number": 0}]
        for k in range(self.images):
            shape = [self.side, self.side]
            headers.append({"htype": "image", "frame": k, "shape": shape, "type": "uint16", "compression": "none", "msg_number": k + 1})
        headers.append({"htype": "series_end", "msg_number": self.images + 1})
        for number, header in enumerate(headers):
            pixels = [frames[(number - 1) % TEMPLATES]] if header["htype"] == "image" else []
            yield EventData(number, {"det": StreamData("STINS", [orjson.dumps(header), *pixels])}, BEGAN_NS + number * STEP_NS)


def _template(kind: int, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    return np.random.default_rng(kind).integers(0, 4096, (side, side)).astype(np.uint16)
