"""``penstock lost``: at which stage each track of an event died, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from penstock.cli._options import json_option, nearest_experiment, print_json
from penstock.config import parse_overrides
from penstock.core.errors import ConfigError

__all__ = ["lost"]


@click.command(epilog="Example: penstock lost experiment.toml 94 17 --set tpc.estimates.beam_region_radius_mm=30")
@click.argument("place", nargs=-1, metavar="[EXPERIMENT] RUN EVENT")
@click.option("--preset", default=None, help="Another preset of the instrument.")
@click.option("--set", "overrides", multiple=True, metavar="STAGE.PARAMETER=VALUE", help="Set a parameter; may be given often.")
@json_option
def lost(place: tuple[str, ...], preset: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Follow EVENT of RUN through all stages, and say where each of its tracks was lost, and why.

    The stages are computed in memory with the parameters of today; nothing is stored. Where the truth of a simulated run
    lies beside it, true tracks without a row are named too.
    """
    from penstock.views.tpc_lost import find_lost_tracks
    from penstock.views.tpc_truth import judge_true_tracks

    path, run, event = _place(place)
    experiment = nearest_experiment(path, preset)
    with experiment.open_store() as store:
        fate, chain = find_lost_tracks(experiment, store, run, event, parse_overrides(overrides))
        truth = _truth(list(experiment.instrument.find_runs(experiment.raw)[run].values()))
        true = [] if truth is None else judge_true_tracks(truth[0], fate, chain, truth[1])
    if as_json:
        print_json({**fate.as_json(), "truth": None if truth is None else [t.as_json() for t in true]})
        return
    for line in fate.lines():
        click.echo(line)
    for one in true:
        click.echo(f"  {one.line}")


def _place(place: tuple[str, ...]) -> tuple[Path | None, int, int]:
    """Experiment, run and event, of which the first may be left out."""
    numbers = place[-2:]
    if len(place) not in (2, 3) or not all(text.isdigit() for text in numbers):
        raise ConfigError(f"penstock lost wants [EXPERIMENT] RUN EVENT, such as 94 17; found {' '.join(place)!r}.")
    return (Path(place[0]) if len(place) == 3 else None), int(numbers[0]), int(numbers[1])


def _truth(files: list[Path]) -> tuple[Mapping[str, Any], float] | None:
    """Columns of the truth beside a simulated run, and the field that it was simulated in."""
    from penstock.simulate.tpc_runs import truth_path

    found = next((truth_path(file) for file in files if truth_path(file).is_file()), None)
    if found is None:
        return None
    import json

    from pyarrow import parquet

    table = parquet.read_table(found)
    settings = json.loads(table.schema.metadata[b"settings"])
    return {name: table[name].to_numpy() for name in table.column_names}, float(settings["magnetic_field_t"])
