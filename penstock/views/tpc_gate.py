"""Gates for particle identification: tracks in a plane of two columns of the estimates, and a polygon drawn around some."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from penstock.config import Experiment
from penstock.core.errors import ArtifactMissing, ConfigError, nearest
from penstock.core.plan import State
from penstock.core.selection import EventSelection, RunRange
from penstock.execute import Planner, Request
from penstock.store import Store
from penstock.tpc.gates import inside_polygon, write_gate
from penstock.tpc.nuclei import parse_nucleus
from penstock.tpc.schemas import Estimates
from penstock.views import _style as style
from penstock.views._pairs import draw_pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["GateCount", "GateDrawer", "GatePlane", "count_inside", "draw_gate", "parse_vertices", "read_plane", "save_gate"]

F8 = NDArray[np.float64]

FEWEST_VERTICES = 3
TAIL_PERCENT = 5.0
"""Of the tracks, on either side of an axis, may be strays that do not stretch it."""
MARGIN = 0.12
"""Room for a polygon around the tracks, over their range."""


@dataclass(frozen=True, slots=True)
class GatePlane:
    """Two columns of the estimates of some runs.

    Attributes
    ----------
    x, y
        Names of the columns.
    tracks
        By run their values, (tracks, 2).
    """

    x: str
    y: str
    tracks: Mapping[int, F8]

    @property
    def all(self) -> F8:
        """The tracks of all runs, (tracks, 2)."""
        return np.concatenate([np.zeros((0, 2)), *self.tracks.values()])


@dataclass(frozen=True, slots=True)
class GateCount:
    """Tracks of a run, and how many of them lie inside of a gate."""

    run: int
    tracks: int
    inside: int


def read_plane(
    experiment: Experiment,
    store: Store,
    runs: str,
    *,
    x: str = "dEdx",
    y: str = "brho",
    events: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> GatePlane:
    """Two columns of the current estimates of a run range.

    Parameters
    ----------
    runs
        Run range, such as ``94-110``.
    x, y
        Columns of tpc.estimates.
    events, overrides
        Selection and parameters of the request that the estimates were computed for.

    Raises
    ------
    ConfigError
        There is no such column, or no stage that writes estimates.
    ArtifactMissing
        The estimates of a run are not current; says how to compute them.
    """
    known = [c.name for c in Estimates.table("estimates").columns]
    for name in (x, y):
        if name not in known:
            raise ConfigError(f"{name!r} is no column of tpc.estimates.{nearest(name, known)}")
    selection = EventSelection.parse(events) if events else EventSelection()
    writers = [stage.name for stage in experiment.pipeline.stages if stage.writes.schema_id() == Estimates.schema_id()]
    if not writers:
        raise ConfigError(f"experiment {experiment.name!r}: no stage of the pipeline writes {Estimates.schema_id()!r}.")
    # Only what the estimates need: the gate that is being drawn may be named in [assets] already.
    rows = Planner(experiment, store, Request(RunRange(runs), selection, tuple(writers), overrides or {})).plan()
    wanted = [row for row in rows if row.stage.name in writers]
    tracks = {}
    for row in wanted:
        if row.state is not State.CURRENT or row.key is None:
            raise ArtifactMissing(
                f"run {row.run}: {row.stage.name} is {row.state} ({row.why}). Compute it with: "
                f"penstock run {experiment.path} --runs {runs} --stages {row.stage.name}{f' --events {events}' if events else ''}"
            )
        table = store.read(store.manifest(row.key), Estimates)["estimates"]
        tracks[row.run] = np.column_stack([table[x], table[y]]).astype(np.float64)
    return GatePlane(x, y, tracks)


def parse_vertices(text: str) -> list[tuple[float, float]]:
    """``"5000,0.1 9000,0.3 4000,0.4"`` as corners of a polygon.

    Raises
    ------
    ConfigError
        It is not of that form, or has fewer than three corners.
    """
    vertices = []
    for word in text.split():
        numbers = word.split(",")
        try:
            x, y = (float(number) for number in numbers)
            if not math.isfinite(x + y):
                raise ValueError
        except ValueError:
            raise ConfigError(
                f"--vertices: {word!r} is no corner. Write x,y for each, with spaces between them: '5000,0.1 9000,0.3 4000,0.4'."
            ) from None
        vertices.append((x, y))
    if len(vertices) < FEWEST_VERTICES:
        raise ConfigError(f"--vertices: {len(vertices)} corners, a polygon has at least {FEWEST_VERTICES}.")
    return vertices


def count_inside(plane: GatePlane, vertices: Sequence[tuple[float, float]]) -> list[GateCount]:
    """Tracks inside of a polygon, run by run."""
    polygon = np.array(vertices, dtype=np.float64)
    counts = []
    for run, values in plane.tracks.items():
        x, y = np.ascontiguousarray(values.T)
        counts.append(GateCount(run, len(values), int(inside_polygon(x, y, polygon).sum())))
    return counts


def save_gate(path: Path, particle: str, vertices: Sequence[tuple[float, float]], plane: GatePlane, name: str = "") -> Path:
    """Write a polygon as the gate of a particle: JSON, as experiment.toml names it under ``[assets] gates``.

    Parameters
    ----------
    particle
        Nucleus, such as ``1H``.
    name
        What the gate is called; the name of the file without.

    Raises
    ------
    ConfigError
        There is no such nucleus.
    """
    nucleus = parse_nucleus(particle)
    write_gate(path, name or path.stem, (nucleus.Z, nucleus.A), vertices, (plane.x, plane.y))
    return path


def draw_gate(plane: GatePlane, vertices: Sequence[tuple[float, float]], path: Path, *, title: str = "", note: str = "") -> Path:
    """Draw the plane with a polygon to a PNG file."""
    figure = style.new_figure(9, 7, title or "gate", note)
    axes = figure.add_subplot()
    _draw_plane(figure, axes, plane, vertices)
    corners = np.array([*vertices, vertices[0]])
    axes.plot(*corners.T, color=style.HOT, linewidth=1.8, marker="o", markersize=4)
    axes.fill(*corners.T, color=style.HOT, alpha=0.12, linewidth=0)
    inside, tracks = _totals(count_inside(plane, vertices))
    style.annotate(axes, f"{inside:,} of {tracks:,} tracks inside", right=False)
    return style.write_png(figure, path)


class GateDrawer:
    """A polygon that is drawn with the mouse: click its corners, then the first one again; Escape starts anew.

    Corners can be dragged afterwards, with Shift the whole polygon. In a notebook this wants an interactive backend
    (``%matplotlib widget``). Keep the drawer as long as its figure is used.

    Parameters
    ----------
    plane
        What is drawn behind the polygon.
    axes
        Where to draw; a new window or notebook figure without.
    """

    def __init__(self, plane: GatePlane, axes: Axes | None = None) -> None:
        from matplotlib.widgets import PolygonSelector

        if axes is None:
            from matplotlib import pyplot

            axes = pyplot.figure(figsize=(9, 7), layout="constrained").add_subplot()
        self.plane = plane
        self.vertices: list[tuple[float, float]] = []
        """Corners of the finished polygon; none before."""
        self.figure = cast("Figure", axes.get_figure(root=True))
        _draw_plane(self.figure, axes, plane, ())
        self._axes = axes
        axes.set_title("click the corners, then the first one again; Escape starts anew", fontsize=style.SMALL_PT, color=style.FAINT)
        # Its stub says that the callback takes two arguments; it takes the corners.
        closed: Any = self._closed
        look = {"color": style.HOT, "linewidth": 1.8}
        self._selector = PolygonSelector(axes, closed, props=look, handle_props={"markersize": 5, "markeredgecolor": style.HOT})

    def counts(self) -> list[GateCount]:
        """Tracks inside of the finished polygon, run by run."""
        return count_inside(self.plane, self._finished())

    def save(self, path: Path | str, particle: str, name: str = "") -> Path:
        """Write the finished polygon as the gate of a particle, such as ``1H``.

        Raises
        ------
        ConfigError
            No polygon is finished, or there is no such nucleus.
        """
        return save_gate(Path(path), particle, self._finished(), self.plane, name)

    def _finished(self) -> list[tuple[float, float]]:
        if len(self.vertices) < FEWEST_VERTICES:
            raise ConfigError("no polygon is finished. Click its corners, then the first one again.")
        return self.vertices

    def _closed(self, vertices: list[tuple[float, float]]) -> None:
        """Called when the polygon is finished, and when it was changed afterwards."""
        self.vertices = [(float(x), float(y)) for x, y in vertices]
        inside, tracks = _totals(self.counts())
        self._axes.set_title(f"{inside:,} of {tracks:,} tracks inside", fontsize=style.SMALL_PT, color=style.INK)
        self.figure.canvas.draw_idle()


def _totals(counts: Sequence[GateCount]) -> tuple[int, int]:
    return sum(c.inside for c in counts), sum(c.tracks for c in counts)


def _draw_plane(figure: Figure, axes: Axes, plane: GatePlane, vertices: Sequence[tuple[float, float]]) -> None:
    """The tracks, with room for the polygon."""
    values = plane.all
    corners = np.array(vertices, dtype=np.float64).reshape(-1, 2)
    limits = [_widened(_robust_limits(values[:, axis]), corners[:, axis]) for axis in (0, 1)]
    draw_pair(figure, axes, values[:, 0], values[:, 1], *limits)
    style.dress(axes, _label(plane.x), _label(plane.y))


def _robust_limits(values: F8) -> tuple[float, float]:
    """All tracks but strays: those that lie further out than the width of the bulk beyond it. From 0 where nothing is negative."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, [TAIL_PERCENT, 100.0 - TAIL_PERCENT])
    least, greatest = max(finite.min(), 2.0 * low - high), min(finite.max(), 2.0 * high - low)
    margin = MARGIN * float(greatest - least) or 0.5
    return 0.0 if finite.min() >= 0.0 else float(least) - margin, float(greatest) + margin


def _widened(limits: tuple[float, float], corners: F8) -> tuple[float, float]:
    if not corners.size:
        return limits
    return min(limits[0], float(corners.min())), max(limits[1], float(corners.max()))


def _label(name: str) -> str:
    unit = Estimates.table("estimates").column(name).unit
    return f"{name} ({unit})" if unit else name
