"""Figure of the fits of one event over its points, with the residuals along the tracks; and from run and event number to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from penstock.config import Experiment
from penstock.core.errors import ArtifactMissing, ConfigError
from penstock.core.plan import PlanRow, State
from penstock.core.schema import Records
from penstock.core.selection import EventSelection, RunRange
from penstock.execute import Planner, Registrar, Request
from penstock.store import Manifest, Store
from penstock.tpc.pads import PLANE_RADIUS_MM
from penstock.tpc.schemas import Clusters, Fits, PointCloud, TrackMesh
from penstock.views import _style as style
from penstock.views.tpc_fit import FIT_STATUS, LEFT_OUT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FittedTrack", "event_fit_figure", "fitted_tracks", "view_fit"]

R = TypeVar("R", bound=Records)
F8 = NDArray[np.float64]

FINE_STEP_MM = 0.5
"""Step of the places on a fitted track among which the nearest to a point is looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedTrack:
    """One fit of an event, and the points of its cluster.

    Attributes
    ----------
    path
        Places along the fitted track, (places, 3) mm, at steps of about half a millimetre.
    points
        Of the cluster, (points, 3) mm.
    way
        Path along the track to the place nearest to each point, mm.
    across, along
        Distance of each point from there, mm: in the pad plane, to the left of the motion, and in the plane of the beam
        axis, to the micromegas.
    beyond
        Whether a point lies before the first or behind the last place of the path, so that its residuals say nothing.
    """

    cluster: int
    label: str
    path: F8
    points: F8
    way: F8
    across: F8
    along: F8
    beyond: NDArray[np.bool_]


def view_fit(
    experiment: Experiment,
    store: Store,
    run: int,
    event: int,
    path: Path,
    *,
    events: EventSelection | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Path:
    """Draw the fits of one event over its points to a PNG file; only current artifacts are drawn.

    Parameters
    ----------
    event
        Event number, as the run file has it.
    events, overrides
        Selection and parameters of the request that the artifacts were computed for.

    Raises
    ------
    ConfigError
        The pipeline has no fits, the run no such event, or no track of the event was fitted; says what was left out, and why.
    ArtifactMissing
        The fits, or what they were made from, are not current.
    RunMissing
        There is no such run.
    """
    registrar = Registrar(experiment, store)
    registrar.files(run)
    request = Request(RunRange(str(run)), events or EventSelection(), overrides=overrides or {})
    rows = Planner(experiment, store, request, registrar).plan()
    manifests = {schema: _current(store, rows, schema, experiment, run) for schema in (PointCloud, Clusters, Fits, TrackMesh)}
    position = _position(store, manifests[PointCloud], run, event)
    points, clusters, fits = (_event(store, manifests[schema], schema, position) for schema in (PointCloud, Clusters, Fits))
    mesh = cast("TrackMesh", store.read(manifests[TrackMesh], TrackMesh))
    if not len(fits["fits"]["ke"]):
        raise ConfigError(f"run {run}, event {event} has no fit{_left_out_in_words(fits)}. See also: penstock lost {run} {event}")
    figure = event_fit_figure(
        cast("PointCloud", points),
        fitted_tracks(cast("Clusters", clusters), cast("Fits", fits), mesh),
        title=f"{experiment.name}  ·  run {run}  ·  event {event}",
        note=f"{manifests[Fits].stage} {manifests[Fits].key.short}",
    )
    return style.write_png(figure, path)


def fitted_tracks(clusters: Clusters, fits: Fits, mesh: TrackMesh) -> list[FittedTrack]:
    """The fits of one event as curves, and the residuals of their points.

    Parameters
    ----------
    clusters, fits
        The same event of both stages.
    mesh
        The whole mesh that the fits were made with.
    """
    from penstock.tpc.mesh import mesh_grids

    grids, rows = mesh_grids(mesh), fits["fits"]
    tracks = []
    for i in range(len(rows["ke"])):
        grid = grids[int(rows["Z"][i]), int(rows["A"][i])]
        samples, _, _, length = grid.track(float(rows["ke"][i]), float(rows["polar"][i]))
        if not np.isfinite(length):
            continue
        cluster = int(rows["cluster_index"][i])
        start, stop = clusters.offsets["points"][cluster : cluster + 2]
        points = np.stack([np.asarray(clusters["points"][axis][start:stop], np.float64) for axis in "xyz"], axis=1)
        vertex = np.array([float(rows[f"vertex_{axis}"][i]) for axis in "xyz"])
        path, steps = _fine_path(samples[:, :3], float(length), float(rows["azimuthal"][i]), vertex, float(rows["length"][i]))
        tracks.append(FittedTrack(cluster, _in_words(rows, i, grid.nucleus.symbol), path, points, *_residuals(path, steps, points)))
    return tracks


def event_fit_figure(points: PointCloud, tracks: Sequence[FittedTrack], *, title: str = "", note: str = "") -> Figure:
    """Fitted tracks of one event over its points in x-y and z-ρ, and the residuals along the tracks.

    Points stand where ``tpc.points`` placed them. A fit expects spread-out charge to peak late, so that steep pieces of a
    good track may lie some tenths of a millimetre off along the beam axis. Residuals of points beyond the ends of a track
    are left out, and counted in a note.

    Parameters
    ----------
    points
        The event.
    tracks
        Its fits, as `fitted_tracks` gives them.
    title, note
        Headline, and a line about the data beside it.
    """
    figure = style.new_figure(17, 9, title or f"event {int(points['events']['event'][0])}", note)
    grid = figure.add_gridspec(3, 2, width_ratios=(1, 1.15))
    plane = figure.add_subplot(grid[:, 0])
    side, across, along = (figure.add_subplot(grid[row, 1]) for row in range(3))
    cloud = np.stack([np.asarray(points["points"][axis], np.float64) for axis in "xyz"], axis=1)
    _draw_projections(plane, side, cloud, tracks)
    for axes, name, words in ((across, "across", "in the pad plane"), (along, "along", "along the beam axis")):
        _draw_residuals(axes, tracks, name)
        style.dress(axes, "way along the fitted track (mm)", "residual (mm)", f"Distance of the points from the track, {words}")
    handles, labels = plane.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=2, fontsize=style.SMALL_PT + 1, frameon=False, markerscale=1.5)
    return figure


