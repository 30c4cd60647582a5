"""Planning 1,000 runs of four stages, inside the process: nothing computed yet, all current, all stale.

The runs are empty files and the index is filled as commits fill it: planning stats files and reads the index, nothing else. The
last line printed is JSON.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from figures import Goal, Row, format_table, json_line
from machine import describe_machine

import penstock
from penstock.core.plan import PlanRow, State
from penstock.execute import Registrar, ref_name
from penstock.notebook import OpenExperiment
from penstock.store import IndexedArtifact

__all__ = ["main", "make_experiment", "pretend_computed", "time_plan"]

GOAL_S = 1.0

Cost = tuple[float, float]
"""Wall and CPU time in seconds."""

_EXPERIMENT = """[experiment]
name = "bench"
instrument = "attpc"
raw = "raw"
pipeline = ["tpc.points", "tpc.clusters", "tpc.estimates", "bench.counts"]

[plugins]
modules = ["bench_counts.py"]
"""

_PLUGIN = '''"""A fourth stage: the number of tracks of each event. It is planned, never run."""

import numpy as np

from penstock.core.params import Params
from penstock.core.schema import Column, Records, Table
from penstock.core.stage import stage
from penstock.tpc.schemas import Estimates


class CountParams(Params):
    least_brho_tm: float = 0.0
    """Tracks of lower rigidity do not count."""


class Counts(Records):
    name = "bench.counts"
    version = 1
    tables = (Table("events", (Column("tracks", "i4"),), per=None),)


def count_tracks(estimates, params):
    high = np.append(0, np.cumsum(estimates["estimates"]["brho"] >= params.least_brho_tm))
    return Counts(n_events=estimates.n_events, columns={"events": {"tracks": np.diff(high[estimates.offsets["estimates"]])}})


counts = stage(
    "bench.counts", version=1, body="bench_counts:count_tracks", params=CountParams, reads={"estimates": Estimates}, writes=Counts, lane="tpc"
)
'''


def make_experiment(folder: Path, n_runs: int) -> OpenExperiment:
    """An experiment of four stages on so many runs, all of them registered."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    for run in range(1, n_runs + 1):
        (raw / f"run_{run:04d}.h5").touch()
    (folder / "experiment.toml").write_text(_EXPERIMENT, encoding="utf-8")
    (folder / "bench_counts.py").write_text(_PLUGIN, encoding="utf-8")
    opened = penstock.open(folder / "experiment.toml")
    registrar = Registrar(opened.experiment, opened.store)
    registrar.register(registrar.available, lambda name, done, total: None)
    return opened


def pretend_computed(opened: OpenExperiment, rows: Sequence[PlanRow]) -> None:
    """Enter artifact and ref of each row into the index, as a commit does."""
    for row in rows:
        assert row.key is not None
        assert row.subject is not None
        artifact = IndexedArtifact(row.key, row.stage.name, row.subject.label, row.recipe, 1, 1, 1, "2026-01-01T00:00:00+00:00")
        opened.store.index.put(artifact)
        opened.store.index.set_ref(ref_name(opened.experiment, row.subject.label, row.stage.name), row.key)


def time_plan(opened: OpenExperiment, state: State, repetitions: int, *, threshold: float | None = None) -> Cost:
    """Median wall and CPU seconds of making a plan in which every row has the given state.

    Parameters
    ----------
    threshold
        A parameter of the first stage, ADC, that differs from its default.
    """
    params = {} if threshold is None else {"tpc.points.pads.peak_threshold_adc": threshold}
    wall, cpu = [], []
    for _ in range(repetitions):
        began, used = time.perf_counter(), time.process_time()
        rows = opened.plan(params=params)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
        if {row.state for row in rows} != {state}:
            raise SystemExit(f"the plan has rows of states {sorted({str(r.state) for r in rows})}, expected {state!r} alone")
    return statistics.median(wall), statistics.median(cpu)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="penstock-plan-") as folder:
        opened = make_experiment(Path(folder), options.runs)
        first = time_plan(opened, State.MISSING, 1)
        missing = time_plan(opened, State.MISSING, options.repetitions)
        rows = opened.plan()
        pretend_computed(opened, rows)
        current = time_plan(opened, State.CURRENT, options.repetitions)
        stale = time_plan(opened, State.STALE, options.repetitions, threshold=41.0)
        profiler = cProfile.Profile()
        if options.profile:
            profiler.runcall(opened.plan)
        opened.store.close()
    names = [("first plan of the process", first), ("nothing computed", missing), ("all current", current), ("all stale", stale)]
    results = [Row(f"plan: {name}, wall", "s", wall, goal=Goal(GOAL_S, side="most")) for name, (wall, _) in names]
    results += [Row(f"plan: {name}, cpu", "s", cpu, goal=Goal(GOAL_S, side="most")) for name, (_, cpu) in names]
    print(describe_machine())
    print("\n" + format_table(f"planning {options.runs} runs x {len(rows) // options.runs} stages", results))
    if options.profile:
        pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(25)
    print(json_line(results))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, metavar="N", help="runs to plan; default 1000")
    parser.add_argument(
        "--repetitions", type=int, default=5, metavar="N", help="plans of each state, of which the median counts; default 5"
    )
    parser.add_argument("--profile", action="store_true", help="print where the time of a plan goes, too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
