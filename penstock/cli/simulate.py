"""``penstock simulate``: runs with known truth, for demonstrations, tests and benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

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
