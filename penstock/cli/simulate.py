"""``penstock simulate``: runs with known truth, for demonstrations, tests and benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast, get_args

import click
from pydantic import ValidationError

from penstock.cli._options import json_option, print_json
from penstock.config import explain_validation, parse_overrides
from penstock.core.canonical import Json
from penstock.core.errors import ConfigError
from penstock.core.selection import RunRange
from penstock.formats.attpc_write import LAYOUTS, Compression, Layout

__all__ = ["simulate"]


@click.group()
def simulate() -> None:
    """Simulated runs with known truth."""


@simulate.command(epilog="Example: penstock simulate tpc --out raw --runs 1-3 --events 100 --seed 7")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the run files.")
@click.option("--runs", default="1", show_default=True, help="Run range, such as 1-3.")
@click.option("--events", default=100, show_default=True, type=click.IntRange(min=1), help="Events of each run.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0), help="Equal seeds give equal runs.")
@click.option("--tracks", default=1, show_default=True, type=click.IntRange(1, 2), help="Tracks of an event, from one vertex.")
@click.option(
    "--set", "overrides", multiple=True, metavar="SETTING=VALUE", help="Any other setting of the simulation, such as noise_adc=8."
)
@click.option(
    "--layout",
    default="merger-1.0",
    show_default=True,
    help="Layout of the run files, graw for those of the data acquisition; an unknown name lists all.",
)
@click.option(
    "--compression", default="gzip", show_default=True, type=click.Choice(get_args(Compression)), help="Compression of the traces."
)
@json_option
def tpc(
    out: Path,
    runs: str,
    events: int,
    seed: int,
    tracks: int,
    overrides: tuple[str, ...],
    layout: str,
    compression: Compression,
    as_json: bool,
) -> None:
    """Runs of a time projection chamber: helical tracks, drift, GET pulses, noise; truth beside each run."""
    from penstock.simulate.get_runs import write_get_run
    from penstock.simulate.tpc_runs import truth_path, write_run
    from penstock.simulate.tpc_settings import TpcSimulation

    if layout not in (known := (*LAYOUTS, "graw")):
        raise ConfigError(f"--layout {layout!r} is not known. Known are {', '.join(known)}.")
    try:
        settings = TpcSimulation(**{"seed": seed, "particles": ("p",) * tracks, **parse_overrides(overrides)})
    except ValidationError as error:
        raise ConfigError(f"simulation: {explain_validation(error, TpcSimulation)}") from error
    written: list[Json] = []
    out.mkdir(parents=True, exist_ok=True)
    for run in RunRange(runs).expand(()):
        if layout == "graw":
            path = write_get_run(out, settings, run, events)
            size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
        else:
            path = write_run(out, settings, run, events, layout=cast("Layout", layout), compression=compression)
            size = path.stat().st_size
        truth = truth_path(out / f"run_{run:04d}.h5")
        written.append({"run": run, "file": str(path), "truth": str(truth), "events": events})
        if not as_json:
            click.echo(f"{path}  {events} events, {size / 1e6:.1f} MB, truth {truth.name}")
    if as_json:
        print_json(written)


@simulate.command(epilog="Example: penstock simulate events --out raw --runs 1-3 --events 100 --seed 7")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the captures.")
@click.option("--runs", default="1", show_default=True, help="Run range, such as 1-3.")
@click.option("--events", default=100, show_default=True, type=click.IntRange(min=1), help="Points of each scan.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0), help="Equal seeds give equal runs.")
@click.option(
    "--lost", default=0.0, show_default=True, type=click.FloatRange(0, 1, max_open=True), help="Part of the images that get lost."
)
@click.option("--compression", default="none", show_default=True, type=click.Choice(["none", "bslz4"]), help="Compression of the images.")
@click.option(
    "--layout",
    default="events",
    show_default=True,
    type=click.Choice(["events", "raw"]),
    help="Captures of events, as replays read them, or of messages as they came from the wire.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="SETTING=VALUE", help="Any other setting of the simulation, such as strain=0.02."
)
@json_option
def events(
    out: Path,
    runs: str,
    events: int,
    seed: int,
    lost: float,
    compression: Literal["none", "bslz4"],
    layout: Literal["events", "raw"],
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Captures of mesh scans: images with powder rings, positions of motors, a slow PandABox; truth beside each run."""
    from penstock.simulate.streams import geometry_path, truth_path, write_stream_run
    from penstock.simulate.streams_settings import StreamSimulation

    asked = {"seed": seed, "lost_images": lost, "compression": compression, "layout": layout}
    try:
        settings = StreamSimulation(**{**asked, **parse_overrides(overrides)})
    except ValidationError as error:
        raise ConfigError(f"simulation: {explain_validation(error, StreamSimulation)}") from error
    written: list[Json] = []
    out.mkdir(parents=True, exist_ok=True)
    for run in RunRange(runs).expand(()):
        paths = write_stream_run(out, settings, run, events)
        truth = truth_path(out, run)
        files = {name: str(path) for name, path in paths.items()}
        written.append(
            {"run": run, "files": dict[str, Json](files), "truth": str(truth), "geometry": str(geometry_path(out)), "events": events + 2}
        )
        if not as_json:
            for path in paths.values():
                click.echo(f"{path}  {path.stat().st_size / 1e3:,.1f} kB")
            click.echo(f"{truth}  truth of {events} points")
    if as_json:
        print_json(written)
