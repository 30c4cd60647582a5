"""Runs of a folder of traces, as Spyral finds and deals them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from penstock.formats.spyral.layout import run_name

__all__ = ["collect_runs", "create_run_stacks", "form_run_string", "get_size_path"]


def form_run_string(run_number: int) -> str:
    """``run_0094``: how files of a run begin."""
    return run_name(run_number)


def get_size_path(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def collect_runs(trace_path: Path, run_min: int, run_max: int, runs_to_skip: Sequence[int] = ()) -> dict[int, int]:
    """Bytes of the file of each run from `run_min` to `run_max` that has one, the largest first."""
    wanted = (run for run in range(run_min, run_max + 1) if run not in runs_to_skip)
    sizes = {run: get_size_path(trace_path / f"{form_run_string(run)}.h5") for run in wanted}
    return dict(sorted(((run, size) for run, size in sizes.items() if size), key=lambda item: -item[1]))


def create_run_stacks(
    trace_path: Path, run_min: int, run_max: int, n_stacks: int, runs_to_skip: Sequence[int] = ()
) -> tuple[list[list[int]], list[float]]:
    """Runs dealt to so many stacks that each has about the same to read, and the load of each in percent; none is empty."""
    sizes = collect_runs(trace_path, run_min, run_max, runs_to_skip)
    stacks: list[list[int]] = [[] for _ in range(n_stacks)]
    for place, run in enumerate(sizes):
        lap, seat = divmod(place, n_stacks)
        stacks[seat if lap % 2 == 0 else n_stacks - 1 - seat].append(run)
    filled = [stack for stack in stacks if stack]
    total = sum(sizes.values())
    return filled, [100.0 * sum(sizes[run] for run in stack) / total for stack in filled]