def _fine_path(samples: F8, length: float, azimuthal: float, vertex: F8, used: float) -> tuple[F8, F8]:
    """Places on the track from the vertex to a little beyond the last point, and the way to each."""
    from scipy.interpolate import CubicSpline

    end = min(length, 1.02 * used) if used > 0 else length
    ways = np.linspace(0.0, end, max(2, int(end / FINE_STEP_MM)))
    places = CubicSpline(np.linspace(0.0, length, len(samples)), samples)(ways)
    cosine, sine = np.cos(azimuthal), np.sin(azimuthal)
    turned = np.column_stack([cosine * places[:, 0] - sine * places[:, 1], sine * places[:, 0] + cosine * places[:, 1], places[:, 2]])
    return turned + vertex, ways


def _residuals(path: F8, ways: F8, points: F8) -> tuple[F8, F8, F8, NDArray[np.bool_]]:
    """Way to the place nearest to each point, the two components of the distance from there, and whether the point lies beyond the path."""
    from scipy.spatial import KDTree

    nearest = KDTree(path).query(points)[1]
    tangents = np.gradient(path, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1)[:, None]
    tangent, rest = tangents[nearest], points - path[nearest]
    across = np.column_stack([-tangent[:, 1], tangent[:, 0], np.zeros(len(tangent))])
    across /= np.maximum(np.linalg.norm(across, axis=1), 1e-12)[:, None]
    ahead = np.sum(rest * tangent, axis=1)
    beyond = ((nearest == len(path) - 1) & (ahead > FINE_STEP_MM)) | ((nearest == 0) & (ahead < -FINE_STEP_MM))
    return ways[nearest], np.sum(rest * across, axis=1), np.sum(rest * np.cross(tangent, across), axis=1), beyond


def _in_words(rows: Mapping[str, NDArray[Any]], i: int, symbol: str) -> str:
    status = int(rows["status"][i])
    words = (
        f"cluster {rows['cluster_index'][i]} as {symbol}: KE {rows['ke'][i]:.3f} ± {rows['sigma_ke'][i]:.3f} MeV, "
        f"θ {np.degrees(rows['polar'][i]):.2f} ± {np.degrees(rows['sigma_polar'][i]):.2f}°, reduced χ² {rows['redchisq'][i]:.2f}"
    )
    return words if status == 0 else f"{words}, {FIT_STATUS.get(status, f'status {status}')}"


