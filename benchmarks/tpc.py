"""The TPC stages against Spyral: CPU time of each phase on the same run, and how well tracks are found.

What is measured and how: docs/benchmarks.md. The last line printed is JSON.
"""

from __future__ import annotations

import os

from machine import THREADS_OFF, describe_machine

# Libraries size their thread pools when they are imported.
if __name__ == "__main__":
    os.environ.update(THREADS_OFF)

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from figures import Goal, Row, format_table, json_line, missed
from tpc_data import RunSet
from tpc_ours import STAGES, StageCost, process_and_score, time_stages
from tpc_spyral import SpyralReport, measure, peer_python

from penstock.simulate.score_tpc import TrackScore

__all__ = ["Sets", "main", "quality_rows", "time_rows"]

SPEED = {"tpc.points": 15.0, "tpc.clusters": 8.0, "tpc.estimates": 10.0}
"""How many times less CPU than Spyral each stage must take."""


@dataclass(frozen=True, slots=True)
class Sets:
    """The runs of one benchmark."""

    timing: RunSet
    warmup: RunSet
    singles: RunSet
    pairs: RunSet


FULL = Sets(
    timing=RunSet("timing", (1,), 200, seed=11, compression="none"),
    warmup=RunSet("warmup", (1,), 40, seed=1, compression="none"),
    singles=RunSet("singles", (1, 2, 3, 4, 5), 220, seed=301),
    pairs=RunSet("pairs", (1,), 100, seed=21, particles=("p", "p")),
)
QUICK = Sets(
    timing=RunSet("timing", (1,), 40, seed=11, compression="none"),
    warmup=RunSet("warmup", (1,), 10, seed=1, compression="none"),
    singles=RunSet("singles", (1, 2), 30, seed=301),
    pairs=RunSet("pairs", (1,), 10, seed=21, particles=("p", "p")),
)


def time_rows(costs: dict[str, StageCost], n_events: int, peer: SpyralReport | None) -> list[Row]:
    """CPU time per event of each stage and of all."""
    ours = {stage: 1e3 * cost.cpu_median_s / n_events for stage, cost in costs.items()}
    theirs = peer.cpu_ms_per_event if peer else {}
    rows = [Row(f"{stage} cpu", "ms/event", ours[stage], theirs.get(stage), goal=Goal(SPEED[stage], "ratio")) for stage in STAGES]
    return [*rows, Row("all stages cpu", "ms/event", sum(ours.values()), sum(theirs.values()) if theirs else None)]


