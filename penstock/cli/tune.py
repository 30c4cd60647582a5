"""``penstock tune``: several values of one parameter, computed and compared side by side."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
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
from penstock.cli.run import execute
from penstock.config import Experiment
from penstock.core.plan import State
from penstock.execute import Planner, Request, RunReport
from penstock.store import Store

if TYPE_CHECKING:
    from penstock.core.canonical import Json
    from penstock.views.tpc_tune import Tally, Trial

__all__ = ["tune"]


@click.command(epilog="Example: penstock tune tpc.clusters.hdbscan.min_points=3,5,8 experiment.toml --runs 94 --events first:100")
@click.argument("parameter", metavar="STAGE.PARAMETER=VALUE,VALUE,...")
@experiment_argument
@request_options
@click.option("--against", default="polar", show_default=True, help="Column of tpc.estimates on the x axis; Bρ is on the y axis.")
@click.option("--event", type=click.IntRange(min=0), default=None, help="Draw the clusters of this event instead, of the first run.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="PNG file; tune_PARAMETER.png without.")
@click.option("--executor", default=None, help="inline, local, or tcp://host:8786 of a Dask scheduler.")
@click.option("--workers", type=click.IntRange(min=1), default=None, help="Worker processes of the local executor.")
@json_option
def tune(
    parameter: str,
    experiment: Path | None,
    runs: str,
    events: str | None,
    stages: str,
    overrides: tuple[str, ...],
    preset: str | None,
    against: str,
    event: int | None,
    out: Path | None,
    executor: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Compute each VALUE of a parameter, and compare: a table, and a figure with a panel a value.

    Computed are the stages up to the tracks (tpc.estimates), and up to that of the parameter where it comes later; for a
    parameter of tpc.mesh the fits too. Name others with --stages, such as tpc.fits. Results are kept by content: what was
    computed before, here or by penstock run, is not computed again.
    """
    from penstock.views.tpc_tune import check_column, compare, draw_contact_sheet, parse_values, stages_to_compare

    path, values = parse_values(parameter)
    check_column(against)
    loaded = nearest_experiment(experiment, preset)
    request = to_request(runs, events, stages, overrides)
    if not request.stages:
        request = replace(request, stages=stages_to_compare(loaded.pipeline, path))
    changes = {"executor": executor, "workers": workers}
    resources = loaded.resources.model_copy(update={k: v for k, v in changes.items() if v is not None})
    with loaded.open_store() as store:
        requests = [replace(request, overrides={**request.overrides, path: value}) for value in values]
        for wanted in requests:
            Planner(loaded, store, wanted).plan()
        reports = [execute(loaded, store, wanted, resources, quiet=as_json) for wanted in requests]
        trials = [_trial(value, loaded, store, wanted) for value, wanted in zip(values, requests, strict=True)]
        tallies = compare(trials, store)
        figure = draw_contact_sheet(
            trials,
            store,
            out or Path(f"tune_{path.rpartition('.')[2]}.png"),
            parameter=path,
            against=against,
            event=event,
            title="  ·  ".join(part for part in (loaded.name, _selection(runs, events, event), path) if part),
        )
    _print(path, tallies, reports, figure, as_json=as_json)
    if not all(report.ok for report in reports):
        sys.exit(1)


def _trial(value: Json, experiment: Experiment, store: Store, request: Request) -> Trial:
    from penstock.views.tpc_tune import Trial

    return Trial(value, tuple(Planner(experiment, store, request).plan()))


def _selection(runs: str, events: str | None, event: int | None) -> str:
    """Runs and events as a headline says them."""
    numbers = f"run{'' if runs.isdigit() else 's'} {runs}"
    which = f"event {event}" if event is not None else f"events {events}" if events else ""
    return f"{numbers}  ·  {which}" if which else numbers


def _print(path: str, tallies: Sequence[Tally], reports: Sequence[RunReport], figure: Path, *, as_json: bool) -> None:
    errors = [result.error for report in reports for result in report.results if result.state is State.FAILED]
    computed = [report.count(State.COMPUTED) for report in reports]
    if as_json:
        values = [{**one.as_json(), "computed": n} for one, n in zip(tallies, computed, strict=True)]
        print_json({"parameter": path, "values": values, "figure": str(figure), "errors": errors})
        return
    for error in errors:
        click.echo(f"failed: {error}", err=True)
    name = path.rpartition(".")[2]
    head = [name, "events", "rejected", "points/event", "clusters/event", "tracks/event", "points/track", "fits/event", "CPU s", "computed"]
    rows = [
        [
            str(one.value),
            f"{one.events:,}",
            f"{one.rejected:,}",
            _number(one.points_per_event, 1),
            _number(one.clusters_per_event, 3),
            _number(one.tracks_per_event, 3),
            _number(one.points_per_track, 0),
            _number(one.fits_per_event, 3),
            _number(one.cpu_seconds, 2),
            str(n),
        ]
        for one, n in zip(tallies, computed, strict=True)
    ]
    print_table(head, rows)
    click.echo(str(figure))


def _number(value: float, digits: int) -> str:
    return "-" if value != value else f"{value:,.{digits}f}"
