"""Spyral's solver on benchmark runs, in its own environment: timed, and scored with our scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet
from tpc_data import FIT_TRUTH, read_truth, unique_events
from tpc_ours import pooled
from tpc_spyral import SpyralReport, call_peer, scored_workspace

from penstock.simulate.score_fits import FitScore, score_fits

__all__ = ["SolverReport", "measure_solver"]

NO_SIGMA = 1e6
"""What Spyral writes for an error that it does not have."""

MM_PER_M = 1e3


@dataclass(frozen=True, slots=True)
class SolverReport:
    """What Spyral's solver cost and found."""

    mesh_ms_per_node: float
    fit_ms_per_track: float
    scores: dict[str, FitScore]
    """By folder of runs; without the last event of each run, which Spyral never reads."""


def measure_solver(python: Path, workspace: Path, mesh: Path, phases: SpyralReport, sets: Sequence[Path], repetitions: int) -> SolverReport:
    """Time the solver on run 1 of a workspace, then fit the runs of each set once, where the phases have left their results.

    Parameters
    ----------
    mesh
        Where the mesh of the fits is kept between calls.
    phases
        What the phases before it reported.
    """
    arguments = ["--workspace", str(workspace), "--mesh", str(mesh), "--run", "1", "--reps", str(repetitions)]
    arguments += [part for folder in sets for part in ("--score", str(scored_workspace(workspace, folder)))]
    report = call_peer(python, "spyral_solver.py", arguments)
    scores = {}
    for folder in sets:
        place = scored_workspace(workspace, folder)
        fits = {int(run): Path(path) for run, path in report["scored"][str(place)].items()}
        scores[str(folder)] = _score(folder, place, fits, phases.last_events[str(folder)])
    return SolverReport(float(report["mesh"]["cpu_ms_per_node"]), float(report["fits"]["cpu_ms_per_track"]), scores)


def _score(raw: Path, workspace: Path, fits: dict[int, Path], last_events: dict[int, int]) -> FitScore:
    truths = [read_truth(raw / f"run_{run:04d}.h5", leave_out=last_events[run], names=FIT_TRUTH) for run in fits]
    found = [read_fits(path, workspace / "Cluster" / f"run_{run:04d}.h5", run) for run, path in fits.items()]
    return score_fits(pooled(found), pooled(truths))


def read_fits(path: Path, clusters: Path, run: int) -> dict[str, NDArray[Any]]:
    """Spyral's fits of a run as our scorer wants them: mm, events unique among runs, NaN for errors that it does not have.

    Parameters
    ----------
    path
        The file of the fits.
    clusters
        That of the clusters, which tells how many points each track has.
    run
        Run number.
    """
    table = parquet.read_table(path)
    columns: dict[str, NDArray[Any]] = {name: table.column(name).to_numpy() for name in table.column_names}
    with h5py.File(clusters) as file:
        columns["points"] = np.array(
            [
                file[f"cluster/event_{event}/cluster_{index}/cloud"].shape[0]
                for event, index in zip(columns["event"], columns["cluster_index"], strict=True)
            ],
            dtype=np.int64,
        )
    columns["event"] = unique_events(np.full(table.num_rows, run), columns["event"])
    columns["status"] = np.zeros(table.num_rows, dtype=np.int64)
    for name in ("sigma_ke", "sigma_polar", "sigma_azimuthal", "sigma_vz"):
        columns[name] = np.where(columns[name] >= NO_SIGMA, np.nan, columns[name])
    for name in ("vertex_z", "sigma_vz"):
        columns[name] = MM_PER_M * columns[name]
    return columns
