"""``penstock view``: a figure of an event, of a pad, of an artifact, or of a whole run."""

from __future__ import annotations

from pathlib import Path

import click

from penstock.cli._options import json_option, nearest_experiment, print_json, to_request
from penstock.config import Experiment
from penstock.core.errors import ConfigError
from penstock.core.plan import State
from penstock.core.stage import load_dotted
from penstock.execute import Planner

__all__ = ["view"]


@click.command(epilog="Example: penstock view 94 --event 17 --pad 2310 --set tpc.points.pads.peak_threshold_adc=25")
@click.argument("subject", metavar="RUN|KEY")
@click.option("--event", type=click.IntRange(min=0), default=None, help="Event number; figures of the whole run without.")
@click.option("--pad", type=click.IntRange(min=0), default=None, help="Pad number: raw trace, baseline, peaks, thresholds.")
@click.option("--fit", is_flag=True, help="Of an event: the fitted tracks over its points, and the residuals.")
@click.option("--experiment", type=click.Path(path_type=Path), default=None, help="experiment.toml; the nearest without.")
@click.option("--preset", default=None, help="Another preset of the instrument.")
@click.option("--events", default=None, help="Draw from the results of a trial with this event selection.")
@click.option("--set", "overrides", multiple=True, metavar="STAGE.PARAMETER=VALUE", help="Draw with a parameter set; may be given often.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="PNG file (of an event) or folder (of a run).")
@json_option
def view(
    subject: str,
    event: int | None,
    pad: int | None,
    fit: bool,
    experiment: Path | None,
    preset: str | None,
    events: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> None:
    """Draw an event (x-y, x-z, 3-D with its clusters), one pad of it, one artifact, or one figure a stage of a run."""
    loaded = nearest_experiment(experiment, preset)
    if event is None and (pad is not None or fit):
        raise ConfigError(f"{'--fit' if fit else '--pad'} needs --event: it is about one event.")
    if not subject.isdecimal():
        _print([_view_artifact(loaded, subject, out)], as_json=as_json)
        return
    run = int(subject)
    request = to_request(subject, events, "", overrides)
    with loaded.open_store() as store:
        if event is not None:
            if not loaded.instrument.event_view:
                raise ConfigError(f"instrument {loaded.instrument.name!r} has no view of single events.")
            draw = load_dotted(loaded.instrument.event_view)
            name = f"run_{run:04d}_event_{event}{'_fit' if fit else '' if pad is None else f'_pad_{pad}'}.png"
            target = out or Path(name)
            figures = [draw(loaded, store, run, event, target, pad=pad, fit=fit, events=request.events, overrides=request.overrides)]
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
    _print(figures, as_json=as_json)


def _view_artifact(experiment: Experiment, word: str, out: Path | None) -> Path:
    with experiment.open_store() as store:
        manifest = store.manifest(store.resolve(word))
        figure = experiment.registry.stage(manifest.stage).figure
        if not figure:
            raise ConfigError(f"artifact {manifest.key.short}: stage {manifest.stage!r} has no figure.")
        drawn: Path = load_dotted(figure)(store, manifest, out or Path(f"{manifest.subject}.{manifest.stage}.png"))
        return drawn


def _print(figures: list[Path], *, as_json: bool) -> None:
    if as_json:
        print_json({"figures": [str(f) for f in figures]})
    else:
        for figure in figures:
            click.echo(str(figure))
