"""Replays of event streams against dranspose: CPU of an event and of the whole command, and how two processes share a worker's load.

Both run the same worker and reducer, imports included, over the same captures, in turn. Event loop is what passes between the
construction of the reducer and its end: opening and indexing the capture, reading, parsing, the user's code, results. The last
line printed is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import mmap
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from events_data import ImageCapture
from figures import Goal, Row, format_table, json_line, missed
from machine import THREADS_OFF, describe_machine, wait_until_quiet

from penstock.formats.captures import CaptureFile

__all__ = ["Case", "Sample", "cost_rows", "main", "scaling_rows"]

HERE = Path(__file__).parent
SAME = 1e-9
"""Relative difference of sums that both must agree to."""
LOAD_LIMIT = 0.3
"""Busy cores above which nothing is measured that needs two of them."""
SCALING_GOAL = 1.8


@dataclass(frozen=True, slots=True)
class Case:
    """A worker over a capture, and what its event loop has to cost."""

    name: str
    worker: str
    capture: ImageCapture
    goal: Goal


@dataclass(frozen=True, slots=True)
class Sample:
    """What one replay cost: CPU and wall time in seconds."""

    loop_cpu_s: float
    loop_wall_s: float
    whole_cpu_s: float
    results: int
    sum: float


def cases(*, quick: bool) -> list[Case]:
    """What is measured."""
    small = ImageCapture(300 if quick else 5000, 100)
    large = ImageCapture(20 if quick else 500, 1024)
    return [
        Case(f"mean of a region, {small.name}", "MeanWorker", small, Goal(5.0, "ratio")),
        Case(f"mean of a region, {large.name}", "MeanWorker", large, Goal(20.0, "ratio")),
        Case(f"framework alone, {small.name}", "IdleWorker", small, Goal(10.0, side="most")),
    ]


def replay(command: Sequence[str], worker: str, path: Path, *options: str) -> Sample:
    """One replay in a process of its own."""
    classes = ["-w", f"events_classes:{worker}", "-r", "events_classes:TimingReducer", "-f", str(path)]
    environment = {**os.environ, **THREADS_OFF, "LOG_LEVEL": "ERROR"}
    process = subprocess.Popen(
        [*command, "replay", *classes, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=HERE / "peers",
        env=environment,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    printed, complaint = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.communicate()
    if process.returncode:
        raise SystemExit(f"{command[0]} replay failed with exit code {process.returncode}: {complaint}")
    told = json.loads(printed.splitlines()[-1])
    return Sample(told["cpu_s"], told["wall_s"], usage.ru_utime + usage.ru_stime, told["results"], told["sum"])


def measure(case: Case, path: Path, tools: dict[str, list[str]], repetitions: int) -> dict[str, list[Sample]]:
    """Replays of each tool in turn, after one of each that brings the capture into the memory of the machine."""
    found: dict[str, list[Sample]] = {name: [] for name in tools}
    for number in range(repetitions + 1):
        for name in list(tools)[:: 1 if number % 2 else -1]:
            sample = replay(tools[name], case.worker, path)
            _check(case, name, sample)
            if number:
                found[name].append(sample)
    return found


def _check(case: Case, name: str, sample: Sample) -> None:
    """That a tool did the work."""
    expected = case.capture.mean_sum() if case.worker == "MeanWorker" else float(case.capture.images)
    if sample.results != case.capture.images or not math.isclose(sample.sum, expected, rel_tol=SAME):
        raise SystemExit(
            f"{name}, {case.name}: {sample.results} results of sum {sample.sum!r}, expected {case.capture.images} of sum {expected!r}"
        )


def cost_rows(case: Case, ours: Sequence[Sample], peer: Sequence[Sample]) -> list[Row]:
    """Medians of CPU: of an event in the loop, and of the whole command."""

    def median(samples: Sequence[Sample], field: str) -> float | None:
        return statistics.median(getattr(sample, field) for sample in samples) if samples else None

    def each(seconds: float | None) -> float | None:
        return None if seconds is None else 1e6 * seconds / case.capture.images

    loop = [each(median(samples, "loop_cpu_s")) for samples in (ours, peer)]
    return [
        Row(f"{case.name}: event loop, cpu", "µs/event", loop[0], loop[1], goal=case.goal),
        Row(f"{case.name}: whole command, cpu", "s", median(ours, "whole_cpu_s"), median(peer, "whole_cpu_s")),
    ]


def bare_loop_us(path: Path, capture: ImageCapture, repetitions: int) -> float:
    """CPU of an image in the least loop that computes the means, where the pixels lie being known: map, view, mean, unmap. Median, in µs."""
    frames = CaptureFile(path).index.frames
    offsets = frames[frames[:, 1] == 2 * capture.side**2, 0].tolist()
    shape, dtype, total, times = (capture.side, capture.side), np.dtype(np.uint16), 0.0, []
    for _ in range(repetitions):
        began = time.process_time()
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for offset in offsets:
                total += float(np.ndarray(shape, dtype, data, offset)[20:60, 20:60].mean())
        times.append(time.process_time() - began)
    assert math.isclose(total / repetitions, capture.mean_sum(), rel_tol=SAME)
    return 1e6 * statistics.median(times) / capture.images


def measure_pairs(path: Path, command: Sequence[str], pairs: int, patience_s: float, *, any_load: bool) -> list[tuple[Sample, Sample]]:
    """Replays by one process and by two, in turn the one or the other first; stops where the machine does not become quiet."""
    found: list[tuple[Sample, Sample]] = []
    for number in range(pairs):
        samples: dict[int, Sample] = {}
        for processes in (1, 2) if number % 2 == 0 else (2, 1):
            if not any_load and wait_until_quiet(LOAD_LIMIT, patience_s) is None:
                print(f"pair {number + 1}: the machine was not quiet within {patience_s:.0f} s", file=sys.stderr)
                return found
            samples[processes] = replay(command, "SortingWorker", path, "--processes", str(processes))
        if samples[1].sum != samples[2].sum:
            raise SystemExit(f"one process gives the sum {samples[1].sum!r}, two give {samples[2].sum!r}")
        found.append((samples[1], samples[2]))
    return found


def scaling_rows(pairs: Sequence[tuple[Sample, Sample]]) -> list[Row]:
    """Wall time of two processes against one, their start included; the column of the peer is one process."""
    if not pairs:
        return [Row("worker that computes: speed-up, median of pairs", "", None, goal=Goal(SCALING_GOAL))]
    one, two = (statistics.median(sample.loop_wall_s for sample in samples) for samples in zip(*pairs, strict=True))
    speed_up = statistics.median(a.loop_wall_s / b.loop_wall_s for a, b in pairs)
    return [
        Row("worker that computes: event loop, wall", "s", two, one),
        Row("worker that computes: speed-up, median of pairs", "", speed_up, goal=Goal(SCALING_GOAL)),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    ours = [str(Path(sys.executable).with_name("penstock"))]
    peer = HERE.parent / ".peers" / "dranspose" / "bin" / "dranspose"
    tools = {"penstock": ours}
    if peer.exists() and not options.no_peer:
        tools["dranspose"] = [str(peer)]
    began = time.monotonic()
    rows: list[Row] = []
    wanted = cases(quick=options.quick)
    for case in wanted:
        samples = measure(case, case.capture.provide(options.data), tools, options.repetitions)
        rows += cost_rows(case, samples["penstock"], samples.get("dranspose", []))
        if case.worker == "MeanWorker":
            bare = bare_loop_us(case.capture.provide(options.data), case.capture, options.repetitions)
            rows.append(Row(f"{case.name}: no framework at all, cpu", "µs/event", bare))
    print(describe_machine({"dranspose": "0.2.0", "orjson": version("orjson")} if "dranspose" in tools else None))
    print("\n" + format_table(f"replays, medians of {options.repetitions}, in turn", rows, peer="dranspose"))
    if options.pairs:
        path = wanted[0].capture.provide(options.data)
        pairs = measure_pairs(path, ours, options.pairs, options.patience, any_load=options.any_load)
        scaling = scaling_rows(pairs)
        load = ", at any load" if options.any_load else ""
        print("\n" + format_table(f"two processes against one, {len(pairs)} pairs{load}", scaling, ours="2 processes", peer="1 process"))
        rows += scaling
    failed = [row.name for row in missed(rows)]
    verdict = f"goals not kept or not judged: {'; '.join(failed)}" if failed else "all goals kept"
    print(f"\n{verdict}; measured in {time.monotonic() - began:.0f} s")
    if "dranspose" not in tools:
        print("dranspose was not measured" + (" (--no-peer)." if options.no_peer else ": set its environment up with: make peers"))
    print(json_line(rows))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few events: tries the benchmark out, its figures mean little")
    parser.add_argument("--no-peer", action="store_true", help="measure penstock alone")
    parser.add_argument(
        "--repetitions", type=int, default=5, metavar="N", help="timed replays of each tool, of which the median counts; default 5"
    )
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="pairs of one process and two; 0 leaves them out; default 5")
    parser.add_argument("--patience", type=float, default=300.0, metavar="S", help="wait so long for a quiet machine; default 300")
    parser.add_argument("--any-load", action="store_true", help="do not wait for a quiet machine: tries the benchmark out")
    parser.add_argument("--data", type=Path, default=HERE.parent / "bench-data" / "events", metavar="DIR", help="where captures are kept")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
