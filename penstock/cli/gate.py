"""``penstock gate``: a polygon around the tracks of one particle, drawn with the mouse or given by its corners."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli._options import experiment_argument, json_option, nearest_experiment, print_json, print_table
from penstock.config import parse_overrides
from penstock.core.errors import ConfigError

if TYPE_CHECKING:
    from penstock.views.tpc_gate import GateCount, GatePlane

__all__ = ["gate"]


@click.command(epilog="Example: penstock gate experiment.toml --runs 94-110 --particle 1H --out proton.json")
@experiment_argument
@click.option("--runs", default="all", show_default=True, help="Run range: 94-110,115,!100 or last:50 or all.")
@click.option("--events", default=None, help="Use the results of a trial with this event selection.")
@click.option("--particle", required=True, help="Nucleus that the gate is for: 1H, 2H, 4He.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON file of the gate; a figure is drawn beside it.")
@click.option("--name", default="", help="What the gate is called; the name of the file without.")
@click.option("--vertices", default=None, help="Corners 'x,y x,y x,y', instead of a window to draw them in.")
@click.option("--x", "x_column", default="dEdx", show_default=True, help="Column of tpc.estimates on the x axis.")
@click.option("--y", "y_column", default="brho", show_default=True, help="Column of tpc.estimates on the y axis.")
@click.option("--preset", default=None, help="Another preset of the instrument.")
@click.option(
    "--set", "overrides", multiple=True, metavar="STAGE.PARAMETER=VALUE", help="Use results with a parameter set; may be given often."
)
@json_option
def gate(
    experiment: Path | None,
    runs: str,
    events: str | None,
    particle: str,
    out: Path,
    name: str,
    vertices: str | None,
    x_column: str,
    y_column: str,
    preset: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Gate the tracks of a particle by a polygon in the plane of two columns of tpc.estimates.

    The polygon is drawn in a window, or given with --vertices where there is no display. It is written as JSON, which
    experiment.toml names under [assets] gates; tracks inside are counted run by run.
    """
    from penstock.tpc.nuclei import parse_nucleus
    from penstock.views.tpc_gate import count_inside, draw_gate, parse_vertices, read_plane, save_gate

    symbol = parse_nucleus(particle).symbol
    corners = None if vertices is None else parse_vertices(vertices)
    loaded = nearest_experiment(experiment, preset)
    with loaded.open_store() as store:
        plane = read_plane(loaded, store, runs, x=x_column, y=y_column, events=events, overrides=parse_overrides(overrides))
    polygon = _draw_in_window(plane) if corners is None else corners
    file = save_gate(out, particle, polygon, plane, name)
    title = f"{loaded.name}  ·  run{'' if runs.isdigit() else 's'} {runs}  ·  {name or out.stem} ({symbol})"
    figure = draw_gate(plane, polygon, out.with_suffix(".png"), title=title)
    _print(count_inside(plane, polygon), file, figure, polygon, as_json=as_json)


def _draw_in_window(plane: GatePlane) -> list[tuple[float, float]]:
    """The polygon that the user draws in a window."""
    import matplotlib as mpl
    from matplotlib import pyplot

    from penstock.views.tpc_gate import GateDrawer

    if mpl.get_backend().lower() == "agg":
        raise ConfigError(
            "there is no display to draw on. Give the corners with --vertices 'x,y x,y x,y', or draw in a notebook with penstock.views.tpc_gate.GateDrawer."
        )
    drawer = GateDrawer(plane)
    pyplot.show()
    if not drawer.vertices:
        raise ConfigError("the window was closed before a polygon was finished; nothing was written.")
    return drawer.vertices


def _print(counts: Sequence[GateCount], file: Path, figure: Path, polygon: Sequence[tuple[float, float]], *, as_json: bool) -> None:
    if as_json:
        rows = [{"run": c.run, "tracks": c.tracks, "inside": c.inside} for c in counts]
        print_json({"gate": str(file), "figure": str(figure), "vertices": [list(v) for v in polygon], "runs": [*rows]})
        return
    total = ("all", sum(c.tracks for c in counts), sum(c.inside for c in counts))
    rows_of_text = [
        [str(run), f"{tracks:,}", f"{inside:,}", f"{inside / tracks:.1%}" if tracks else "-"]
        for run, tracks, inside in (*((str(c.run), c.tracks, c.inside) for c in counts), total)
    ]
    print_table(["run", "tracks", "inside", "fraction"], rows_of_text)
    click.echo(f"{file}\n{figure}")
