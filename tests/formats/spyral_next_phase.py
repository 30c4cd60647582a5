"""Runs one phase of the real Spyral on a workspace. Called by its own interpreter, never by ours."""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"), "1"))

import json
import multiprocessing.shared_memory
import sys
from pathlib import Path

import numpy as np
import spyral

DETECTOR = spyral.DetectorParameters(
    magnetic_field=2.85,
    electric_field=45000.0,
    detector_length=1000.0,
    beam_region_radius=25.0,
    micromegas_time_bucket=10.0,
    window_time_bucket=560.0,
    get_frequency=6.25,
    garfield_file_path=Path("unused"),
    do_garfield_correction=False,
)
CLUSTERS = spyral.ClusterParameters(
    min_cloud_size=50,
    hdbscan_parameters=spyral.HdbscanParameters(
        min_points=3, min_size_scale_factor=0.03, min_size_lower_cutoff=10, cluster_selection_epsilon=10.0
    ),
    tripclust_parameters=None,
    overlap_join=None,
    continuity_join=spyral.ContinuityJoinParameters(join_radius_fraction=0.4, join_z_fraction=0.2),
    direction_threshold=0.5,
    outlier_scale_factor=0.1,
)


class Unheard:
    """A queue of progress that nobody reads."""

    def put(self, message: object) -> None:
        """Drop the message."""


def solver(workspace: Path) -> spyral.InterpSolverPhase:
    gas, gate = workspace / "gas.json", workspace / "gate.json"
    gas.write_text(json.dumps({"compound": [[1, 1, 2]], "pressure(Torr)": 300.0}))
    everything = [[-1.0, -1.0], [1e9, -1.0], [1e9, 10.0], [-1.0, 10.0], [-1.0, -1.0]]
    gate.write_text(json.dumps({"name": "all", "Z": 1, "A": 1, "vertices": everything}))
    settings = spyral.SolverParameters(
        gas_data_path=gas,
        particle_id_filename=gate,
        ic_min_val=900.0,
        ic_max_val=1350.0,
        n_time_steps=200,
        interp_ke_min=0.5,
        interp_ke_max=10.0,
        interp_ke_bins=8,
        interp_polar_min=10.0,
        interp_polar_max=170.0,
        interp_polar_bins=9,
        fit_vertex_rho=True,
        fit_vertex_phi=True,
        fit_azimuthal=True,
        fit_method="lbfgsb",
    )
    return spyral.InterpSolverPhase(settings, DETECTOR)


def main(name: str, workspace: Path, run: int) -> None:
    estimation = spyral.EstimationPhase(spyral.EstimateParameters(min_total_trajectory_points=30, smoothing_factor=100.0), DETECTOR)
    phases = {"Cluster": spyral.ClusterPhase(CLUSTERS, DETECTOR), "Estimation": estimation}
    phase = solver(workspace) if name == "InterpSolver" else phases[name]
    for folder in (phase.get_artifact_path(workspace), phase.get_asset_storage_path(workspace)):
        folder.mkdir(parents=True, exist_ok=True)
    phase.create_assets(workspace)
    shared: dict[str, multiprocessing.shared_memory.SharedMemory] = {}
    phase.create_shared_data(workspace, shared)
    given = {
        "pointcloud": workspace / "Pointcloud" / f"run_{run:04d}.h5",
        "cluster": workspace / "Cluster" / f"run_{run:04d}.h5",
        "estimation": workspace / "Estimation" / f"run_{run:04d}.parquet",
    }
    try:
        result = phase.run(spyral.PhaseResult(given, True, run), workspace, Unheard(), np.random.default_rng(1))
    finally:
        for memory in shared.values():
            memory.close()
            memory.unlink()
    sys.exit(0 if result.successful else 3)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