def quality_rows(name: str, score: TrackScore, peer: TrackScore | None = None, *, judged: bool = False) -> list[Row]:
    """How well the tracks of some runs were found; `judged` rows carry their goals."""
    goals = {
        "found_once": Goal(0.88),
        "found": Goal(0.97),
        "surplus": Goal(0.03, side="most"),
        "polar_error_deg": Goal(2.0, side="most"),
        "brho_error": Goal(0.03, side="most"),
    }
    quantities = [
        ("found_once", "found by exactly one row", "", True),
        ("found", "found by any row", "", True),
        ("matched", "has a row, good or not", "", True),
        ("surplus", "ghost and duplicate rows", "", False),
        ("polar_error_deg", "median polar error", "deg", False),
        ("brho_error", "median brho error", "", False),
        ("vertex_z_error_mm", "median vertex z error", "mm", False),
    ]
    rows = []
    for field, text, unit, more_is_better in quantities:
        ours, theirs = getattr(score, field), getattr(peer, field) if peer else None
        rows.append(
            Row(
                f"{name}: {text}",
                unit,
                ours.value,
                theirs.value if theirs else None,
                ours.error,
                theirs.error if theirs else None,
                more_is_better,
                goals.get(field) if judged else None,
            )
        )
    extra = Row(f"{name}: rows beyond one a track, good or not", "", _extra_rows(score), _extra_rows(peer) if peer else None)
    return [*rows, extra]


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    sets = QUICK if options.quick else FULL
    data = options.data
    folders = {s.name: s.provide(data) for s in (sets.timing, sets.warmup, sets.singles, sets.pairs)}
    python = None if options.no_peer else peer_python()
    work = data / "work"

    print("timing penstock", file=sys.stderr, flush=True)
    costs = time_stages(folders["timing"], folders["warmup"], work, options.repetitions)
    print("scoring penstock", file=sys.stderr, flush=True)
    scored = [sets.singles, sets.pairs]
    ours = {s.name: process_and_score(folders[s.name], work)[0] for s in scored}
    shared = process_and_score(options.shared, work) if options.shared else {}
    peer = None
    if python is not None:
        peer = measure(
            python, folders["timing"], folders["warmup"], [folders[s.name] for s in scored], work / "spyral", options.repetitions
        )
    theirs = {s.name: peer.scores[str(folders[s.name])] if peer else None for s in scored}

    print(describe_machine(peer.versions if peer else None))
    rows = time_rows(costs, sets.timing.events, peer)
    print("\n" + format_table(f"CPU, warm, reading and writing included; {_size(folders['timing'], sets.timing)}", rows))
    for s in scored:
        found = quality_rows(s.name, ours[s.name], theirs[s.name], judged=s is sets.singles)
        print("\n" + format_table(f"quality, {_size(folders[s.name], s)}: {_counts(ours[s.name], theirs[s.name])}", found))
        rows += found
    if shared:
        found = quality_rows("sample runs", shared[0], judged=True)
        print("\n" + format_table(f"quality, {len(shared) - 1} sample runs: {_counts(shared[0], None)}", found))
        print("\n".join(f"run {run}: {_in_a_line(score)}" for run, score in shared.items() if run))
        rows += found
    print("\n" + _verdict(rows, has_peer=peer is not None, wanted_peer=not options.no_peer))
    print(json_line(rows))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    root = Path(__file__).parents[1]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few events: tries the benchmark out, its figures mean little")
    parser.add_argument("--no-peer", action="store_true", help="measure penstock alone")
    parser.add_argument("--data", type=Path, default=root / "bench-data" / "tpc", metavar="DIR", help="where simulated runs are kept")
    parser.add_argument("--shared", type=Path, metavar="DIR", help="score the runs of another folder too: run_*.h5 with *.truth.h5")
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="timed repetitions, of which the median counts; default 3")
    return parser.parse_args(arguments)


def _size(folder: Path, runs: RunSet) -> str:
    size = sum((folder / f"run_{run:04d}.h5").stat().st_size for run in runs.runs)
    packed = "uncompressed" if runs.compression == "none" else runs.compression
    return f"{len(runs.runs)} x {runs.events} events, {len(runs.particles)} track(s) each, {size / 1e6:.0f} MB {packed}"


def _counts(ours: TrackScore, peer: TrackScore | None) -> str:
    text = f"{ours.tracks} tracks, {ours.rows} rows"
    return f"{text} (peer: {peer.tracks} tracks, {peer.rows} rows)" if peer else text


def _extra_rows(score: TrackScore) -> float:
    """Fraction of rows that are not the first of their track, however good they are."""
    return 1.0 - score.matched.value * score.tracks / score.rows if score.rows else math.nan


def _in_a_line(score: TrackScore) -> str:
    return (
        f"{_counts(score, None)}, found once {score.found_once}, found {score.found}, surplus {score.surplus}, "
        f"polar error {score.polar_error_deg} deg, brho error {score.brho_error}"
    )


def _verdict(rows: Sequence[Row], *, has_peer: bool, wanted_peer: bool) -> str:
    lines = []
    if not has_peer:
        lines.append("Spyral was not measured" + (": set its environment up with: make peers" if wanted_peer else " (--no-peer)."))
    failed = [row.name for row in missed(rows)]
    lines.append(f"goals not kept or not judged: {'; '.join(failed)}" if failed else "all goals kept")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
