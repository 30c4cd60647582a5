"""What the machine takes for the work that a TPC stage cannot do without, done by libraries: the distance to the limit.

The limits are no lower bounds in the strict sense; they say whether a stage is near to what memory, a Fourier transform
or a table of distances costs. The last line printed is JSON.
"""

from __future__ import annotations

import os

from machine import THREADS_OFF, describe_machine

# Libraries size their thread pools when they are imported.
if __name__ == "__main__":
    os.environ.update(THREADS_OFF)

import argparse
import hashlib
import time
from collections.abc import Callable, Sequence

import numpy as np
from figures import Row, format_table, json_line
from scipy import fft
from scipy.linalg import solveh_banded
from scipy.spatial.distance import cdist, pdist

from penstock.tpc.schemas import MESH_SAMPLES, TrackMesh

__all__ = ["LIMITS", "main"]

TRACES, SAMPLES = 459, 512
RAW_BYTES = 650_000
"""Of an event with one track, as the merger writes it."""
POINTS = 380
ITERATIONS = 6
SPLINES = 3


def copied(size: int) -> Callable[[], object]:
    """Copy so many bytes, in pieces that no cache of a core holds, to somewhere else."""
    source = np.zeros(64_000_000, dtype=np.uint8)
    target = np.empty_like(source)
    starts = iter(np.arange(10**9) * size % (len(source) - size))

    def copy() -> None:
        start = int(next(starts))
        target[start : start + size] = source[start : start + size]

    return copy


def hashed(size: int) -> Callable[[], object]:
    """SHA-256 of so many bytes."""
    data = bytes(size)
    return lambda: hashlib.sha256(data).digest()


def filtered() -> Callable[[], object]:
    """Real Fourier transform of the traces of an event and back, in single precision."""
    traces = np.random.default_rng(1).normal(size=(TRACES, SAMPLES)).astype(np.float32)
    return lambda: fft.irfft(fft.rfft(traces, axis=1), axis=1)


def compared() -> Callable[[], object]:
    """Distances of all pairs of the points of an event."""
    points = np.random.default_rng(2).normal(size=(POINTS, 3))
    return lambda: pdist(points, "sqeuclidean")


def smoothed() -> Callable[[], object]:
    """Smoothing splines of three quantities of a track: banded systems, factored once."""
    bands = np.ones((3, POINTS))
    bands[2] = 6.0
    right = np.random.default_rng(3).normal(size=(POINTS, SPLINES))
    return lambda: solveh_banded(bands, right)


def measured() -> Callable[[], object]:
    """Distances of the points of a track from all samples of a trajectory."""
    rng = np.random.default_rng(4)
    points, track = rng.normal(size=(POINTS, 3)), rng.normal(size=(MESH_SAMPLES, 3))
    return lambda: cdist(points, track, "sqeuclidean")


def node_bytes() -> int:
    """Of a node of the track mesh."""
    return sum(np.dtype(c.dtype).itemsize * int(np.prod(c.shape)) for c in TrackMesh.table("events").columns)


LIMITS: dict[str, tuple[str, Callable[[], Callable[[], object]], int]] = {
    "tpc.points: raw bytes copied": ("ms/event", lambda: copied(RAW_BYTES), 1),
    "tpc.points: raw bytes hashed (SHA-256)": ("ms/event", lambda: hashed(RAW_BYTES), 1),
    "tpc.points: traces through a Fourier transform and back": ("ms/event", filtered, 1),
    "tpc.clusters: distances of all pairs, for tree and outliers": ("ms/event", compared, 3),
    "tpc.estimates: banded systems of three splines": ("ms/event", smoothed, 1),
    "tpc.mesh: bytes of a node copied": ("ms/node", lambda: copied(node_bytes()), 1),
    "tpc.mesh: bytes of a node hashed (SHA-256)": ("ms/node", lambda: hashed(node_bytes()), 1),
    "tpc.fits: distances from all samples, six iterations": ("ms/track", measured, ITERATIONS),
}
"""Unit, what is done, and how many times."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5, metavar="S", help="CPU time spent on each figure; default 0.5")
    options = parser.parse_args(arguments)
    print(describe_machine())
    rows = [Row(name, unit, times * _cpu_ms(prepare(), options.seconds)) for name, (unit, prepare, times) in LIMITS.items()]
    print("\n" + format_table("work that a stage cannot do without", rows, ours="limit"))
    print(json_line(rows))


def _cpu_ms(action: Callable[[], object], seconds: float) -> float:
    """Median CPU time of an action, over batches of ten."""
    action()
    costs: list[float] = []
    end = time.process_time() + seconds
    while len(costs) < 3 or time.process_time() < end:
        began = time.process_time()
        for _ in range(10):
            action()
        costs.append(100.0 * (time.process_time() - began))
    return float(np.median(costs))


if __name__ == "__main__":
    main()
