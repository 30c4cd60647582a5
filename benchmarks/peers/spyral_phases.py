"""CPU time of Spyral's phases on one run, in one process, compiled code warm.

Run by the environment that setup.sh makes, not by ours: nothing of penstock is imported here. The phases are called
through Spyral's public classes as its pipeline calls them, without the pipeline's processes, whose parent polls on a
core of its own. The artefacts of the last repetition stay in the workspace, for others to score.
"""

from __future__ import annotations

import os

# The libraries size their thread pools when they are imported.
os.environ.update(
    {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "VECLIB_MAXIMUM_THREADS": "1",
        "NUMEXPR_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
    }
)

import argparse
import gc
import json
import resource
import statistics
import sys
import time
import warnings
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import spyral

PHASES = "pce"
MEASURED_WITH = ("attpc_spyral", "spyral-utils", "numpy", "scipy", "scikit-learn", "numba", "polars", "h5py")

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
PADS = spyral.PadParameters(
    pad_geometry_path=spyral.DEFAULT_MAP,
    pad_time_path=spyral.DEFAULT_MAP,
    pad_scale_path=spyral.DEFAULT_MAP,
)
GET = spyral.GetParameters(
    baseline_window_scale=20.0,
    peak_separation=50.0,
    peak_prominence=20.0,
    peak_max_width=50.0,
    peak_threshold=40.0,
)
FRIB = spyral.FribParameters(
    baseline_window_scale=100.0,
    peak_separation=50.0,
    peak_prominence=20.0,
    peak_max_width=500.0,
    peak_threshold=100.0,
    ic_delay_time_bucket=1100,
    ic_multiplicity=1,
)
CLUSTERS = spyral.ClusterParameters(
    min_cloud_size=50,
    hdbscan_parameters=spyral.HdbscanParameters(
        min_points=3,
        min_size_scale_factor=0.03,
        min_size_lower_cutoff=10,
        cluster_selection_epsilon=10.0,
    ),
    tripclust_parameters=None,
    overlap_join=None,
    continuity_join=spyral.ContinuityJoinParameters(join_radius_fraction=0.4, join_z_fraction=0.2),
    direction_threshold=0.5,
    outlier_scale_factor=0.1,
)
ESTIMATES = spyral.EstimateParameters(min_total_trajectory_points=30, smoothing_factor=100.0)


class Unheard:
    """A progress queue that drops what is put into it, so that a full pipe never blocks a phase."""

    def put(self, message: object) -> None:
        """Drop the message."""


@dataclass(slots=True)
class Timings:
    """What the repetitions of one phase cost, in seconds, one entry each."""

    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)

    def summary(self, events_read: int, events_in: int) -> dict[str, object]:
        """Repetitions and medians, for the report.

        Parameters
        ----------
        events_read
            Events that Spyral read from the file: the denominator of every phase, so that the phases add up.
        events_in
            Records that this phase was given.
        """
        cpu_s = statistics.median(self.cpu_s)
        return {
            "events": events_in,
            "cpu_s": [round(value, 4) for value in self.cpu_s],
            "wall_s": [round(value, 4) for value in self.wall_s],
            "cpu_s_median": round(cpu_s, 4),
            "wall_s_median": round(statistics.median(self.wall_s), 4),
            "cpu_ms_per_event": round(1e3 * cpu_s / events_read, 3),
        }


def new_phase(letter: str) -> spyral.PhaseLike:
    """Return one phase of the pipeline, with the parameters above."""
    match letter:
        case "p":
            return spyral.PointcloudPhase(GET, FRIB, DETECTOR, PADS)
        case "c":
            return spyral.ClusterPhase(CLUSTERS, DETECTOR)
        case "e":
            return spyral.EstimationPhase(ESTIMATES, DETECTOR)
    raise ValueError(f"phase {letter!r} is none of {', '.join(PHASES)}")


def measured_run(phase: spyral.PhaseLike, payload: spyral.PhaseResult, workspace: Path, timings: dict[str, Timings]) -> spyral.PhaseResult:
    """Run one phase and add what it cost to the timings of its name."""
    phase.get_artifact_path(workspace).mkdir(parents=True, exist_ok=True)
    phase.get_asset_storage_path(workspace).mkdir(parents=True, exist_ok=True)
    phase.create_assets(workspace)
    # Peak times move by less than 1e-3 time buckets with the seed; it is fixed so that repetitions do the same work.
    rng = np.random.default_rng(payload.run_number)
    # Spyral leaves its files to the collector to close, and an open one cannot be written again.
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    result = phase.run(payload, workspace, Unheard(), rng)
    cost = timings.setdefault(phase.name, Timings())
    cost.cpu_s.append(time.process_time() - cpu)
    cost.wall_s.append(time.perf_counter() - wall)
    if not result.successful:
        raise SystemExit(
            f"run {payload.run_number}: Spyral's phase {phase.name} found no input in {workspace}; run the phases before it first"
        )
    return result


