"""The whole TPC chain against Spyral: CPU time of each phase, of the mesh and of a fit, and how true the fits are.

What is measured and how: docs/benchmarks.md. The last line printed is JSON.
"""

from __future__ import annotations

import os

from machine import THREADS_OFF, describe_machine

# Libraries size their thread pools when they are imported.
if __name__ == "__main__":
    os.environ.update(THREADS_OFF)

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from figures import Goal, Row, format_table, json_line, missed
from fits_ours import PLAIN, ReactionScore, count_fits, fit_and_score, score_reaction, stopping_of_simulation
from fits_spyral import SolverReport, measure_solver
from tpc import SPEED
from tpc_data import RunSet
from tpc_ours import CHAIN, STAGES, StageCost, time_stages
from tpc_spyral import SpyralReport, measure, peer_python

from penstock.simulate.score_fits import FitScore, Pull
from penstock.simulate.score_tpc import Figure
from penstock.tpc.params import MeshParams

__all__ = ["Sets", "main", "quality_rows", "reaction_rows", "time_rows"]

SOLVER_SPEED = {"tpc.mesh": 100.0, "tpc.fits": 25.0}
"""How many times less CPU than Spyral a node of the mesh and a fit must take."""


@dataclass(frozen=True, slots=True)
class Sets:
    """The runs of one benchmark."""

    timing: RunSet
    warmup: RunSet
    singles: RunSet
    singles_of_peer: RunSet
    """Those of the same runs that the peer fits too: a quarter of a second a track."""
    pairs: RunSet
    piled: RunSet
    scattered: RunSet
    reaction: RunSet


PILED = {"ic_pileup_probability": 1.0}
SCATTERED = {"multiple_scattering": True, "energy_straggling": True}
REACTION = {
    "reaction": "16O(d,p)17O",
    "beam_energy_mev": 160.0,
    "gas": "D2",
    "excitations_mev": (0.0, 0.871, 3.055),
    "theta_cm_min_deg": 145.0,
    "theta_cm_max_deg": 168.0,
}
REACTION_SECTIONS = """[params.tpc.detector]
gas = "D2"

[params.tpc.kinematics]
reaction = "16O(d,p)17O"
beam_energy_mev = 160.0
"""

FULL = Sets(
    timing=RunSet("timing", (1,), 200, seed=11, compression="none"),
    warmup=RunSet("warmup", (1,), 40, seed=1, compression="none"),
    singles=RunSet("singles", tuple(range(1, 16)), 220, seed=301),
    singles_of_peer=RunSet("singles", (1, 2, 3, 4, 5), 220, seed=301),
    pairs=RunSet("fitpairs", (1, 2, 3), 200, seed=21, particles=("p", "p")),
    piled=RunSet("piled", (1, 2), 150, seed=501, changes=PILED),
    scattered=RunSet("scattered", (1, 2, 3, 4, 5), 220, seed=401, changes=SCATTERED),
    reaction=RunSet("reaction", (1, 2, 3, 4, 5), 220, seed=601, changes=REACTION),
)
QUICK = Sets(
    timing=RunSet("timing", (1,), 40, seed=11, compression="none"),
    warmup=RunSet("warmup", (1,), 10, seed=1, compression="none"),
    singles=RunSet("singles", (1, 2), 30, seed=301),
    singles_of_peer=RunSet("singles", (1,), 30, seed=301),
    pairs=RunSet("fitpairs", (1,), 10, seed=21, particles=("p", "p")),
    piled=RunSet("piled", (1,), 20, seed=501, changes=PILED),
    scattered=RunSet("scattered", (1,), 30, seed=401, changes=SCATTERED),
    reaction=RunSet("reaction", (1,), 30, seed=601, changes=REACTION),
)


def time_rows(
    costs: dict[str, StageCost], n_events: int, n_fits: int, n_nodes: int, phases: SpyralReport | None, solver: SolverReport | None
) -> list[Row]:
    """CPU time of each stage: an event, a node of the mesh, a track."""
    ours = {stage: 1e3 * cost.cpu_median_s for stage, cost in costs.items()}
    theirs = phases.cpu_ms_per_event if phases else {}
    rows = [
        Row(f"{stage} cpu", "ms/event", ours[stage] / n_events, theirs.get(stage), goal=Goal(SPEED[stage], "ratio")) for stage in STAGES
    ]
    parts = (
        ("tpc.mesh", "ms/node", n_nodes, solver.mesh_ms_per_node if solver else None),
        ("tpc.fits", "ms/track", n_fits, solver.fit_ms_per_track if solver else None),
    )
    return rows + [
        Row(f"{stage} cpu", unit, ours[stage] / n, peer, goal=Goal(SOLVER_SPEED[stage], "ratio")) for stage, unit, n, peer in parts
    ]


