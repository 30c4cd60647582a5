"""One large TPC run through the whole chain, mesh and fits included, on two workers against one: wall and CPU time, in alternating pairs.

Each measurement is a process of its own with an empty store that does what ``penstock run --executor local`` does. What is
measured and how: docs/benchmarks.md. The last line printed is JSON.
"""

from __future__ import annotations

import os

from machine import THREADS_OFF, busy_cores, describe_machine, tree_cpu_seconds, wait_until_quiet

# Libraries size their thread pools when they are imported, by workers too.
if __name__ == "__main__":
    os.environ.update(THREADS_OFF)

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from figures import Goal, Row, format_table, json_line
from tpc_data import RunSet
from tpc_ours import CHAIN, fresh_experiment

from penstock.core.plan import PlanRow
from penstock.core.selection import RunRange
from penstock.execute import Quiet, Request, StepResult, run

__all__ = ["Meter", "Sample", "main", "rows_of"]

WALL_GOAL, CPU_GOAL = 1.8, 1.1
LOAD_LIMIT = 0.3
"""Busy cores, of whatever, above which nothing is measured."""

Step = tuple[float, float]
"""Wall and CPU time in seconds."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run of all stages cost."""

    workers: int
    whole: Step
    """From the start of the process to its end: imports, registration of the run, workers' start and end included."""
    steps: Step
    """From the first batch of the first stage to the commit of the last."""
    stages: dict[str, Step]
    """The same by stage."""


class Meter(Quiet):
    """A watcher that notes wall and CPU time, of this process and all its workers, when steps begin and end."""

    def __init__(self) -> None:
        self.begun: dict[str, Step] = {}
        self.stages: dict[str, Step] = {}

    def began(self, row: PlanRow, n_events: int) -> None:
        """Note when a step begins."""
        self.begun[row.stage.name] = (time.perf_counter(), tree_cpu_seconds())

    def ended(self, result: StepResult) -> None:
        """Note what a step cost."""
        if result.error is not None:
            raise SystemExit(result.error)
        wall, cpu = self.begun[result.stage]
        self.stages[result.stage] = (time.perf_counter() - wall, tree_cpu_seconds() - cpu)

    def all_steps(self) -> Step:
        """From the beginning of the first step until now."""
        wall, cpu = next(iter(self.begun.values()))
        return time.perf_counter() - wall, tree_cpu_seconds() - cpu


def compute_once(raw: Path, work: Path, workers: int) -> None:
    """Process the runs of a folder on so many workers, and print what the steps cost as JSON; run in a process of its own."""
    opened = fresh_experiment(work, raw, CHAIN)
    resources = opened.experiment.resources.model_copy(update={"executor": "local", "workers": workers})
    meter = _LastStep()
    run(opened.experiment, opened.store, Request(RunRange("all")), watcher=meter, resources=resources)
    opened.store.close()
    print(json.dumps({"steps": meter.steps, "stages": meter.stages}))


class _LastStep(Meter):
    """Knows what all steps so far cost, as of the end of the last one: before the workers are closed."""

    steps: Step = (0.0, 0.0)

    def ended(self, result: StepResult) -> None:
        super().ended(result)
        self.steps = self.all_steps()


def measure(raw: Path, work: Path, workers: int) -> Sample:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--compute", str(workers), "--raw", str(raw), "--work", str(work)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"the run on {workers} workers failed with exit code {done.returncode}; its message stands above.")
    report = json.loads(done.stdout.splitlines()[-1])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(workers, (wall, cpu), tuple(report["steps"]), {name: tuple(step) for name, step in report["stages"].items()})


