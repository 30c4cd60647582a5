"""``penstock view``: a figure of an event, of a pad, or of a whole run."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli._options import json_option, nearest_experiment, open_experiment_store, print_json
from penstock.core.errors import ConfigError
from penstock.core.plan import State
from penstock.core.selection import RunRange
from penstock.core.stage import load_dotted
from penstock.execute import Planner, Request

__all__ = ["view"]


@click.command(epilog="Example: penstock view 94 --event 17 --pad 2310 --out pad.png")
@click.argument("run", type=click.IntRange(min=0))
@click.option("--event", type=click.IntRange(min=0), default=None, help="Event number; figures of the whole run without.")
@click.option("--pad", type=click.IntRange(min=0), default=None, help="Pad number: raw trace, baseline, peaks, thresholds.")
@click.option("--experiment", type=click.Path(path_type=Path), default=None, help="experiment.toml; the nearest without.")
@click.option("--preset", default=None, help="Another preset of the instrument.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="PNG file (of an event) or folder (of a run).")
@json_option
def view(
    run: int, event: int | None, pad: int | None, experiment: Path | None, preset: str | None, out: Path | None, as_json: bool
) -> None:
    """Draw an event (x-y, x-z, 3-D with its clusters), one pad of it, or one figure a stage of a run."""
    loaded = nearest_experiment(experiment, preset)
    if pad is not None and event is None:
        raise ConfigError("--pad needs --event: a trace belongs to an event.")
    with open_experiment_store(loaded) as store:
        if event is not None:
            from penstock.views.tpc_event import view_event

            name = f"run_{run:04d}_event_{event}{'' if pad is None else f'_pad_{pad}'}.png"
            figures = [view_event(loaded, store, run, event, pad=pad, path=out or Path(name))]
        else:
            folder = out or Path()
            folder.mkdir(parents=True, exist_ok=True)
            rows = [r for r in Planner(loaded, store, Request(RunRange(str(run)))).plan() if r.state is State.CURRENT and r.stage.figure]
            if not rows:
                raise ConfigError(f"run {run} has no current result. Compute it with: penstock run {loaded.path} --runs {run}")
            figures = [
                load_dotted(r.stage.figure)(store, store.manifest(r.key), folder / f"run_{run:04d}.{r.stage.name}.png")
                for r in rows
                if r.key
            ]
    if as_json:
        print_json({"figures": [str(f) for f in figures]})
    else:
        for figure in figures:
            click.echo(str(figure))