def quality_rows(name: str, score: FitScore, peer: FitScore | None = None, *, goals: dict[str, Goal]) -> list[Row]:
    """How true the fits of some runs are."""
    rows = []
    for field, text, unit, factor, more_is_better in FIGURES:
        ours, theirs = getattr(score, field), getattr(peer, field) if peer else None
        found = _row(f"{name}: {text}", unit, ours, theirs, factor, goals.get(field), more_is_better=more_is_better)
        rows.append(replace(found, comparable="bias" not in field))
    for field, text in PULLS:
        own: Pull = getattr(score, field)
        other: Pull | None = getattr(peer, field) if peer else None
        rows.append(_row(f"{name}: pull width, {text}", "", own.width, other.width if other else None, 1.0, goals.get("pull_width")))
        rows.append(_row(f"{name}: pull mean, {text}", "", own.mean, other.mean if other else None, 1.0, goals.get("pull_mean")))
    return rows


FIGURES = (
    ("fitted", "fitted", "%", 100.0, True),
    ("good", "fitted within 5° and 10 %", "%", 100.0, True),
    ("surplus", "rows beyond one a track", "%", 100.0, False),
    ("pileup_rejected", "pile-up events rejected", "%", 100.0, True),
    ("ke_bias", "energy, bias", "%", 100.0, False),
    ("ke_width", "energy, width", "%", 100.0, False),
    ("brho_error", "Bρ, median |error|", "%", 100.0, False),
    ("polar_bias_deg", "polar angle, bias", "deg", 1.0, False),
    ("polar_error_deg", "polar angle, median |error|", "deg", 1.0, False),
    ("vertex_z_bias_mm", "vertex z, bias", "mm", 1.0, False),
    ("tails_ke", "energy, beyond 5 MAD", "%", 100.0, False),
    ("tails_polar", "polar angle, beyond 5 MAD", "%", 100.0, False),
)
PULLS = (("pull_ke", "energy"), ("pull_polar", "polar angle"), ("pull_azimuthal", "azimuth"), ("pull_vertex_z", "vertex z"))

ACCURACY = {
    "ke_bias": Goal(0.1, side="within", sure=True),
    "brho_error": Goal(0.2, side="most", sure=True),
    "polar_bias_deg": Goal(0.05, side="within", sure=True),
    "polar_error_deg": Goal(0.1, side="most", sure=True),
}
PULL_GOALS = {"pull_width": Goal(0.2, side="within", centre=1.0, sure=True), "pull_mean": Goal(0.2, side="within", sure=True)}
SINGLES = {"fitted": Goal(98.0, sure=True), **ACCURACY, **PULL_GOALS}
PAIRS = {"fitted": Goal(94.0, sure=True), **ACCURACY}


