"""``penstock demo``: simulate runs, process them, say what was done, and draw; all in one folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from penstock.cli._options import json_option, print_json
from penstock.cli.run import execute
from penstock.config import Experiment, load_experiment, parse_overrides
from penstock.core.canonical import Json
from penstock.core.plan import PlanRow, State
from penstock.core.selection import RunRange
from penstock.core.stage import load_dotted
from penstock.execute import Planner, Request, RunReport
from penstock.store import Store

__all__ = ["demo"]


@dataclass(frozen=True, slots=True)
class _Family:
    """What the demonstration of a family consists of.

    Attributes
    ----------
    experiment
        Its experiment.toml.
    first_file
        Name of a file of each run, by which it is seen to be simulated.
    simulate
        Writes a run of so many events into a folder.
    prepare
        Writes what else is needed, given the folder of the demonstration.
    change
        A parameter to change, for the last line of the summary.
    """

    experiment: str
    first_file: str
    events: int
    simulate: Callable[[Path, int, int], object]
    prepare: Callable[[Path], object]
    change: str


def _simulate_tpc(raw: Path, run: int, events: int) -> None:
    from penstock.simulate.tpc_runs import write_run
    from penstock.simulate.tpc_settings import TpcSimulation

    write_run(raw, TpcSimulation(seed=2026), run, events, compression="gzip")


def _simulate_streams(raw: Path, run: int, events: int) -> None:
    from penstock.simulate.streams import write_stream_run
    from penstock.simulate.streams_settings import StreamSimulation

    write_stream_run(raw, StreamSimulation(seed=2026), run, events)


def _write_worker(folder: Path) -> None:
    from penstock.events.skeleton import make_skeleton, write_skeleton

    if not (folder / "src").exists():
        write_skeleton(make_skeleton(sorted((folder / "raw").glob("run_0001.*.cbors"))), folder / "src")


_FAMILIES = {
    "tpc": _Family(
        """# The demonstration: three simulated runs of a time projection chamber.
[experiment]
name = "demo"
instrument = "attpc"
raw = "raw"

[store]
path = "store"

[resources]
executor = "local"
""",
        "run_{run:04d}.h5",
        80,
        _simulate_tpc,
        lambda folder: None,
        "tpc.clusters.hdbscan.min_points=5",
    ),
    "events": _Family(
        """# The demonstration: three simulated scans, an area detector and the motors that move the sample.
[experiment]
name = "demo"
instrument = "captures"
raw = "raw"
pipeline = ["events.mapreduce", "events.mean", "events.profile", "events.map"]

[store]
path = "store"

[resources]
executor = "local"

[params.events.mapreduce]     # your own code: src/worker.py and src/reducer.py are there to be changed
worker = "src.worker:Worker"
reducer = "src.reducer:Reducer"

[params.events.mean]
values = { stream = "xrd", unit = "counts" }

[params.events.profile]
image.stream = "xrd"
poni = "raw/xrd.poni"
radial = "q_A^-1"
bins = 200

[params.events.map]
signal = { stream = "xrd", statistic = "sum", unit = "counts" }
x = { stream = "contrast", field = "sx", step = 0.2, unit = "mm" }
y = { stream = "contrast", field = "sy", step = 0.2, unit = "mm" }
""",
        "run_{run:04d}.xrd.cbors",
        100,
        _simulate_streams,
        _write_worker,
        "events.profile.bins=100",
    ),
}


@click.command(epilog="Example: penstock demo --set tpc.clusters.hdbscan.min_points=5")
@click.argument("family", default="tpc", type=click.Choice(list(_FAMILIES)))
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where everything goes; 'demo', or 'demo-events', without.",
)
@click.option(
    "--events", default=None, type=click.IntRange(min=1), help="Events of each simulated run; 80, or 100 points of a scan, without."
)
@click.option("--set", "overrides", multiple=True, metavar="STAGE.PARAMETER=VALUE", help="Set a parameter and see what is recomputed.")
@json_option
def demo(family: str, folder: Path | None, events: int | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Simulate three runs, process them, summarise, draw. Call it again: nothing is computed twice."""
    wanted = _FAMILIES[family]
    folder = folder or Path("demo" if family == "tpc" else f"demo-{family}")
    path = folder / "experiment.toml"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted.experiment)
    _simulate(wanted, folder / "raw", events or wanted.events)
    wanted.prepare(folder)
    experiment = load_experiment(path)
    request = Request(RunRange("1-3"), overrides=parse_overrides(overrides))
    with experiment.open_store() as store:
        report = execute(experiment, store, request, experiment.resources, quiet=as_json)
        figures = _draw(experiment, store, request, folder / "figures")
    if as_json:
        summary: dict[str, Json] = {**report.as_json(), "figures": [str(f) for f in figures]}
        print_json(summary)
    else:
        _summarise(report, figures, path, f"penstock demo {family} --set {wanted.change}")
    if not report.ok:
        sys.exit(1)


def _simulate(family: _Family, raw: Path, events: int) -> None:
    wanted = [run for run in (1, 2, 3) if not (raw / family.first_file.format(run=run)).exists()]
    if not wanted:
        return
    raw.mkdir(parents=True, exist_ok=True)
    click.echo("the first time kernels are compiled, which takes about a minute in all; they are kept", err=True)
    for run in wanted:
        click.echo(f"simulating run {run}: {events} events", err=True)
        family.simulate(raw, run, events)


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
    """The first event with a track; of scans, the point in the middle."""
    assert row.key is not None
    path = folder / f"run_{row.run:04d}.event.{row.key.short}.png"
    if not path.exists():
        draw = load_dotted(experiment.instrument.event_view)
        manifest = store.manifest(row.key)
        event = manifest.n_events // 2
        if row.stage.writes.storage == "parquet":
            tracks = store.read(manifest, row.stage.writes)["estimates"]["event"]
            event = int(tracks[0]) if len(tracks) else 0
        draw(experiment, store, row.run, event, path, overrides=request.overrides)
    return path


def _summarise(report: RunReport, figures: list[Path], experiment: Path, change: str) -> None:
    stages = list(dict.fromkeys(r.stage for r in report.results))
    click.echo(f"\n{len(report.by_run())} runs through {len(stages)} stages:")
    for stage in stages:
        found = [r for r in report.results if r.stage == stage]
        states = ", ".join(
            f"{n} {s}" for s in (State.COMPUTED, State.CURRENT, State.FAILED, State.SKIPPED) if (n := sum(r.state is s for r in found))
        )
        events = f"{sum(r.events_in or 0 for r in found)} events in, {sum(r.events_out or 0 for r in found)} out"
        click.echo(f"  {stage:<17} {states:<24} {events}")
    for result in report.results:
        if result.error:
            click.echo(f"  failed: {result.error}")
    click.echo("figures:")
    for figure in figures:
        click.echo(f"  {figure}")
    click.echo(f"next: penstock runs {experiment}    or change a parameter: {change}")
