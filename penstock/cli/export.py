"""``penstock export``: results of an experiment in a layout that other programs read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli._options import (
    experiment_argument,
    json_option,
    nearest_experiment,
    print_json,
    request_options,
    to_request,
)
from penstock.core.canonical import Json
from penstock.core.plan import PlanRow, State
from penstock.execute import Planner
from penstock.store import Store

if TYPE_CHECKING:
    from penstock.formats.spyral.workspace import Exported, Source

__all__ = ["export"]


@click.command(epilog="Example: penstock export experiment.toml --runs 94-110 --layout spyral --out workspace")
@experiment_argument
@request_options
@click.option("--layout", type=click.Choice(["spyral"]), required=True, help="spyral: the folders and files of a workspace of Spyral 1.x.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder that gets the files.")
@click.option(
    "--ic-multiplicity",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Events with more ion-chamber pulses are marked as having none, as Spyral does.",
)
@click.option("--force", is_flag=True, help="Replace files of these runs that are there already.")
@json_option
def export(
    experiment: Path | None,
    runs: str,
    events: str | None,
    stages: str,
    overrides: tuple[str, ...],
    preset: str | None,
    layout: str,
    out: Path,
    ic_multiplicity: int,
    force: bool,
    as_json: bool,
) -> None:
    """Write the current results of runs in a layout that other programs read. Nothing is computed.

    Exit code 1 where a run lacks a current result.
    """
    from penstock.formats.spyral.workspace import export_run

    loaded = nearest_experiment(experiment, preset)
    with loaded.open_store() as store:
        rows = Planner(loaded, store, to_request(runs, events, stages, overrides)).plan()
        missing = [row for row in rows if row.state is not State.CURRENT]
        done = [
            export_run(store, run, sources, out, most_pulses=ic_multiplicity, overwrite=force)
            for run, sources in _sources(store, rows).items()
            if sources
        ]
    if as_json:
        print_json(_as_json(done, missing))
    else:
        _print(done, missing, out)
    if missing:
        sys.exit(1)


def _sources(store: Store, rows: Iterable[PlanRow]) -> Mapping[int, dict[str, Source]]:
    """By run the current artifact of each schema; where several stages write one, that of the last."""
    from penstock.formats.spyral.workspace import Source

    found: dict[int, dict[str, Source]] = {}
    for row in rows:
        sources = found.setdefault(row.run, {})
        if row.state is State.CURRENT and row.key is not None:
            sources[row.stage.writes.name] = Source(store.manifest(row.key), row.stage.writes)
        else:
            sources.pop(row.stage.writes.name, None)
    return found


def _as_json(done: Iterable[Exported], missing: Iterable[PlanRow]) -> dict[str, Json]:
    return {
        "runs": [{"run": d.run, "files": [str(p) for p in d.files], "left_out": list(d.left_out)} for d in done],
        "missing": [row.as_json() for row in missing],
    }


def _print(done: Iterable[Exported], missing: Iterable[PlanRow], out: Path) -> None:
    for exported in done:
        for path in exported.files:
            click.echo(str(path))
        for note in exported.left_out:
            click.echo(note, err=True)
    for row in missing:
        click.echo(
            f"left out: run {row.run}, {row.stage.name} is {row.state} ({row.why}). Compute it with: penstock run --runs {row.run}",
            err=True,
        )
    click.echo(f"{sum(len(d.files) for d in done)} files written to {out}")