def _draw_projections(plane: Axes, side: Axes, cloud: F8, tracks: Sequence[FittedTrack]) -> None:
    """The pad plane, and distance from the axis against z."""
    from matplotlib.patches import Circle

    plane.add_patch(Circle((0, 0), PLANE_RADIUS_MM + 6, facecolor=style.PLANE, edgecolor="#C9CFD6", linewidth=0.8, zorder=0))
    sets = [(cloud, style.NOISE, f"{len(cloud):,} points"), *((t.points, _color(t), "") for t in tracks)]
    for xyz, color, label in sets:
        plane.scatter(xyz[:, 0], xyz[:, 1], s=7, color=color, linewidths=0, alpha=0.8, label=label)
        side.scatter(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]), s=7, color=color, linewidths=0, alpha=0.8)
    for track in tracks:
        color = style.darker(_color(track))
        plane.plot(track.path[:, 0], track.path[:, 1], color=color, linewidth=1.2, label=track.label)
        side.plot(track.path[:, 2], np.hypot(track.path[:, 0], track.path[:, 1]), color=color, linewidth=1.2)
    reach = PLANE_RADIUS_MM + 15
    plane.set_aspect("equal")
    plane.set_xlim(-reach, reach)
    plane.set_ylim(-reach, reach)
    plane.grid(visible=False)
    side.set_ylim(0, reach)
    style.dress(plane, "x (mm)", "y (mm)", "Pad plane")
    style.dress(side, "z from the window (mm)", "distance from the axis (mm)", "Along the beam")


def _draw_residuals(axes: Axes, tracks: Sequence[FittedTrack], component: str) -> None:
    axes.axhline(0, color=style.FAINT, linewidth=0.9)
    values: list[F8] = []
    notes = []
    for track in tracks:
        residual = getattr(track, component)[~track.beyond]
        axes.scatter(track.way[~track.beyond], residual, s=9, color=_color(track), linewidths=0, alpha=0.8)
        values.append(residual)
        spread = 1.4826 * float(np.median(np.abs(residual - np.median(residual)))) if residual.size else 0.0
        note = f"cluster {track.cluster}: median {np.median(residual) if residual.size else 0:.2f} mm, robust width {spread:.2f} mm"
        beyond = int(np.sum(track.beyond))
        notes.append(f"{note}; {beyond:,} of {len(track.beyond):,} points beyond its ends" if beyond else note)
    if values and sum(v.size for v in values):
        reach = 1.15 * max(abs(limit) for limit in style.robust_range(np.concatenate(values)))
        axes.set_ylim(-reach, reach)
    style.annotate(axes, "\n".join(notes))


def _color(track: FittedTrack) -> str:
    return style.PALETTE[track.cluster % len(style.PALETTE)]


def _left_out_in_words(fits: Records) -> str:
    left = fits["left_out"]
    words = [
        f"cluster {c} left out ({LEFT_OUT.get(int(r), f'reason {r}')})" for c, r in zip(left["cluster_index"], left["reason"], strict=True)
    ]
    return f": {', '.join(words)}" if words else ""


def _current(store: Store, rows: Sequence[PlanRow], schema: type[Records], experiment: Experiment, run: int) -> Manifest:
    """The artifact of the last stage that writes a schema."""
    row = next((r for r in reversed(rows) if r.stage.writes.schema_id() == schema.schema_id()), None)
    if row is None:
        stages = ", ".join(s.name for s in experiment.pipeline.stages)
        raise ConfigError(
            f"experiment {experiment.name!r}: no stage of the pipeline ({stages}) writes {schema.schema_id()!r}, so there is no fit to draw."
        )
    if row.state is not State.CURRENT or row.key is None:
        raise ArtifactMissing(
            f"run {run}: {row.stage.name} is {row.state}: {row.why}. Compute it with: penstock run {experiment.path} --runs {run} --stages {row.stage.name}"
        )
    return store.manifest(row.key)


def _position(store: Store, manifest: Manifest, run: int, event: int) -> int:
    numbers = store.read(manifest, PointCloud, tables=())["events"]["event"]
    found = np.flatnonzero(numbers == event)
    if not found.size:
        held = f"numbers {numbers.min()} to {numbers.max()}" if numbers.size else "none"
        raise ConfigError(f"run {run}: there is no event {event}; artifact {manifest.key.short} holds {len(numbers):,} events, {held}.")
    return int(found[0])


def _event(store: Store, manifest: Manifest, schema: type[R], position: int) -> R:
    return cast("R", store.read(manifest, schema, position, position + 1))
