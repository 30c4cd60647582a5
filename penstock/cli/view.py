"""``penstock view``: a figure of an event, of a pad, or of a whole run."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli._options import json_option, nearest_experiment, open_experiment_store, print_json, to_request
from penstock.core.errors import ConfigError
from penstock.core.plan import State
from penstock.core.stage import load_dotted
from penstock.execute import Planner

__all__ = ["view"]


@click.command(epilog="Example: penstock view 94 --event 17 --pad 2310 --set tpc.points.pads.peak_threshold_adc=25")
@click.argument("run", type=click.IntRange(min=0))
@click.option("--event", type=click.IntRange(min=0), default=None, help="Event number; figures of the whole run without.")
@click.option("--pad", type=click.IntRange(min=0), default=None, help="Pad number: raw trace, baseline, peaks, thresholds.")
@click.option("--experiment", type=click.Path(path_type=Path), default=None, help="experiment.toml; the nearest without.")
@click.option("--preset", default=None, help="Another preset of the instrument.")
@click.option("--events", default=None, help="Draw from the results of a trial with this event selection.")
@click.option("--set", "overrides", multiple=True, metavar="STAGE.PARAMETER=VALUE", help="Draw with a parameter set; may be given often.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="PNG file (of an event) or folder (of a run).")
@json_option
def view(
    run: int,
    event: int | None,
    pad: int | None,
    experiment: Path | None,
    preset: str | None,
    events: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> None:
    """Draw an event (x-y, x-z, 3-D with its clusters), one pad of it, or one figure a stage of a run."""
    loaded = nearest_experiment(experiment, preset)
    if pad is not None and event is None:
        raise ConfigError("--pad needs --event: a trace belongs to an event.")
    request = to_request(str(run), events, "", overrides)
    with open_experiment_store(loaded) as store:
        if event is not None:
            if not loaded.instrument.event_view:
                raise ConfigError(f"instrument {loaded.instrument.name!r} has no view of single events.")
            draw = load_dotted(loaded.instrument.event_view)
            name = f"run_{run:04d}_event_{event}{'' if pad is None else f'_pad_{pad}'}.png"
            figures = [draw(loaded, store, run, event, out or Path(name), pad=pad, events=request.events, overrides=request.overrides)]
        else:
            folder = out or Path()
            folder.mkdir(parents=True, exist_ok=True)
            rows = [r for r in Planner(loaded, store, request).plan() if r.state is State.CURRENT and r.stage.figure]
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
