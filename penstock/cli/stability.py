"""``penstock stability``: values of many runs side by side, and the runs that stand out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli._options import experiment_argument, json_option, nearest_experiment, print_json, print_table
from penstock.config import parse_overrides

if TYPE_CHECKING:
    from penstock.views.tpc_stability import Series

__all__ = ["stability"]

LIMIT = 4.0


@click.command(epilog="Example: penstock stability experiment.toml --runs 94-110 --gate proton.json --out stability.png")
@experiment_argument
@click.option("--runs", default="all", show_default=True, help="Run range: 94-110,115,!100 or last:50 or all.")
@click.option("--events", default=None, help="Use the results of a trial with this event selection.")
@click.option("--gate", type=click.Path(path_type=Path), multiple=True, help="Only tracks inside of this gate (JSON); may be given often.")
@click.option("--drift", is_flag=True, help="Find the edges of the drift too.")
@click.option(
    "--limit", type=click.FloatRange(min=0, min_open=True), default=LIMIT, show_default=True, help="Robust z-score that stands out."
)
@click.option("--out", type=click.Path(path_type=Path), default=None, help="PNG file; stability.png without.")
@click.option("--preset", default=None, help="Another preset of the instrument.")
@click.option(
    "--set", "overrides", multiple=True, metavar="STAGE.PARAMETER=VALUE", help="Use results with a parameter set; may be given often."
)
@json_option
def stability(
    experiment: Path | None,
    runs: str,
    events: str | None,
    gate: tuple[Path, ...],
    drift: bool,
    limit: float,
    out: Path | None,
    preset: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Rates, sizes, energy loss and fits of each run, with errors; runs that stand out are marked.

    Only current results are read. A run stands out where a value lies further from the median of all runs than --limit
    times their robust spread, or times its own error where that is greater.
    """
    from penstock.views.tpc_run_values import measure_runs
    from penstock.views.tpc_stability import draw_stability

    gates = None
    if gate:
        from penstock.tpc.gates import gates_asset

        gates = gates_asset({f"gates.{i}": path for i, path in enumerate(gate)})
    loaded = nearest_experiment(experiment, preset)
    with loaded.open_store() as store:
        series = measure_runs(loaded, store, runs, events=events, overrides=parse_overrides(overrides), gate=gates, drift=drift)
    title = f"{loaded.name}  ·  runs {runs}  ·  stability"
    note = f"gate: {', '.join(path.stem for path in gate)}" if gate else ""
    figure = draw_stability(series, out or Path("stability.png"), limit=limit, title=title, note=note)
    if as_json:
        print_json({"series": [one.as_json(limit) for one in series], "figure": str(figure)})
        return
    _print(series, limit)
    click.echo(str(figure))


def _print(series: Sequence[Series], limit: float) -> None:
    """A row a run, and a line for each value that stands out."""
    odd = {(one.name, outlier.run): outlier for one in series for outlier in one.outliers(limit)}
    rows = [
        [str(run), *(_cell(one.values[run].value, one.values[run].error, marked=(one.name, run) in odd) for one in series)]
        for run in series[0].values
    ]
    print_table(["run", *(one.name for one in series)], rows)
    titles = {one.name: one for one in series}
    for (name, run), outlier in odd.items():
        one = titles[name]
        value = _cell(outlier.value.value, outlier.value.error)
        click.echo(f"run {run}: {one.title.lower()} {value}, usual {outlier.usual:.4g} ({one.unit}), z = {outlier.score:+.1f}")


def _cell(value: float, error: float, *, marked: bool = False) -> str:
    if value != value:
        return "-"
    width = f"{error:.0f}" if error >= 10 else f"{error:.2g}"
    shown = f"{value:.4g}" if error != error else f"{value:.4g} ± {width}"
    return f"{shown} !" if marked else shown
