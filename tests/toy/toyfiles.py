"""AT-TPC run files of a few events with known content, in any layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from penstock.formats.attpc import AttpcRun
from penstock.formats.attpc_write import Layout, RawEvent, write_run_file


def matrix(event: int, rows: int = 4, columns: int = 517) -> NDArray[np.int16]:
    traces = np.random.default_rng(event).integers(0, 4096, (rows, columns)).astype(np.int16)
    traces[:, :5] = np.arange(5 * rows).reshape(rows, 5) + event
    return traces


def sis(event: int, samples: int = 64) -> NDArray[np.uint16]:
    return np.random.default_rng(900 + event).integers(0, 60_000, (samples, 8)).astype(np.uint16)


def raw_event(number: int, **changes: Any) -> RawEvent:
    values: dict[str, Any] = {
        "event": number,
        "timestamp": 1000 + number,
        "traces": matrix(number),
        "frib": sis(number),
        "register": 1,
        "orig_run": 7,
        "orig_event": 50 + number,
    }
    return RawEvent(**{**values, **changes})


def run_file(folder: Path, layout: Layout = "merger-1.0", events: tuple[RawEvent, ...] | None = None, **options: Any) -> Path:
    chosen = tuple(raw_event(n) for n in (3, 4, 5)) if events is None else events
    return write_run_file(folder / "run_0042.h5", 42, chosen, layout=layout, **options)


def rejections(path: Path) -> list[tuple[int, str]]:
    with AttpcRun(path) as run:
        return [(r.index, r.reason) for r in run.read(0, run.n_events).rejections]


def replace(path: Path, name: str, data: Any, **options: Any) -> None:
    with h5py.File(path, "r+") as file:
        attributes = dict(file[name].attrs)
        del file[name]
        file.create_dataset(name, data=data, **options).attrs.update(attributes)
