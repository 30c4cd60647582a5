"""Figure of a track mesh: how far each particle gets at each energy, and the tracks of one energy at all angles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from penstock.store import Manifest, Store
from penstock.tpc.mesh import MeshGrid, mesh_grids
from penstock.tpc.schemas import TrackMesh
from penstock.tpc.trajectory import circles_to_track
from penstock.views import _style as style
from penstock.views._sample import artifact_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

__all__ = ["draw_mesh", "mesh_figure", "track_fan"]

MOST_TRACKS = 7
"""Tracks of the fan."""

REACH_MM = 1000.0
"""Of the fan along z: the length of the chamber."""


def draw_mesh(store: Store, manifest: Manifest, path: Path) -> Path:
    """Draw a track mesh to a PNG file: see `mesh_figure`."""
    return style.write_png(mesh_figure(store, manifest), path)


def mesh_figure(store: Store, manifest: Manifest) -> Figure:
    """Path against kinetic energy of each particle; tracks of the first one at the middle energy, from the side and along the beam."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    mesh: TrackMesh = store.read(manifest, TrackMesh)  # type: ignore[assignment]
    grids = mesh_grids(mesh)
    words = f"{mesh.n_events:,} tracks, {', '.join(grid.nucleus.symbol for grid in grids.values())}"
    figure = style.new_figure(15, 5.6, artifact_title(store, manifest, "track mesh"), words)
    range_axes, side_axes, front_axes = figure.subplots(1, 3, width_ratios=(1.1, 1.3, 1.1))
    _draw_ranges(range_axes, grids)
    _mark_longest(range_axes, manifest)
    grid = next(iter(grids.values()))
    ke, polar, tracks = track_fan(grid)
    norm = Normalize(0.0, 180.0)
    _draw_fan(side_axes, polar, tracks, (2, 0), norm)
    style.dress(side_axes, "z from the vertex (mm)", "x (mm)", f"{grid.nucleus.symbol} of {ke:.3g} MeV, from the side")
    side_axes.set_xlim(*(np.clip((tracks[..., 2].min() - 20.0, tracks[..., 2].max() + 20.0), -REACH_MM, REACH_MM)))
    _draw_fan(front_axes, polar, tracks, (0, 1), norm)
    style.dress(front_axes, "x (mm)", "y (mm)", "The same, along the beam")
    front_axes.set_aspect("equal", adjustable="datalim")
    bar = figure.colorbar(ScalarMappable(norm, "viridis"), ax=front_axes, shrink=0.82, pad=0.02)
    bar.set_label("polar angle (deg)", fontsize=style.TEXT_PT, color=style.INK)
    bar.ax.tick_params(labelsize=style.SMALL_PT, colors=style.INK)
    bar.outline.set_visible(False)
    return figure


def track_fan(grid: MeshGrid, most_tracks: int = MOST_TRACKS) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Tracks of the middle energy of a particle at evenly spaced polar angles.

    Returns
    -------
    tuple
        Kinetic energy in MeV; polar angles in rad, (tracks,); x, y, z in mm and kinetic energy in MeV, (tracks, samples, 4).
    """
    first_ke, step_ke, first_polar, step_polar = grid.axes
    n_ke, n_polar = grid.lengths.shape
    columns = np.unique(np.linspace(0, n_polar - 1, min(most_tracks, n_polar)).round().astype(int))
    tracks = circles_to_track(grid.samples[n_ke // 2, columns])
    return float(np.exp(first_ke + step_ke * (n_ke // 2))), first_polar + step_polar * columns, tracks


def _draw_ranges(axes: Axes, grids: dict[tuple[int, int], MeshGrid]) -> None:
    """Mean path over the angles, and the least and greatest."""
    for grid, color in zip(grids.values(), style.PALETTE * 2, strict=False):
        first, step = grid.axes[:2]
        ke = np.exp(first + step * np.arange(len(grid.lengths)))
        axes.fill_between(ke, grid.lengths.min(axis=1), grid.lengths.max(axis=1), color=color, alpha=0.25, linewidth=0)
        axes.plot(ke, grid.lengths.mean(axis=1), color=color, linewidth=1.6, label=grid.nucleus.symbol)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(loc="lower right", fontsize=style.SMALL_PT, frameon=False, labelcolor=style.INK)
    style.dress(axes, "kinetic energy (MeV)", "path to the last sample (mm)", "Range, band over the polar angles")


def _mark_longest(axes: Axes, manifest: Manifest) -> None:
    """A line at the path beyond which tracks are not followed, where the parameters tell."""
    params = manifest.recipe.get("params")
    longest = params.get("path_max_mm") if isinstance(params, dict) else None
    if isinstance(longest, int | float):
        axes.axhline(longest, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(
            "longest path (path_max_mm)", (0.02, longest), xycoords=("axes fraction", "data"), xytext=(0, -11), textcoords="offset points",
            fontsize=style.SMALL_PT, color=style.FAINT,
        )  # fmt: skip


def _draw_fan(axes: Axes, polar: NDArray[np.float64], tracks: NDArray[np.float64], plane: tuple[int, int], norm: Normalize) -> None:
    from matplotlib import colormaps

    for angle, track in zip(np.rad2deg(polar), tracks, strict=True):
        axes.plot(track[:, plane[0]], track[:, plane[1]], color=colormaps["viridis"](norm(angle)), linewidth=1.1)
    axes.plot([0], [0], "o", color=style.INK, markersize=4)
