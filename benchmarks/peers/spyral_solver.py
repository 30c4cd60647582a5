"""CPU time of Spyral's solver: its mesh per node and its fit per track, in one process, compiled code warm.

Run by the environment that setup.sh makes, after spyral_phases.py has left clusters and estimates in a workspace. The
last line printed is JSON.
"""

from __future__ import annotations

import os

# The libraries size their thread pools when they are imported.
os.environ.update(
    {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")}
    | {"VECLIB_MAXIMUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
)

import argparse
import contextlib
import io
import json
import statistics
import time
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import polars as pl
import spyral
from spyral_phases import DETECTOR, Unheard

GAS = {"compound": [[1, 1, 2]], "pressure(Torr)": 300.0}
EVERYTHING = [[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]]
KE_RANGE_MEV, POLAR_RANGE_DEG = (0.5, 7.5), (10.0, 170.0)
MESH_BINS, SMALL_MESH_BINS = (57, 81), (12, 11)
"""Energies and polar angles of the mesh of the fits, and of the one that is timed: a node costs the same in both."""


def solver(folder: Path, bins: tuple[int, int]) -> spyral.InterpSolverPhase:
    """The solver phase for protons in the gas of the benchmark, without a particle gate.

    Parameters
    ----------
    folder
        Where its gas and gate files are written.
    bins
        Energies and polar angles of the mesh.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gas, gate = folder / "gas.json", folder / "gate.json"
    gas.write_text(json.dumps(GAS))
    gate.write_text(json.dumps({"name": "everything", "Z": 1, "A": 1, "vertices": EVERYTHING, "xaxis": "dEdx", "yaxis": "brho"}))
    parameters = spyral.SolverParameters(
        gas_data_path=gas,
        particle_id_filename=gate,
        ic_min_val=900.0,
        ic_max_val=1350.0,
        n_time_steps=1000,
        interp_ke_min=KE_RANGE_MEV[0],
        interp_ke_max=KE_RANGE_MEV[1],
        interp_ke_bins=bins[0],
        interp_polar_min=POLAR_RANGE_DEG[0],
        interp_polar_max=POLAR_RANGE_DEG[1],
        interp_polar_bins=bins[1],
        fit_vertex_rho=True,
        fit_vertex_phi=True,
        fit_azimuthal=True,
        fit_method="lbfgsb",
    )
    return spyral.InterpSolverPhase(parameters, DETECTOR)


def make_mesh(phase: spyral.InterpSolverPhase, folder: Path) -> None:
    """Let the solver make its mesh in a folder, or find it there; what it prints on the way is dropped."""
    phase.get_asset_storage_path(folder).mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()):
        phase.create_assets(folder)


def time_mesh(folder: Path) -> dict[str, float]:
    """CPU time of a small mesh, a node."""
    phase = solver(folder, SMALL_MESH_BINS)
    for old in phase.get_asset_storage_path(folder).glob("*"):
        old.unlink()
    began = time.process_time()
    make_mesh(phase, folder)
    nodes = SMALL_MESH_BINS[0] * SMALL_MESH_BINS[1]
    return {"nodes": nodes, "cpu_ms_per_node": 1e3 * (time.process_time() - began) / nodes}


@contextlib.contextmanager
def ready_solver(mesh: Path) -> Iterator[spyral.InterpSolverPhase]:
    """The solver with its mesh in shared memory, as Spyral's pipeline hands it to its workers."""
    phase = solver(mesh, MESH_BINS)
    make_mesh(phase, mesh)
    handles: dict[str, SharedMemory] = {}
    phase.create_shared_data(mesh, handles)
    try:
        yield phase
    finally:
        for handle in handles.values():
            handle.close()
            handle.unlink()


def fit(phase: spyral.InterpSolverPhase, workspace: Path, run: int) -> tuple[Path, float]:
    """Fit the tracks of a run: the file of the fits, and CPU seconds."""
    phase.get_artifact_path(workspace).mkdir(parents=True, exist_ok=True)
    phase.get_asset_storage_path(workspace).mkdir(parents=True, exist_ok=True)
    name = f"run_{run:04d}"
    artefacts = {"estimation": workspace / "Estimation" / f"{name}.parquet", "cluster": workspace / "Cluster" / f"{name}.h5"}
    payload = spyral.PhaseResult(artefacts, True, run)
    began = time.process_time()
    result = phase.run(payload, workspace, Unheard(), np.random.default_rng(run))
    cpu_s = time.process_time() - began
    if not result.successful:
        raise SystemExit(f"run {run}: Spyral's solver found no input in {workspace}; run spyral_phases.py first")
    return next(iter(result.artifacts.values())), cpu_s


def time_fits(phase: spyral.InterpSolverPhase, workspace: Path, run: int, repetitions: int) -> dict[str, object]:
    """CPU time of the fits of a run, a row written; a first call compiles."""
    path, _ = fit(phase, workspace, run)
    costs = [fit(phase, workspace, run)[1] for _ in range(repetitions)]
    rows = pl.read_parquet(path).height
    return {"rows": rows, "cpu_s": costs, "cpu_ms_per_track": 1e3 * statistics.median(costs) / rows}


def fit_runs(phase: spyral.InterpSolverPhase, workspace: Path) -> dict[str, str]:
    """Fit all runs of a workspace once, untimed: the files of the fits by run."""
    found = {}
    for estimates in sorted((workspace / "Estimation").glob("run_[0-9][0-9][0-9][0-9].parquet")):
        run = int(estimates.stem.removeprefix("run_"))
        found[str(run)] = str(fit(phase, workspace, run)[0])
        print(f"{workspace.name}: run {run} fitted", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, required=True, metavar="DIR", help="workspace with Cluster and Estimation of the run")
    parser.add_argument(
        "--mesh", type=Path, required=True, metavar="DIR", help="where the mesh of the fits is kept; made once, takes minutes"
    )
    parser.add_argument("--run", type=int, required=True, metavar="N", help="the run that is timed")
    parser.add_argument("--reps", type=int, default=2, metavar="R", help="timed repetitions; default 2")
    parser.add_argument(
        "--score", type=Path, action="append", default=[], metavar="DIR", help="workspace whose runs are fitted once, untimed"
    )
    options = parser.parse_args()
    report: dict[str, object] = {"peer": "spyral", "mesh": time_mesh(options.workspace / "small-mesh")}
    with ready_solver(options.mesh) as phase:
        report["fits"] = time_fits(phase, options.workspace, options.run, options.reps)
        report["scored"] = {str(workspace): fit_runs(phase, workspace) for workspace in options.score}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
