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
import json
import statistics
import time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import polars as pl
import spyral
from spyral_phases import DETECTOR, Unheard

GAS = {"compound": [[1, 1, 2]], "pressure(Torr)": 300.0}
EVERYTHING = [[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]]


def solver(workspace: Path, ke: tuple[float, float, int], polar: tuple[float, float, int]) -> spyral.InterpSolverPhase:
    """The solver phase for protons in the gas of the benchmark, without a particle gate.

    Parameters
    ----------
    ke, polar
        Least and greatest value and number of bins of the mesh, in MeV and in degrees.
    """
    gas, gate = workspace / "gas.json", workspace / "gate.json"
    gas.write_text(json.dumps(GAS))
    gate.write_text(json.dumps({"name": "everything", "Z": 1, "A": 1, "vertices": EVERYTHING, "xaxis": "dEdx", "yaxis": "brho"}))
    parameters = spyral.SolverParameters(
        gas_data_path=gas,
        particle_id_filename=gate,
        ic_min_val=900.0,
        ic_max_val=1350.0,
        n_time_steps=1000,
        interp_ke_min=ke[0],
        interp_ke_max=ke[1],
        interp_ke_bins=ke[2],
        interp_polar_min=polar[0],
        interp_polar_max=polar[1],
        interp_polar_bins=polar[2],
        fit_vertex_rho=True,
        fit_vertex_phi=True,
        fit_azimuthal=True,
        fit_method="lbfgsb",
    )
    return spyral.InterpSolverPhase(parameters, DETECTOR)


def folders(phase: spyral.InterpSolverPhase, workspace: Path) -> None:
    """Make the folders that Spyral's pipeline would make."""
    phase.get_artifact_path(workspace).mkdir(parents=True, exist_ok=True)
    phase.get_asset_storage_path(workspace).mkdir(parents=True, exist_ok=True)


def time_mesh(workspace: Path) -> dict[str, float]:
    """CPU time of a small mesh, a node; the cost of a node does not depend on their number."""
    phase = solver(workspace, (0.5, 7.5, 12), (10.0, 170.0, 11))
    folders(phase, workspace)
    began = time.process_time()
    phase.create_assets(workspace)
    return {"nodes": 132, "cpu_ms_per_node": 1e3 * (time.process_time() - began) / 132}


def time_fits(workspace: Path, mesh: Path, run: int, repetitions: int) -> dict[str, object]:
    """CPU time of the fits of a run, a row written, with the mesh of a workspace that keeps it between calls."""
    phase = solver(mesh, (0.5, 7.5, 57), (10.0, 170.0, 81))
    folders(phase, mesh)
    folders(phase, workspace)
    phase.create_assets(mesh)
    handles: dict[str, SharedMemory] = {}
    phase.create_shared_data(mesh, handles)
    try:
        payload = spyral.PhaseResult(
            {
                "estimation": workspace / "Estimation" / f"run_{run:04d}.parquet",
                "cluster": workspace / "Cluster" / f"run_{run:04d}.h5",
            },
            True,
            run,
        )
        costs, rows = [], 0
        for repetition in range(repetitions + 1):
            began = time.process_time()
            result = phase.run(payload, workspace, Unheard(), np.random.default_rng(1))
            if repetition:  # the first one compiles
                costs.append(time.process_time() - began)
            path = next(iter(result.artifacts.values()))
            rows = pl.read_parquet(path).height
    finally:
        for handle in handles.values():
            handle.close()
            handle.unlink()
    return {"rows": rows, "cpu_ms_per_track": 1e3 * statistics.median(costs) / rows, "cpu_s": costs, "fits": str(path)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, required=True, metavar="DIR", help="workspace with Cluster and Estimation of the run")
    parser.add_argument("--mesh", type=Path, required=True, metavar="DIR", help="where the mesh of the fits is kept; made once, takes minutes")
    parser.add_argument("--run", type=int, required=True, metavar="N")
    parser.add_argument("--reps", type=int, default=2, metavar="R")
    options = parser.parse_args()
    scratch = options.workspace / "small-mesh"
    for folder in (scratch, options.mesh):
        folder.mkdir(parents=True, exist_ok=True)
    mesh = time_mesh(scratch)
    print(json.dumps({"peer": "spyral", "mesh": mesh, "fits": time_fits(options.workspace, options.mesh, options.run, options.reps)}))


if __name__ == "__main__":
    main()
