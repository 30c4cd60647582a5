"""Workers and a reducer that replay under penstock and under dranspose alike, imports included."""

from __future__ import annotations

import json
import resource
import time
from typing import Any

import numpy as np
from dranspose.data.stream1 import Stream1Data
from dranspose.middlewares.stream1 import parse

SORTS = 200
"""How often `SortingWorker` sorts a frame: about four milliseconds for one of 100 x 100 pixels."""


class MeanWorker:
    """The mean of a region of interest."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def process_event(self, event: Any, parameters: Any = None, tick: bool = False) -> float | None:
        """What is made of an image; None for start and end."""
        packet = parse(event.streams["det"])
        return self.look_at(packet.data) if isinstance(packet, Stream1Data) else None

    def look_at(self, image: Any) -> float:
        """The figure of one image."""
        return float(image[20:60, 20:60].mean())


class IdleWorker(MeanWorker):
    """Gets the parsed image and does nothing with it."""

    def look_at(self, image: Any) -> float:
        """One, whatever the image."""
        return 1.0


class SortingWorker(MeanWorker):
    """Takes its time: medians of the whole frame."""

    def look_at(self, image: Any) -> float:
        """The median."""
        for _ in range(SORTS):
            values = np.sort(image, axis=None)
        return float(values[image.size // 2])


class TimingReducer:
    """Counts and sums; prints what passed between its construction and the end as JSON: CPU of this process, and wall time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.results, self.sum = 0, 0.0
        self.began = cpu_seconds(), time.perf_counter()

    def process_result(self, result: Any, parameters: Any = None) -> None:
        """One more result."""
        self.results += 1
        self.sum += result.payload

    def finish(self, parameters: Any = None) -> None:
        """Tell the figures."""
        cpu, wall = cpu_seconds() - self.began[0], time.perf_counter() - self.began[1]
        print(json.dumps({"results": self.results, "sum": self.sum, "cpu_s": cpu, "wall_s": wall}), flush=True)


def cpu_seconds() -> float:
    """User and system time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
