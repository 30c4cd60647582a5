"""Several values of one parameter side by side: a table of what each gives, and a contact sheet with a panel a value."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from penstock.core.canonical import Json
from penstock.core.errors import ConfigError, nearest
from penstock.core.plan import PlanRow, State
from penstock.core.schema import Records
from penstock.core.stage import Pipeline
from penstock.store import Manifest, Store
from penstock.tpc.pads import PLANE_RADIUS_MM
from penstock.tpc.schemas import Clusters, Estimates, Fits, PointCloud
from penstock.views import _style as style
from penstock.views._pairs import draw_pair, padded_range
from penstock.views._sample import read_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOST_VALUES", "Tally", "Trial", "check_column", "compare", "draw_contact_sheet", "parse_values", "stages_to_compare"]

R = TypeVar("R", bound=Records)

MOST_VALUES = 12
"""Panels of one contact sheet."""
COLUMNS = 4
ANGLES = ("polar", "azimuthal")
"""Columns that are drawn in degrees."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One value of the parameter, and the plan of its runs after they were computed."""

    value: Json
    rows: tuple[PlanRow, ...]

    def current(self, schema: type[Records]) -> list[PlanRow]:
        """Rows of the last stage that writes `schema`, as far as they are current."""
        last = next((r.stage.name for r in reversed(self.rows) if r.stage.writes.schema_id() == schema.schema_id()), None)
        return [r for r in self.rows if r.stage.name == last and r.state is State.CURRENT and r.key is not None]


@dataclass(frozen=True, slots=True)
class Tally:
    """What one value gives, over all its runs. NaN stands where a stage is not in the pipeline or nothing is there."""

    value: Json
    events: int
    """Events that were not rejected."""
    rejected: int
    excluded: int
    points_per_event: float
    clusters_per_event: float
    tracks_per_event: float
    points_per_track: float
    """Median over the clusters that are tracks."""
    fits_per_event: float
    """Converged fits."""
    cpu_seconds: float
    """Of the stages that the parameter changes, when they were computed."""

    def as_json(self) -> dict[str, Json]:
        """The numbers as plain values; null for NaN."""
        return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in asdict(self).items()}


def parse_values(text: str) -> tuple[str, tuple[Json, ...]]:
    """``tpc.clusters.hdbscan.min_points=3,5,8`` as the parameter and its values: JSON, or else words.

    Raises
    ------
    ConfigError
        It is not of that form, holds no value or one twice, or more than a contact sheet has room for.
    """
    path, equals, listed = (part.strip() for part in text.partition("="))
    if not equals or not path or not listed:
        raise ConfigError(f"{text!r} is not of the form stage.parameter=value,value, such as tpc.clusters.hdbscan.min_points=3,5,8.")
    try:
        values = json.loads(f"[{listed}]")
    except json.JSONDecodeError:
        values = [word.strip() for word in listed.split(",")]
    if len({json.dumps(v) for v in values}) < len(values):
        raise ConfigError(f"{text!r}: a value stands twice.")
    if len(values) > MOST_VALUES:
        raise ConfigError(f"{text!r}: {len(values)} values, a contact sheet has room for {MOST_VALUES}.")
    return path, tuple(values)


def stages_to_compare(pipeline: Pipeline, parameter: str) -> tuple[str, ...]:
    """Stages whose results tell values of a parameter apart: those that have it, and points, clusters and tracks.

    A stage without subject, such as a mesh, shows in the stages that read it.

    Parameters
    ----------
    parameter
        Dotted path; of a detector section all stages that have the parameter.
    """
    family, _, rest = parameter.partition(".")
    section, _, name = rest.partition(".")
    wanted = [
        stage.name
        for stage in pipeline.stages
        if parameter.startswith(f"{stage.name}.")
        or (section == "detector" and stage.name.startswith(f"{family}.") and name in stage.params.model_fields)
    ]
    apart = {name for name in wanted if pipeline[name].subject == "none"}
    wanted += [stage.name for stage in pipeline.stages if apart & set(pipeline.bindings[stage.name].values())]
    for schema in (PointCloud, Clusters, Estimates):
        wanted += [stage.name for stage in pipeline.stages if stage.writes.schema_id() == schema.schema_id()][-1:]
    return tuple(stage.name for stage in pipeline.stages if stage.name in wanted)


