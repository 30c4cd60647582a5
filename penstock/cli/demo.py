"""``penstock demo``: simulate runs, process them, say what was done, and draw; all in one folder."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from penstock.cli._options import json_option, open_experiment_store, print_json
from penstock.cli.run import execute
from penstock.config import Experiment, load_experiment, parse_overrides
from penstock.core.canonical import Json
from penstock.core.plan import PlanRow, State
from penstock.core.selection import RunRange
from penstock.core.stage import load_dotted
from penstock.execute import Planner, Request, RunReport
from penstock.store import Store

__all__ = ["demo"]

_EXPERIMENT = """# The demonstration: three simulated runs of a time projection chamber.
[experiment]
name = "demo"
instrument = "attpc"
raw = "raw"

[store]
path = "store"

[resources]
executor = "local"
"""


@click.command(epilog="Example: penstock demo --set tpc.clusters.hdbscan.min_points=5")
@click.argument("family", default="tpc", type=click.Choice(["tpc"]))
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Where everything goes.",
)
@click.option("--events", default=80, show_default=True, type=click.IntRange(min=1), help="Events of each simulated run.")
@click.option("--set", "overrides", multiple=True, metavar="STAGE.PARAMETER=VALUE", help="Set a parameter and see what is recomputed.")
@json_option
def demo(family: str, folder: Path, events: int, overrides: tuple[str, ...], as_json: bool) -> None:
    """Simulate three runs, process them, summarise, draw. Call it again: nothing is computed twice."""
    path = folder / "experiment.toml"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(_EXPERIMENT)
    _simulate(folder / "raw", events)
    experiment = load_experiment(path)
    request = Request(RunRange("1-3"), overrides=parse_overrides(overrides))
    with open_experiment_store(experiment) as store:
        report = execute(experiment, store, request, experiment.resources, quiet=as_json)
        figures = _draw(experiment, store, request, folder / "figures")
    if as_json:
        summary: dict[str, Json] = {**report.as_json(), "figures": [str(f) for f in figures]}
        print_json(summary)
    else:
        _summarise(report, figures, path)
    if not report.ok:
        sys.exit(1)


def _simulate(folder: Path, events: int) -> None:
    wanted = [run for run in (1, 2, 3) if not (folder / f"run_{run:04d}.h5").exists()]
    if not wanted:
        return
    from penstock.simulate.tpc_runs import write_run
    from penstock.simulate.tpc_settings import TpcSimulation

    folder.mkdir(parents=True, exist_ok=True)
    click.echo("the first time kernels are compiled, which takes about a minute in all; they are kept", err=True)
    for run in wanted:
        click.echo(f"simulating run {run}: {events} events", err=True)
        write_run(folder, TpcSimulation(seed=2026), run, events, compression="gzip")


def _draw(experiment: Experiment, store: Store, request: Request, folder: Path) -> list[Path]:
    """One figure a stage of the first run, and its first event with a track; figures that are there already stay."""
    rows = [r for r in Planner(experiment, store, request).plan() if r.run == 1 and r.state is State.CURRENT and r.key is not None]
    folder.mkdir(exist_ok=True)
    figures = [_draw_stage(store, row, folder) for row in rows if row.stage.figure]
    if len(rows) == len(experiment.pipeline.stages):
        figures.append(_draw_event(experiment, store, request, rows[-1], folder))
    return figures


def _draw_stage(store: Store, row: PlanRow, folder: Path) -> Path:
    assert row.key is not None
    path = folder / f"run_{row.run:04d}.{row.stage.name}.{row.key.short}.png"
    if not path.exists():
        load_dotted(row.stage.figure)(store, store.manifest(row.key), path)
    return path


def _draw_event(experiment: Experiment, store: Store, request: Request, row: PlanRow, folder: Path) -> Path:
    assert row.key is not None
    path = folder / f"run_{row.run:04d}.event.{row.key.short}.png"
    if not path.exists():
        draw = load_dotted(experiment.instrument.event_view)
        estimates = store.read(store.manifest(row.key), row.stage.writes)
        events = estimates["estimates"]["event"]
        draw(experiment, store, row.run, int(events[0]) if len(events) else 0, path, overrides=request.overrides)
    return path


def _summarise(report: RunReport, figures: list[Path], experiment: Path) -> None:
    stages = list(dict.fromkeys(r.stage for r in report.results))
    click.echo(f"\n{len(report.by_run())} runs through {len(stages)} stages:")
    for stage in stages:
        found = [r for r in report.results if r.stage == stage]
        states = ", ".join(
            f"{n} {s}" for s in (State.COMPUTED, State.CURRENT, State.FAILED, State.SKIPPED) if (n := sum(r.state is s for r in found))
        )
        events = f"{sum(r.events_in or 0 for r in found)} events in, {sum(r.events_out or 0 for r in found)} out"
        click.echo(f"  {stage:<15} {states:<24} {events}")
    for result in report.results:
        if result.error:
            click.echo(f"  failed: {result.error}")
    click.echo("figures:")
    for figure in figures:
        click.echo(f"  {figure}")
    click.echo(f"next: penstock runs {experiment}    or change a parameter: penstock demo --set tpc.clusters.hdbscan.min_points=5")
