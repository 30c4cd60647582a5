"""Spyral on benchmark runs, in its own environment: timed phase by phase, and scored with our scorer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import THREADS_OFF
from numpy.typing import NDArray
from pyarrow import parquet
from tpc_data import read_truth, unique_events
from tpc_ours import pooled

from penstock.simulate.score_tpc import TrackScore, score_tracks

__all__ = ["PHASES", "SpyralReport", "call_peer", "measure", "peer_python", "scored_workspace"]

HERE = Path(__file__).parent
PHASES = {"tpc.points": "Pointcloud", "tpc.clusters": "Cluster", "tpc.estimates": "Estimation"}
"""Phase of Spyral that does what a stage does."""


@dataclass(frozen=True, slots=True)
class SpyralReport:
    """What Spyral cost and found."""

    cpu_ms_per_event: dict[str, float]
    """By our stage; per event that it read."""
    scores: dict[str, TrackScore]
    """By folder of runs; without the last event of each run, which Spyral never reads."""
    last_events: dict[str, dict[int, int]]
    """That event, by folder and run."""
    versions: dict[str, str]


def peer_python() -> Path | None:
    """The interpreter of Spyral's environment, where `make peers` has made it."""
    python = HERE.parent / ".peers" / "spyral" / "bin" / "python"
    return python if python.exists() else None


def measure(python: Path, timing: Path, warmup: Path, sets: Sequence[Path], workspace: Path, repetitions: int) -> SpyralReport:
    """Time Spyral on run 1 of `timing`, then process the runs in `sets` once each and score them."""
    arguments = ["--traces", str(timing), "--run", "1", "--reps", str(repetitions)]
    arguments += ["--warmup-traces", str(warmup), "--warmup-run", "1", "--workspace", str(workspace)]
    report = call_peer(python, "spyral_phases.py", [*arguments, *(part for folder in sets for part in ("--score", str(folder)))])
    return SpyralReport(
        cpu_ms_per_event={stage: float(report["phases"][phase]["cpu_ms_per_event"]) for stage, phase in PHASES.items()},
        scores={name: _score(Path(name), found) for name, found in report["scored"].items()},
        last_events={name: {int(run): int(each["last_event"]) for run, each in found.items()} for name, found in report["scored"].items()},
        versions=report["versions"],
    )


def call_peer(python: Path, script: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run a script of ``peers/`` in an environment of its own: the JSON of its last line."""
    print(f"measuring Spyral ({script}); this takes minutes", file=sys.stderr, flush=True)
    command = [str(python), str(HERE / "peers" / script), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **THREADS_OFF}, check=False)
    if done.returncode:
        raise SystemExit(f"Spyral failed with exit code {done.returncode}; its message stands above. Run with --no-peer to go without.")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def scored_workspace(workspace: Path, folder: Path) -> Path:
    """Where the phases leave what they made of the runs of a folder."""
    return workspace / "scored" / folder.name


def _score(raw: Path, found: dict[str, dict[str, Any]]) -> TrackScore:
    truths, estimates = [], []
    for run, run_report in found.items():
        truths.append(read_truth(raw / f"run_{int(run):04d}.h5", leave_out=int(run_report["last_event"])))
        table = parquet.read_table(run_report["estimation"], columns=["event", "polar", "brho", "vertex_z"])
        columns: dict[str, NDArray[Any]] = {name: table.column(name).to_numpy() for name in table.column_names}
        columns["event"] = unique_events(np.full(table.num_rows, int(run)), columns["event"])
        estimates.append(columns)
    return score_tracks(pooled(estimates), pooled(truths))