def check_column(name: str) -> None:
    """Raise ConfigError where `name` is no column of the estimates."""
    known = [c.name for c in Estimates.table("estimates").columns]
    if name not in known:
        raise ConfigError(f"{name!r} is no column of tpc.estimates.{nearest(name, known)}")


def compare(trials: Sequence[Trial], store: Store) -> list[Tally]:
    """Count what each value gives."""
    keys: dict[str, list[set[str | None]]] = {}
    for trial in trials:
        for name in dict.fromkeys(r.stage.name for r in trial.rows):
            keys.setdefault(name, []).append({r.key for r in trial.rows if r.stage.name == name})
    changed = {name for name, found in keys.items() if any(one != found[0] for one in found)}
    return [_tally(trial, store, changed) for trial in trials]


def _tally(trial: Trial, store: Store, changed: set[str]) -> Tally:
    manifests = [store.manifest(str(r.key)) for r in trial.rows if r.state is State.CURRENT and r.key is not None]
    points, clusters, estimates, fits = (
        [store.manifest(str(r.key)) for r in trial.current(schema)] for schema in (PointCloud, Clusters, Estimates, Fits)
    )
    events = sum(m.counts.events_out for m in points)
    sizes = [_track_sizes(store, c, e) for c, e in zip(clusters, estimates, strict=False)]
    tracks = np.concatenate(sizes) if sizes else np.zeros(0)
    return Tally(
        value=trial.value,
        events=events,
        rejected=sum(sum(m.counts.rejected.values()) for m in manifests),
        excluded=sum(sum(m.counts.excluded.values()) for m in manifests),
        points_per_event=_per(points, "points", events),
        clusters_per_event=_per(clusters, "clusters", events),
        tracks_per_event=_per(estimates, "estimates", events),
        points_per_track=float(np.median(tracks)) if tracks.size else math.nan,
        fits_per_event=_converged(store, fits) / events if fits and events else math.nan,
        cpu_seconds=round(sum(float(str(m.times.get("cpu_seconds", 0.0))) for m in manifests if m.stage in changed), 3),
    )


