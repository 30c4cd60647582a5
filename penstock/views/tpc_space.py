"""Figures of one event of the TPC: its points, clusters and tracks in space; and of one pad: its trace and pulses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.tpc.pads import PLANE_RADIUS_MM
from penstock.tpc.schemas import Clusters, Estimates, PointCloud
from penstock.views import _style as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d import Axes3D

__all__ = ["draw_event", "event_figure"]

F8 = NDArray[np.float64]

MARKERS = ("o", "s", "^", "D", "v", "P")
"""Six colours with six markers tell 36 clusters apart."""

VERTEX: dict[str, Any] = {"s": 130, "marker": "*", "color": "#FFD400", "edgecolors": style.INK, "linewidths": 0.8}


@dataclass(frozen=True, slots=True)
class _Group:
    """Points that are drawn alike: (points, 3) in mm, with a word for the legend."""

    xyz: F8
    color: str
    marker: str
    label: str


@dataclass(frozen=True, slots=True)
class _Track:
    """A track estimate as curves: circle (points, 2) and helix (points, 3), and the vertex (3,), in mm."""

    vertex: F8
    circle: F8
    helix: F8
    color: str
    label: str


def draw_event(
    points: PointCloud, clusters: Clusters | None, estimates: Estimates | None, index: int, path: Path, *, title: str = "", note: str = ""
) -> Path:
    """Draw one event to a PNG file: see `event_figure`."""
    return style.write_png(event_figure(points, clusters, estimates, index, title=title, note=note), path)


def event_figure(
    points: PointCloud, clusters: Clusters | None, estimates: Estimates | None, index: int, *, title: str = "", note: str = ""
) -> Figure:
    """The points of one event in x-y, z-x, z-y and 3-D; clusters coloured, noise grey, tracks with vertex and circle.

    Parameters
    ----------
    points, clusters, estimates
        The same events of the three stages; without clusters all points have one colour.
    index
        Which of these events.
    title, note
        Headline, and a line about the data beside it.
    """
    event = points.part(index, index + 1)
    groups = _groups(event, None if clusters is None else clusters.part(index, index + 1))
    tracks = [] if estimates is None else _tracks(estimates.part(index, index + 1))
    name = f"event {int(event['events']['event'][0])}"
    figure = style.new_figure(17, 7.2, title or name, note or f"{len(event['points']['z']):,} points")
    grid = figure.add_gridspec(2, 3, width_ratios=(1.08, 1, 1.3))
    plane, side_x, side_y = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
    _draw_plane(plane, groups, tracks)
    for axes, axis, word in ((side_x, 0, "x"), (side_y, 1, "y")):
        _draw_side(axes, groups, tracks, axis)
        style.dress(axes, "z from the window (mm)", f"{word} (mm)", f"z-{word}")
    space: Axes3D = figure.add_subplot(grid[:, 2], projection="3d")
    _draw_space(space, groups, tracks)
    handles, labels = plane.get_legend_handles_labels()
    if clusters is not None:
        handles, labels = [*handles[1:], handles[0]], [*labels[1:], labels[0]]
    figure.legend(handles, labels, loc="outside lower left", ncols=3, fontsize=style.SMALL_PT + 1, frameon=False, markerscale=1.5)
    return figure


def _groups(event: PointCloud, clusters: Clusters | None) -> list[_Group]:
    """Noise first, so that clusters lie on top."""
    xyz = np.stack([np.asarray(event["points"][axis], np.float64) for axis in "xyz"], axis=1)
    if clusters is None:
        return [_Group(xyz, style.COLD, "o", f"{len(xyz):,} points")]
    noise = np.ones(len(xyz), np.bool_)
    offsets = clusters.offsets["points"]
    groups = []
    for i, direction in enumerate(clusters["clusters"]["direction"]):
        rows = clusters["points"]["index"][offsets[i] : offsets[i + 1]]
        noise[rows] = False
        way = {1: ", towards the micromegas", -1: ", towards the window"}.get(int(direction), "")
        groups.append(_Group(xyz[rows], *_look(i), f"cluster {i}: {len(rows):,} points{way}"))
    return [_Group(xyz[noise], style.NOISE, "o", f"noise: {int(noise.sum()):,} points"), *groups]


def _look(cluster: int) -> tuple[str, str]:
    """Colour and marker of a cluster."""
    colors = len(style.PALETTE)
    return style.PALETTE[cluster % colors], MARKERS[cluster // colors % len(MARKERS)]


def _tracks(estimates: Estimates) -> list[_Track]:
    """Curves of the tracks: the circle at the vertex, and the helix from there over the first arc.

    Positive ions turn counter-clockwise about the centre; z grows by R cot θ a radian.
    """
    rows = estimates["estimates"]
    tracks = []
    for i in range(len(rows["brho"])):
        vertex = np.array([float(rows[f"vertex_{axis}"][i]) for axis in "xyz"])
        center = np.array([float(rows[f"center_{axis}"][i]) for axis in "xy"])
        spoke = vertex[:2] - center
        radius, start = float(np.hypot(*spoke)), float(np.arctan2(spoke[1], spoke[0]))
        polar = float(rows["polar"][i])
        turn = min(float(rows["arclength"][i]) * np.sin(polar) / radius, 2 * np.pi)
        angles, full = np.linspace(0, turn, 200), np.linspace(0, 2 * np.pi, 361)
        helix = np.column_stack([_on_circle(center, radius, start + angles), vertex[2] + radius * angles / np.tan(polar)])
        azimuthal, brho = np.degrees(rows["azimuthal"][i]), rows["brho"][i]
        label = f"track of cluster {rows['cluster_index'][i]}: θ {np.degrees(polar):.1f}°, φ {azimuthal:.1f}°, Bρ {brho:.3f} T·m"
        color = style.darker(_look(int(rows["cluster_index"][i]))[0])
        tracks.append(_Track(vertex, _on_circle(center, radius, full), helix, color, label))
    return tracks


def _on_circle(center: F8, radius: float, angles: F8) -> F8:
    return center + radius * np.column_stack([np.cos(angles), np.sin(angles)])


def _draw_plane(axes: Axes, groups: list[_Group], tracks: list[_Track]) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), PLANE_RADIUS_MM + 6, facecolor=style.PLANE, edgecolor="#C9CFD6", linewidth=0.8, zorder=0))
    for group in groups:
        axes.scatter(group.xyz[:, 0], group.xyz[:, 1], label=group.label, **_marks(group))
    for track in tracks:
        axes.plot(*track.circle.T, color=track.color, linewidth=1.3, linestyle=(0, (5, 3)), label=track.label)
    _draw_vertices(axes, tracks, (0, 1))
    axes.set_aspect("equal")
    axes.set_xlim(-PLANE_RADIUS_MM - 15, PLANE_RADIUS_MM + 15)
    axes.set_ylim(-PLANE_RADIUS_MM - 15, PLANE_RADIUS_MM + 15)
    style.dress(axes, "x (mm)", "y (mm)", "Pad plane")
    axes.grid(visible=False)


def _draw_side(axes: Axes, groups: list[_Group], tracks: list[_Track], axis: int) -> None:
    for group in groups:
        axes.scatter(group.xyz[:, 2], group.xyz[:, axis], **_marks(group))
    for track in tracks:
        axes.plot(track.helix[:, 2], track.helix[:, axis], color=track.color, linewidth=1.5)
    _draw_vertices(axes, tracks, (2, axis))
    axes.axhline(0, color=style.FAINT, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set_ylim(-PLANE_RADIUS_MM - 15, PLANE_RADIUS_MM + 15)


def _draw_space(axes: Axes3D, groups: list[_Group], tracks: list[_Track]) -> None:
    """All axes to one scale; the beam axis lies across the picture, from the left."""
    axes.computed_zorder = False
    for group in groups:
        axes.scatter(group.xyz[:, 2], group.xyz[:, 0], group.xyz[:, 1], **_marks(group), depthshade=False, zorder=3)
    for track in tracks:
        axes.plot(track.helix[:, 2], track.helix[:, 0], track.helix[:, 1], color=track.color, linewidth=1.5, zorder=4)
        z, x, y = track.vertex[[2, 0, 1]]
        axes.scatter([z], [x], [y], **VERTEX, depthshade=False, zorder=5)
    reach = PLANE_RADIUS_MM
    low, high = axes.get_xlim()
    axes.set_ylim(-reach, reach)
    axes.set_zlim(-reach, reach)
    axes.set_yticks([-200, 0, 200])
    axes.set_zticks([-200, -100, 0, 100, 200])
    axes.view_init(elev=20, azim=-60)
    axes.set_box_aspect((max(high - low, reach), 2 * reach, 2 * reach), zoom=0.9)
    style.dress(axes, "z (mm)", "x (mm)")
    axes.set_zlabel("y (mm)", fontsize=style.TEXT_PT, color=style.INK)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0.965, 0.97, 0.98, 1.0))
        axis.labelpad = 8


def _draw_vertices(axes: Axes, tracks: list[_Track], plane: tuple[int, int]) -> None:
    for number, track in enumerate(tracks):
        axes.scatter([track.vertex[plane[0]]], [track.vertex[plane[1]]], **VERTEX, zorder=5, label="" if number else "vertex")


def _marks(group: _Group) -> dict[str, Any]:
    return {"s": 9, "color": group.color, "marker": group.marker, "linewidths": 0, "alpha": 0.85}