def run_phases(active: str, traces: Path, workspace: Path, run: int, timings: dict[str, Timings]) -> dict[str, Path]:
    """Lead one run through the active phases; those before them are taken as done, with artefacts in the workspace.

    Returns
    -------
    Path by name of artefact: `trace`, `pointcloud`, `cluster`, `estimation`, as far as the phases got.
    """
    path = traces / f"run_{run:04d}.h5"
    if not path.is_file():
        raise SystemExit(f"run {run}: no file {path.name} in {str(traces)!r}; write the run there or name another directory")
    result = spyral.PhaseResult({"trace": path}, True, run)
    artefacts = dict(result.artifacts)
    for letter in PHASES[: PHASES.index(active[-1]) + 1]:
        phase = new_phase(letter)
        result = measured_run(phase, result, workspace, timings) if letter in active else phase.construct_artifact(result, workspace)
        artefacts |= result.artifacts
    return artefacts


def count_records(artefacts: dict[str, Path], run: int) -> dict[str, int]:
    """Count what Spyral read and made, from the trace file and the artefacts."""
    reader = spyral.create_reader(artefacts["trace"], run)
    counts = {"events_in_file": len(reader), "events_read": len(reader.event_range())}
    if "pointcloud" in artefacts:
        with h5py.File(artefacts["pointcloud"]) as file:
            sizes = [cloud.shape[0] for cloud in file["cloud"].values()]
        counts |= {"clouds": len(sizes), "points": sum(sizes)}
    if "cluster" in artefacts:
        with h5py.File(artefacts["cluster"]) as file:
            clusters = [int(event.attrs["nclusters"]) for event in file["cluster"].values()]
        counts |= {"clustered_events": len(clusters), "clusters": sum(clusters)}
    if "estimation" in artefacts:
        counts["estimates"] = pl.read_parquet(artefacts["estimation"]).height
    return counts


def score_runs(folder: Path, workspace: Path) -> dict[str, dict[str, object]]:
    """Lead each run of a folder through all phases once, untimed; what others need to score them, by run number."""
    found: dict[str, dict[str, object]] = {}
    for path in sorted(folder.glob("run_[0-9][0-9][0-9][0-9].h5")):
        run = int(path.stem.removeprefix("run_"))
        artefacts = run_phases(PHASES, folder, workspace / folder.name, run, {})
        # The range that Spyral reads ends before the last event of a merger 1.0 file.
        last_event = spyral.create_reader(path, run).event_range().stop
        found[str(run)] = {"estimation": str(artefacts["estimation"]), "last_event": last_event}
        print(f"{folder.name}: run {run} processed", flush=True)
    return found


def report(
    options: argparse.Namespace, artefacts: dict[str, Path], timings: dict[str, Timings], scored: dict[str, dict[str, dict[str, object]]]
) -> dict[str, object]:
    """Gather figures, counts and versions into what is printed."""
    counts = count_records(artefacts, options.run)
    events_in = {"Pointcloud": "events_read", "Cluster": "clouds", "Estimation": "clustered_events"}
    phases = {name: cost.summary(counts["events_read"], counts[events_in[name]]) for name, cost in timings.items()}
    return {
        "peer": "spyral",
        "run": options.run,
        "reps": options.reps,
        "input_bytes": artefacts["trace"].stat().st_size,
        "counts": counts,
        "phases": phases,
        "cpu_ms_per_event": round(sum(1e3 * statistics.median(cost.cpu_s) for cost in timings.values()) / counts["events_read"], 3),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "estimation": str(artefacts["estimation"]) if "estimation" in artefacts else None,
        "scored": scored,
        "versions": {"python": sys.version.split()[0]} | {name: version(name) for name in MEASURED_WITH},
    }


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=Path, required=True, metavar="DIR", help="directory of run_NNNN.h5")
    parser.add_argument("--workspace", type=Path, required=True, metavar="DIR", help="where Spyral writes; made if missing")
    parser.add_argument("--run", type=int, required=True, metavar="N")
    parser.add_argument("--warmup-traces", type=Path, required=True, metavar="DIR", help="a small run of the same kind, to compile on")
    parser.add_argument("--warmup-run", type=int, required=True, metavar="N")
    parser.add_argument("--phases", default=PHASES, help="neighbours out of p, c, e: point clouds, clusters, estimates; default pce")
    parser.add_argument(
        "--score",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="lead the runs of this directory through all phases too, untimed",
    )
    parser.add_argument("--reps", type=int, default=3, metavar="R")
    options = parser.parse_args(arguments)
    if not options.phases or options.phases not in PHASES:
        parser.error(f"--phases {options.phases!r}: expected neighbours in the order {PHASES!r}, such as 'p', 'ce' or 'pce'")
    if options.reps < 1:
        parser.error(f"--reps {options.reps}: expected 1 or more")
    return options


def main() -> None:
    options = parse()
    # Spyral does not name a default that scikit-learn will change; one printed warning an event would be timed with it.
    warnings.filterwarnings("ignore", message="The default value of `copy`", category=FutureWarning)
    warmup = PHASES[: PHASES.index(options.phases[-1]) + 1]
    run_phases(warmup, options.warmup_traces, options.workspace / "warmup", options.warmup_run, {})
    timings: dict[str, Timings] = {}
    for repetition in range(options.reps):
        artefacts = run_phases(options.phases, options.traces, options.workspace, options.run, timings)
        latest = ", ".join(f"{name} {cost.cpu_s[-1]:.2f}" for name, cost in timings.items())
        print(f"repetition {repetition + 1} of {options.reps}, CPU seconds: {latest}", flush=True)
    scored = {str(folder): score_runs(folder, options.workspace / "scored") for folder in options.score}
    print(json.dumps(report(options, artefacts, timings, scored)))


if __name__ == "__main__":
    main()
