"""``penstock calibrate``: values of the detector from its own data."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli._options import (
    experiment_argument,
    json_option,
    nearest_experiment,
    print_json,
    print_table,
    to_request,
)
from penstock.config import Experiment, write_run_table
from penstock.core.canonical import Json
from penstock.core.errors import ConfigError
from penstock.core.plan import State
from penstock.core.stage import Stage
from penstock.execute import StepResult

if TYPE_CHECKING:
    from penstock.tpc.drift import DriftEdge, DriftEdges

__all__ = ["calibrate"]

SIDES = ("micromegas", "window")


@click.group()
def calibrate() -> None:
    """Values of the detector from its own data."""


@calibrate.command(epilog="Example: penstock calibrate drift experiment.toml --runs 94-110 --write drift.csv --figures figures")
@experiment_argument
@click.option("--runs", default="all", show_default=True, help="Run range: 94-110,115,!100 or last:50 or all.")
@click.option("--events", default=None, help="Some events only: 0:500, first:100 or every:10.")
@click.option("--set", "overrides", multiple=True, metavar="STAGE.PARAMETER=VALUE", help="Set a parameter; may be given often.")
@click.option("--preset", default=None, help="Another preset of the instrument.")
@click.option("--executor", default=None, help="inline, local, or tcp://host:8786 of a Dask scheduler.")
@click.option("--write", "table", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Run-range table (CSV) for [tables].")
@click.option("--figures", type=click.Path(path_type=Path, file_okay=False), default=None, help="Folder for a figure of each run.")
@json_option
def drift(
    experiment: Path | None,
    runs: str,
    events: str | None,
    overrides: tuple[str, ...],
    preset: str | None,
    executor: str | None,
    table: Path | None,
    figures: Path | None,
    as_json: bool,
) -> None:
    """Time buckets of micromegas and window, with statistical errors, from the times of the points of each run.

    Charge set free at the micromegas comes first, charge from the window last. Tracks must leave through either end; an
    edge that the data do not show is not invented. Points that are not there yet are computed.
    """
    from penstock.cli.run import execute
    from penstock.views.tpc_drift import draw_drift, measure_drift

    loaded = nearest_experiment(experiment, preset)
    stage = _point_stage(loaded)
    if table is not None and table.exists():
        raise ConfigError(f"{table} is there already. Remove it, or name another file.")
    resources = loaded.resources.model_copy(update={} if executor is None else {"executor": executor})
    found: dict[int, DriftEdges] = {}
    drawn: dict[int, Path] = {}
    with loaded.open_store() as store:
        report = execute(loaded, store, to_request(runs, events, stage.name, overrides), resources, quiet=as_json)
        for result in report.results:
            if result.stage == stage.name and result.state in (State.COMPUTED, State.CURRENT) and result.key is not None:
                manifest = store.manifest(result.key)
                found[result.run], sample = measure_drift(store, manifest)
                if figures is not None:
                    path = figures / f"run_{result.run:04d}.drift.png"
                    drawn[result.run] = draw_drift(store, manifest, found[result.run], sample, path)
    failed = [r for r in report.results if r.state is State.FAILED]
    written = table is not None and _write(table, found)
    if as_json:
        print_json(_as_json(found, drawn, failed))
    else:
        _print(found, drawn, failed)
        if table is not None:
            name = os.path.relpath(table, loaded.path.parent)
            click.echo(
                f'{table} written. Use it with [tables] runs = ["{name}"] in experiment.toml'
                if written
                else f"no edge was seen, so {table} was not written"
            )
    if failed or (table is not None and not written):
        sys.exit(1)


def _point_stage(experiment: Experiment) -> Stage:
    """The stage of the pipeline that makes points."""
    for stage in experiment.pipeline.stages:
        if stage.writes.name == "tpc.points":
            return stage
    raise ConfigError(f"the pipeline of {experiment.path} makes no points: no stage of it writes schema 'tpc.points'.")


def _edges(edges: DriftEdges) -> Mapping[str, DriftEdge]:
    return {"micromegas": edges.micromegas, "window": edges.window}


def _write(path: Path, found: Mapping[int, DriftEdges]) -> bool:
    """Write the edges that were seen as values of the detector; False where there are none."""
    rows: list[tuple[str, dict[str, Any]]] = []
    notes = ["time buckets from penstock calibrate drift, with statistical errors"]
    for run, edges in found.items():
        seen = {side: edge for side, edge in _edges(edges).items() if edge.seen}
        notes.append(f"run {run}: {', '.join(f'{side} {_text(edge)}' for side, edge in _edges(edges).items())}")
        if seen:
            rows.append((str(run), {f"tpc.detector.{side}_time_bucket": round(edge.bucket, 3) for side, edge in seen.items()}))
    if rows:
        write_run_table(path, rows, notes)
    return bool(rows)


def _print(found: Mapping[int, DriftEdges], drawn: Mapping[int, Path], failed: list[StepResult]) -> None:
    print_table(["run", *SIDES], [[str(run), *(_text(e) for e in _edges(edges).values())] for run, edges in found.items()])
    for run, edges in found.items():
        for side, edge in _edges(edges).items():
            if not edge.seen:
                click.echo(f"run {run}: {side} not seen: {edge.reason}")
    for path in drawn.values():
        click.echo(str(path))
    for result in failed:
        click.echo(f"failed: {result.error}", err=True)


def _text(edge: DriftEdge) -> str:
    return f"{edge.bucket:.2f} ± {edge.error:.2f}" if edge.seen else "not seen"


def _as_json(found: Mapping[int, DriftEdges], drawn: Mapping[int, Path], failed: list[StepResult]) -> Json:
    rows: list[Json] = []
    for run, edges in found.items():
        row: dict[str, Json] = {"run": run}
        for side, edge in _edges(edges).items():
            values = {"bucket": edge.bucket, "error": edge.error, "width": edge.width}
            row[side] = {name: None if math.isnan(v) else v for name, v in values.items()} | {"reason": edge.reason}
        rows.append(row | ({"figure": str(drawn[run])} if run in drawn else {}))
    return {"runs": rows, "failed": [{"run": r.run, "error": r.error} for r in failed]}