def draw_contact_sheet(
    trials: Sequence[Trial],
    store: Store,
    path: Path,
    *,
    parameter: str,
    against: str = "polar",
    event: int | None = None,
    title: str = "",
    note: str = "",
) -> Path:
    """Draw one panel a value to a PNG file; all panels have the same axes.

    Parameters
    ----------
    against
        Column of the estimates on the x axis; Bρ is on the y axis.
    event
        Draw the clusters of this event in the pad plane instead; of the first run.

    Raises
    ------
    ConfigError
        There is no such column, or no such event among those that were computed.
    """
    rows = -(-len(trials) // COLUMNS)
    columns = min(len(trials), COLUMNS)
    figure = style.new_figure(max(4.0 * columns, 8.0), 4.1 * rows + 0.6, title or parameter, note)
    grid: NDArray[Any] = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = list(zip(trials, grid.flat, strict=False))
    for axes in grid.flat[len(trials) :]:
        axes.remove()
    if event is None:
        _draw_estimates(figure, panels, store, against)
    else:
        for trial, axes in panels:
            _draw_clusters(axes, trial, store, event)
    name = parameter.rpartition(".")[2]
    for trial, axes in panels:
        axes.set_title(f"{name} = {_word(trial.value)}", fontsize=style.TEXT_PT, color=style.INK, loc="left", pad=6)
        axes.label_outer()
    return style.write_png(figure, path)


def _draw_estimates(figure: Figure, panels: Sequence[tuple[Trial, Axes]], store: Store, against: str) -> None:
    """Bρ against a column, with common limits."""
    check_column(against)
    values = [_columns(trial, store, (against, "brho")) for trial, _ in panels]
    every = np.concatenate([x for x, _ in values]), np.concatenate([y for _, y in values])
    x_limits = _limits(every[0])
    if against == "polar":
        x_limits = (0.0, 180.0) if np.any(every[0] > 90) else (0.0, 90.0)
    for (trial, axes), (x, y) in zip(panels, values, strict=True):
        draw_pair(figure, axes, x, y, x_limits, padded_range(every[1]))
        style.dress(axes, _label(against), "Bρ (T·m)")
        style.annotate(axes, f"{len(x):,} tracks" if trial.current(Estimates) else "not computed", top=False)


def _draw_clusters(axes: Axes, trial: Trial, store: Store, event: int) -> None:
    """The points of an event in the pad plane, coloured by cluster."""
    from matplotlib.patches import Circle

    cloud, clusters = _event(trial, store, PointCloud, event), _event(trial, store, Clusters, event)
    axes.add_patch(Circle((0, 0), PLANE_RADIUS_MM + 6, facecolor=style.PLANE, edgecolor="#C9CFD6", linewidth=0.8, zorder=0))
    if cloud is not None:
        points = cloud["points"]
        axes.scatter(points["x"], points["y"], s=5, color=style.NOISE, linewidths=0)
    noise = 0 if cloud is None else len(cloud["points"]["x"])
    for i, (start, stop) in enumerate(_spans(clusters)):
        assert clusters is not None
        points = clusters["points"]
        axes.scatter(points["x"][start:stop], points["y"][start:stop], s=7, color=style.PALETTE[i % len(style.PALETTE)], linewidths=0)
        noise -= stop - start
    axes.set_aspect("equal")
    axes.set_xlim(-PLANE_RADIUS_MM - 15, PLANE_RADIUS_MM + 15)
    axes.set_ylim(-PLANE_RADIUS_MM - 15, PLANE_RADIUS_MM + 15)
    style.dress(axes, "x (mm)", "y (mm)")
    axes.grid(visible=False)
    n = len(list(_spans(clusters)))
    words = f"{n} cluster{'' if n == 1 else 's'}, {noise:,} points of noise"
    style.annotate(axes, words if clusters is not None else "not computed", top=False)


def _spans(clusters: Clusters | None) -> Iterator[tuple[int, int]]:
    if clusters is not None:
        yield from pairwise(clusters.offsets["points"].tolist())


def _event(trial: Trial, store: Store, schema: type[R], event: int) -> R | None:
    """One event as a stage has it; None where the stage is not there."""
    rows = trial.current(schema)
    if not rows:
        return None
    manifest = store.manifest(str(rows[0].key))
    numbers = store.read(manifest, schema, tables=())["events"]["event"]
    found = np.flatnonzero(numbers == event)
    if not found.size:
        known = f"numbers {numbers.min()} to {numbers.max()}" if numbers.size else "none"
        raise ConfigError(
            f"run {rows[0].run}: there is no event {event} among those that were computed ({known}). Change --event or --events."
        )
    return cast("R", store.read(manifest, schema, int(found[0]), int(found[0]) + 1))


def _columns(trial: Trial, store: Store, names: tuple[str, str]) -> tuple[NDArray[Any], NDArray[Any]]:
    tables = [read_sample(store, store.manifest(str(r.key)), Estimates).records["estimates"] for r in trial.current(Estimates)]
    if not tables:
        return np.zeros(0), np.zeros(0)
    x, y = (np.concatenate([_in_degrees(name, table[name]) for table in tables]) for name in names)
    return x, y


def _in_degrees(name: str, values: NDArray[Any]) -> NDArray[Any]:
    return np.degrees(values) if name in ANGLES else np.asarray(values)


def _label(name: str) -> str:
    shown = "deg" if name in ANGLES else Estimates.table("estimates").column(name).unit
    return f"{name} ({shown})" if shown else name


def _limits(values: NDArray[Any]) -> tuple[float, float]:
    low, high = style.robust_range(values, tail_percent=1.0)
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def _track_sizes(store: Store, clusters: Manifest, estimates: Manifest) -> NDArray[np.int64]:
    """Points of each cluster that is a track."""
    groups, tracks = store.read(clusters, Clusters, tables=("clusters", "points")), store.read(estimates, Estimates)
    of_event = np.repeat(np.arange(tracks.n_events), np.diff(tracks.offsets["estimates"]))
    rows = groups.offsets["clusters"][of_event] + tracks["estimates"]["cluster_index"]
    return np.asarray(np.diff(groups.offsets["points"])[rows], np.int64)


def _converged(store: Store, fits: Sequence[Manifest]) -> int:
    return sum(int(np.sum(store.read(manifest, Fits)["fits"]["status"] == 0)) for manifest in fits)


def _per(manifests: Sequence[Manifest], table: str, events: int) -> float:
    return sum(m.counts.rows.get(table, 0) for m in manifests) / events if manifests and events else math.nan


def _word(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)
