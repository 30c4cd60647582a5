"""The self-check of the event streams: images of known counts, whose sums come out exactly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from penstock.core.canonical import Key
from penstock.events.reductions.blocks import FILE
from penstock.simulate.selfcheck import RUN, Check, Selfcheck, equal
from penstock.simulate.streams import write_stream_run
from penstock.simulate.streams_rings import RingDetector, scan_points
from penstock.simulate.streams_settings import StreamSimulation
from penstock.store import Store

__all__ = ["SELFCHECK"]

POINTS = 60
SETTINGS = StreamSimulation(seed=20260101, compression="bslz4")

_EXPERIMENT = """[experiment]
name = "selfcheck-events"
instrument = "captures"
raw = "raw"
pipeline = ["events.sum", "events.extremes"]

[params.events.sum]
values = { stream = "xrd", unit = "counts" }

[params.events.extremes]
values = { stream = "xrd", unit = "counts" }
"""


def _prepare(folder: Path) -> None:
    raw = folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    write_stream_run(raw, SETTINGS, RUN, POINTS)
    (folder / "experiment.toml").write_text(_EXPERIMENT)


def _compare(folder: Path, store: Store, keys: Mapping[str, Key]) -> list[Check]:
    detector = RingDetector(SETTINGS)
    images = np.stack([detector.image(point, RUN, k) for k, point in enumerate(scan_points(SETTINGS, RUN, POINTS))])
    valid = images != np.iinfo(images.dtype).max
    counts = np.where(valid, images, 0)
    sums, extremes = (_read(store, keys[stage]) for stage in ("events.sum", "events.extremes"))
    seen = valid.any(axis=0)
    return [
        equal("images summed", int(sums["events"]), POINTS),
        equal("pixels whose sum is wrong", _differing(sums["sum"], counts.sum(axis=0, dtype=np.uint64)), 0),
        equal("pixels whose count of masked images is wrong", _differing(sums["masked"], (~valid).sum(axis=0)), 0),
        equal("pixels whose greatest count is wrong", _differing(extremes["greatest"][seen], counts.max(axis=0)[seen]), 0),
        equal("counts in all", int(sums["sum"].sum()), int(counts.sum(dtype=np.uint64))),
    ]


def _read(store: Store, key: Key) -> dict[str, NDArray[np.generic]]:
    with h5py.File(store.data_folder(key) / FILE) as file:
        entry = file["entry"]
        return {name: found[()] for name, found in entry[entry.attrs["default"]].items() if isinstance(found, h5py.Dataset)}


def _differing(found: NDArray[np.generic], expected: NDArray[np.generic]) -> int:
    return int(np.sum(found != expected)) if found.shape == expected.shape else max(found.size, expected.size)


SELFCHECK = Selfcheck(_prepare, _compare)
