"""The TPC stages of penstock on benchmark runs: timed stage by stage, and scored against the truth."""

from __future__ import annotations

import gc
import json
import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import cpu_seconds
from numpy.typing import NDArray
from tpc_data import read_truth, unique_events

import penstock
from penstock.core.plan import State
from penstock.notebook import OpenExperiment
from penstock.simulate.score_tpc import TrackScore, score_tracks

__all__ = ["CHAIN", "STAGES", "StageCost", "fresh_experiment", "of_run", "pooled", "process", "process_and_score", "time_stages"]

STAGES = ("tpc.points", "tpc.clusters", "tpc.estimates")
CHAIN = (*STAGES, "tpc.mesh", "tpc.fits")

_EXPERIMENT = """[experiment]
name = "bench"
instrument = "attpc"
raw = {raw!r}
pipeline = {pipeline}

[resources]
executor = "inline"

{sections}
"""


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one stage cost in each repetition, planning and the registration of the run included, in seconds."""

    cpu_s: tuple[float, ...]
    wall_s: tuple[float, ...]

    @property
    def cpu_median_s(self) -> float:
        """Median of the CPU time."""
        return statistics.median(self.cpu_s)


def fresh_experiment(folder: Path, raw: Path, stages: Sequence[str] = STAGES, sections: str = "") -> OpenExperiment:
    """An experiment on the runs in `raw` whose store is empty; `sections` are further lines of its file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "experiment.toml"
    text = _EXPERIMENT.format(raw=str(raw.resolve()), pipeline=json.dumps(list(stages)), sections=sections)
    path.write_text(text, encoding="utf-8")
    return penstock.open(path)


def time_stages(raw: Path, warmup: Path, work: Path, repetitions: int, stages: Sequence[str] = STAGES) -> dict[str, StageCost]:
    """Cost of each stage on the runs in `raw`, in this process, after a run that loads and compiles everything.

    Each repetition starts with an empty store: registering the run (its checksum), reading, computing, writing and
    committing are all in the figures, as every stage is asked for by a call of its own.
    """
    fresh_experiment(work / "warmup", warmup, stages).run(progress=False)
    costs: dict[str, list[tuple[float, float]]] = {stage: [] for stage in stages}
    for _ in range(repetitions):
        experiment = fresh_experiment(work / "timing", raw, stages)
        for stage in stages:
            gc.collect()
            wall, cpu = time.perf_counter(), cpu_seconds()
            report = experiment.run(stages=stage, progress=False)
            costs[stage].append((cpu_seconds() - cpu, time.perf_counter() - wall))
            if not (report.ok and report.results[-1].state is State.COMPUTED):
                raise SystemExit(f"stage {stage!r} was not computed: {report.results[-1].error}")
        experiment.store.close()
    return {stage: StageCost(tuple(c for c, _ in found), tuple(w for _, w in found)) for stage, found in costs.items()}


def process(work: Path, raw: Path, stages: Sequence[str] = STAGES, sections: str = "") -> tuple[OpenExperiment, list[int]]:
    """Process all runs of a folder: the experiment, still open, and the numbers of the runs."""
    experiment = fresh_experiment(work, raw, stages, sections)
    report = experiment.run(progress=False)
    if not report.ok:
        errors = "; ".join(str(result.error) for result in report.results if result.error)
        raise SystemExit(f"{raw}: not all runs could be processed: {errors}")
    return experiment, sorted(report.by_run())


def process_and_score(raw: Path, work: Path) -> dict[int, TrackScore]:
    """Process all runs of a folder that have a truth beside them; their scores by run, and of all together under 0."""
    experiment, runs = process(work / f"score-{raw.name}", raw)
    table = experiment.table("tpc.estimates")
    experiment.store.close()
    columns: dict[str, NDArray[Any]] = {name: table.column(name).to_numpy() for name in ("run", "event", "polar", "brho", "vertex_z")}
    columns["event"] = unique_events(columns["run"], columns["event"])
    truths = {run: read_truth(raw / f"run_{run:04d}.h5") for run in runs}
    scores = {run: score_tracks(of_run(columns, run), truth) for run, truth in truths.items()}
    return {0: score_tracks(columns, pooled(list(truths.values()))), **scores}


def pooled(tables: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Rows of several tables as one."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def of_run(columns: dict[str, NDArray[Any]], run: int) -> dict[str, NDArray[Any]]:
    """Rows of one run."""
    rows = columns["run"] == run
    return {name: values[rows] for name, values in columns.items()}
