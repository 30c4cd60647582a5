"""``penstock plan`` and ``penstock runs``: what would be computed and why, and the run table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli._options import (
    experiment_argument,
    json_option,
    nearest_experiment,
    print_json,
    print_table,
    request_options,
    to_request,
)
from penstock.config import Experiment
from penstock.core.errors import ConfigError
from penstock.core.plan import PlanRow, State
from penstock.execute import Planner
from penstock.store import Store

if TYPE_CHECKING:
    from penstock.views.tables import RunTable

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
    with loaded.open_store() as store:
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


@click.command(epilog="Example: penstock runs experiment.toml --runs last:50 --html run-table.html")
@experiment_argument
@request_options
@click.option("--html", default=None, type=click.Path(path_type=Path, dir_okay=False), help="Write the table to an HTML file too.")
@json_option
def runs(
    experiment: Path | None,
    runs: str,
    events: str | None,
    stages: str,
    overrides: tuple[str, ...],
    preset: str | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Print the run table: a row a run, a column a stage, and those of [columns]; what is stale, missing or failed is marked."""
    from penstock.views.tables import run_table

    loaded = nearest_experiment(experiment, preset)
    with loaded.open_store() as store:
        rows = Planner(loaded, store, to_request(runs, events, stages, overrides)).plan()
        table = run_table(rows, store, columns=loaded.columns)
        if html is not None:
            _write_html(table, html, loaded, store)
    if as_json:
        print_json(table.as_json())
    elif html is None:
        table.print()
    else:
        click.echo(f"{html}: {len(table.rows):,} run{'' if len(table.rows) == 1 else 's'}")


def _write_html(table: RunTable, path: Path, experiment: Experiment, store: Store) -> None:
    from penstock.views.run_table_html import write_run_table_html

    try:
        write_run_table_html(table, path, experiment, store)
    except OSError as error:
        raise ConfigError(f"--html {path}: cannot be written ({error.strerror}). Name a file in a folder that you may write.") from error
