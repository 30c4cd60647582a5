"""Simulated runs for the benchmarks of the TPC, made once and kept, and their truth."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet

from penstock.formats.attpc_write import Compression
from penstock.simulate.tpc_runs import truth_path, write_run
from penstock.simulate.tpc_settings import Particle, TpcSimulation

__all__ = ["ESTIMATE_TRUTH", "EVENTS_PER_RUN", "FIT_TRUTH", "RunSet", "read_truth", "unique_events"]

EVENTS_PER_RUN = 1_000_000
"""Event numbers are made unique among runs by adding this many for each run."""


ESTIMATE_TRUTH = ("event", "polar", "brho", "vertex_z", "trigger")
FIT_TRUTH = (*ESTIMATE_TRUTH, "ke", "azimuthal", "ic_amplitude", "ic_multiplicity")
"""Columns of the truth that the scorers want."""


@dataclass(frozen=True, slots=True)
class RunSet:
    """Some runs of one kind; how many events each has stands in the folder's name, so that another size is another set."""

    name: str
    runs: tuple[int, ...]
    events: int
    seed: int
    particles: tuple[Particle, ...] = ("p",)
    compression: Compression = "gzip"
    changes: Mapping[str, object] = field(default_factory=dict)
    """Further settings of the simulation, part of what the name stands for."""

    def folder(self, data: Path) -> Path:
        """Where the runs lie below the data folder."""
        return data / f"{self.name}-{len(self.runs)}x{self.events}"

    def provide(self, data: Path) -> Path:
        """Simulate the runs that are not there yet; their folder."""
        folder = self.folder(data)
        folder.mkdir(parents=True, exist_ok=True)
        settings = TpcSimulation.model_validate({"seed": self.seed, "particles": self.particles, **self.changes})
        for run in self.runs:
            path = folder / f"run_{run:04d}.h5"
            if not (path.exists() and truth_path(path).exists()):
                print(f"simulating {folder.name}/{path.name}: {self.events} events", file=sys.stderr, flush=True)
                write_run(folder, settings, run, self.events, compression=self.compression)
        return folder


def read_truth(path: Path, *, leave_out: int | None = None, names: Sequence[str] = ESTIMATE_TRUTH) -> dict[str, NDArray[Any]]:
    """Truth of a run, one row a track, events made unique among runs; from Parquet, or from the dataset ``truth`` of an HDF5 file.

    Parameters
    ----------
    path
        The run file.
    leave_out
        An event whose tracks do not count, because it was never read.
    names
        Columns that are wanted.
    """
    run = int(path.stem.rpartition("_")[2])
    if truth_path(path).exists():
        table = parquet.read_table(truth_path(path), columns=list(names))
        columns = {name: table.column(name).to_numpy() for name in names}
    else:
        with h5py.File(path.with_suffix(".truth.h5")) as file:
            rows = file["truth"][:]
        columns = {name: rows[name] for name in names}
    kept = columns["event"] != (-1 if leave_out is None else leave_out)
    columns = {name: values[kept] for name, values in columns.items()}
    columns["event"] = unique_events(np.full(len(columns["event"]), run), columns["event"])
    return columns


def unique_events(run: NDArray[Any], event: NDArray[Any]) -> NDArray[np.int64]:
    """Event numbers that are unique among runs."""
    return run.astype(np.int64) * EVENTS_PER_RUN + event.astype(np.int64)