def reaction_rows(score: ReactionScore) -> list[Row]:
    """How well the excitation energy of a simulated reaction comes back."""
    return [
        Row("reaction: fits", "", float(score.fits)),
        Row(
            "reaction: excitation energy, bias",
            "keV",
            score.bias_kev.value,
            error=score.bias_kev.error,
            goal=Goal(50.0, side="within", sure=True),
        ),
        Row("reaction: excitation energy, width", "keV", score.width_kev.value, error=score.width_kev.error),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    sets = QUICK if options.quick else FULL
    data, work = options.data, options.data / "work"
    folders = {
        s.name: s.provide(data) for s in (sets.timing, sets.warmup, sets.singles, sets.pairs, sets.scattered, sets.piled, sets.reaction)
    }
    timing, warmup = folders[sets.timing.name], folders[sets.warmup.name]

    print("timing penstock", file=sys.stderr, flush=True)
    costs = time_stages(timing, warmup, work, options.repetitions, CHAIN)
    mesh = MeshParams()
    n_nodes = len(mesh.particles) * mesh.ke_bins * mesh.polar_bins
    n_fits = count_fits(timing, work)
    print("scoring penstock", file=sys.stderr, flush=True)
    stopping = stopping_of_simulation(work, "H2")
    ours = {s.name: fit_and_score(folders[s.name], work, PLAIN + stopping)[0] for s in (sets.singles, sets.pairs, sets.piled)}
    scattered = fit_and_score(folders[sets.scattered.name], work, stopping)[0]
    library = fit_and_score(folders[sets.singles.name], work, PLAIN)[0]
    reaction = score_reaction(folders[sets.reaction.name], work, REACTION_SECTIONS + PLAIN + stopping_of_simulation(work, "D2"))
    shared = fit_and_score(options.shared, work, PLAIN) if options.shared else {}
    phases, solver = None, None
    python = None if options.no_peer else peer_python()
    if python is not None:
        scored = [sets.singles_of_peer.provide(data), folders[sets.pairs.name]]
        phases = measure(python, timing, warmup, scored, work / "spyral", options.repetitions)
        solver = measure_solver(python, work / "spyral", data / "spyral-mesh", phases, scored, options.repetitions)

    print(describe_machine(phases.versions if phases else None))
    rows = time_rows(costs, sets.timing.events, n_fits, n_nodes, phases, solver)
    _print(f"CPU, warm, reading and writing included; {sets.timing.events} events, {n_fits} fits, mesh of {n_nodes} nodes", rows)
    for s, of_peer, goals in ((sets.singles, sets.singles_of_peer, SINGLES), (sets.pairs, sets.pairs, PAIRS)):
        peer = solver.scores[str(of_peer.folder(data))] if solver else None
        rows += _print(_title(s, ours[s.name], peer), quality_rows(s.name, ours[s.name], peer, goals=goals))
    found = [
        _row(f"{sets.singles.name}, library: energy, bias", "%", library.ke_bias, None, 100.0, None),
        _row(f"{sets.singles.name}, library: Bρ, median |error|", "%", library.brho_error, None, 100.0, None),
    ]
    rows += _print(f"{sets.singles.name}, with the stopping powers of the library instead of those of the simulation", found)
    found = quality_rows("scattered", scattered, goals={"fitted": SINGLES["fitted"], **PULL_GOALS})
    rows += _print(_title(sets.scattered, scattered, None), found)
    rejected = ours[sets.piled.name].pileup_rejected
    rows += _print(
        f"pile-up: {ours[sets.piled.name].pileup_tracks} tracks",
        [_row("pile-up events rejected", "%", rejected, None, 100.0, Goal(99.0, sure=True), more_is_better=True)],
    )
    rows += _print(f"{REACTION['reaction']} at {REACTION['beam_energy_mev']} MeV", reaction_rows(reaction))
    if shared:
        rows += _print(
            f"{len(shared) - 1} sample runs: {shared[0].tracks} tracks",
            quality_rows("sample runs", shared[0], goals={"fitted": SINGLES["fitted"], **ACCURACY}),
        )
    print("\n" + verdict(rows, has_peer=python is not None, wanted_peer=not options.no_peer))
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


def verdict(rows: Sequence[Row], *, has_peer: bool, wanted_peer: bool) -> str:
    """Which goals are not kept, and whether the peer was measured."""
    lines = []
    if not has_peer:
        lines.append("Spyral was not measured" + (": set its environment up with: make peers" if wanted_peer else " (--no-peer)."))
    failed = [row.name for row in missed(rows)]
    lines.append(f"goals not kept or not judged: {'; '.join(failed)}" if failed else "all goals kept")
    return "\n".join(lines)


def _print(title: str, rows: list[Row]) -> list[Row]:
    print("\n" + format_table(title, rows))
    return rows


def _row(name: str, unit: str, ours: Figure, peer: Figure | None, factor: float, goal: Goal | None, *, more_is_better: bool = False) -> Row:
    """A row of two figures in another unit."""
    return Row(
        name,
        unit,
        factor * ours.value,
        factor * peer.value if peer else None,
        factor * ours.error,
        factor * peer.error if peer else None,
        more_is_better,
        goal,
    )


def _title(runs: RunSet, ours: FitScore, peer: FitScore | None) -> str:
    text = f"quality, {runs.name}: {len(runs.runs)} x {runs.events} events, {len(runs.particles)} track(s) each; {ours.tracks} tracks count"
    return f"{text} (peer: {peer.tracks})" if peer else text


if __name__ == "__main__":
    main()
