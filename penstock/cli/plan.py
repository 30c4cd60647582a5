"""``penstock plan`` and ``penstock runs``: what would be computed and why, and the run table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from penstock.cli._options import (
    experiment_argument,
    json_option,
    nearest_experiment,
    open_experiment_store,
    print_json,
    print_table,
    request_options,
    to_request,
)
from penstock.core.plan import PlanRow, State
from penstock.execute import Planner

__all__ = ["plan", "print_plan", "runs"]


@click.command(epilog="Example: penstock plan experiment.toml --runs 94-110 --set tpc.clusters.hdbscan.min_points=5")
@experiment_argument
@request_options
@json_option
def plan(
    experiment: Path | None, runs: str, events: str | None, stages: str, overrides: tuple[str, ...], preset: str | None, as_json: bool
) -> None:
    """Print what `penstock run` would do: current, stale, missing or failed, and the first thing that differs.

    Reads the index only; no raw file is opened.
    """
    loaded = nearest_experiment(experiment, preset)
    with open_experiment_store(loaded) as store:
        rows = Planner(loaded, store, to_request(runs, events, stages, overrides)).plan()
    if as_json:
        print_json([row.as_json() for row in rows])
    else:
        print_plan(rows)


def print_plan(rows: list[PlanRow]) -> None:
    """The plan as a table, and a line that counts its states."""
    print_table(
        ["run", "stage", "key", "state", "why"],
        [[str(r.run), r.stage.name, r.key.short if r.key else "-", str(r.state), r.why] for r in rows],
    )
    counts = Counter(r.state for r in rows)
    click.echo(", ".join(f"{counts[s]} {s}" for s in (State.CURRENT, State.STALE, State.MISSING, State.FAILED)))


@click.command(epilog="Example: penstock runs experiment.toml --runs last:50")
@experiment_argument
@request_options
@json_option
def runs(
    experiment: Path | None, runs: str, events: str | None, stages: str, overrides: tuple[str, ...], preset: str | None, as_json: bool
) -> None:
    """Print the run table: a row a run, a column a stage; what is stale, missing or failed is marked."""
    from penstock.views.tables import run_table

    loaded = nearest_experiment(experiment, preset)
    with open_experiment_store(loaded) as store:
        table = run_table(Planner(loaded, store, to_request(runs, events, stages, overrides)).plan(), store)
    if as_json:
        print_json(table.as_json())
    else:
        table.print()