def measure_pairs(raw: Path, work: Path, pairs: int, patience_s: float, *, any_load: bool) -> list[tuple[Sample, Sample]]:
    """Pairs (one worker, two workers), in turn the one or the other first; stops where the machine does not become quiet."""
    found: list[tuple[Sample, Sample]] = []
    for number in range(pairs):
        samples: dict[int, Sample] = {}
        for workers in (1, 2) if number % 2 == 0 else (2, 1):
            busy = busy_cores(1.0) if any_load else wait_until_quiet(LOAD_LIMIT, patience_s)
            if busy is None:
                print(f"pair {number + 1}: the machine was not quiet within {patience_s:.0f} s", file=sys.stderr, flush=True)
                return found
            samples[workers] = measure(raw, work, workers)
            print(f"pair {number + 1}: load before {busy:.2f}; {json.dumps(asdict(samples[workers]))}", file=sys.stderr, flush=True)
        found.append((samples[1], samples[2]))
    return found


def rows_of(pairs: Sequence[tuple[Sample, Sample]], n_events: int) -> list[Row]:
    """Medians over the pairs; ours is two workers, the column of the peer is one worker."""
    rows = _rows("steps", [(one.steps, two.steps) for one, two in pairs], n_events, judged=True)
    rows += _rows("whole command", [(one.whole, two.whole) for one, two in pairs], n_events, judged=False)
    for stage in pairs[0][0].stages:
        rows += _rows(stage, [(one.stages[stage], two.stages[stage]) for one, two in pairs], n_events, judged=False)
    return rows


def _rows(name: str, pairs: Sequence[tuple[Step, Step]], n_events: int, *, judged: bool) -> list[Row]:
    wall, cpu = ([statistics.median(step[k] for step in steps) for steps in zip(*pairs, strict=True)] for k in (0, 1))
    speed_up = statistics.median(one[0] / two[0] for one, two in pairs)
    cost = statistics.median(two[1] / one[1] for one, two in pairs)
    return [
        Row(f"{name}: wall", "s", wall[1], wall[0]),
        Row(f"{name}: cpu", "ms/event", 1e3 * cpu[1] / n_events, 1e3 * cpu[0] / n_events),
        Row(f"{name}: speed-up, median of pairs", "", speed_up, goal=Goal(WALL_GOAL) if judged else None),
        Row(f"{name}: cpu ratio, median of pairs", "", cost, goal=Goal(CPU_GOAL, side="most") if judged else None),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    if options.compute:
        compute_once(options.raw, options.work, options.compute)
        return
    runs = RunSet("scaling", (1,), options.events, seed=41, compression="none")
    raw = runs.provide(options.data)
    work = options.data / "work" / "scaling"
    # Compiled kernels and the run file come into the caches of the machine.
    measure(raw, work, 2)
    pairs = measure_pairs(raw, work, options.pairs, options.patience, any_load=options.any_load)
    print(describe_machine())
    if len(pairs) < options.pairs:
        print(f"not measured: {len(pairs)} of {options.pairs} pairs found fewer than {LOAD_LIMIT} busy cores before each run")
        print(json_line([Row("steps: speed-up, median of pairs", "", None), Row("steps: cpu ratio, median of pairs", "", None)]))
        return
    rows = rows_of(pairs, options.events)
    size = (raw / "run_0001.h5").stat().st_size / 1e6
    load = ", at any load" if options.any_load else ""
    title = f"one run of {options.events} events, {size:.0f} MB uncompressed, as the merger writes it; {len(pairs)} pairs{load}"
    print("\n" + format_table(title, rows, ours="2 workers", peer="1 worker"))
    print(json_line(rows))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    root = Path(__file__).parents[1]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=4000, metavar="N", help="events of the run; default 4000, 0.7 MB each on disk")
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="alternating pairs of runs; default 5")
    parser.add_argument("--patience", type=float, default=300.0, metavar="S", help="wait so long for a quiet machine; default 300")
    parser.add_argument("--any-load", action="store_true", help="do not wait for a quiet machine: tries the benchmark out")
    parser.add_argument("--data", type=Path, default=root / "bench-data" / "tpc", metavar="DIR", help="where simulated runs are kept")
    parser.add_argument("--compute", type=int, metavar="WORKERS", help=argparse.SUPPRESS)
    parser.add_argument("--raw", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
