"""The pad plane with a number on each pad, as triangles in their true places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.tpc.pads import N_PADS, PLANE_RADIUS_MM, pad_corners, pad_plane
from penstock.views import _style as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_counts_on_pads"]

RIM_MM = 15.0


def draw_counts_on_pads(
    figure: Figure, axes: Axes, pads: NDArray[Any], what: str, places: tuple[NDArray[Any], NDArray[Any]] | None = None
) -> None:
    """Draw how often each pad stands in `pads`; pads that do not have the colour of the plane.

    Parameters
    ----------
    pads
        Pad numbers, in any order; those that are no pad are left out.
    what
        What is counted, in the plural.
    places
        Centres x and y of the same pads, mm, as far as a user's own map may have moved them.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Circle

    known, first, counts = np.unique(pads, return_index=True, return_counts=True)
    there = (known >= 0) & (known < N_PADS)
    known, first, counts = known[there], first[there], counts[there]
    axes.add_patch(Circle((0, 0), PLANE_RADIUS_MM + 6, facecolor=style.PLANE, edgecolor="#C9CFD6", linewidth=0.8, zorder=0))
    if known.size:
        corners = np.stack([pad_corners(int(pad)) for pad in known])
        if places is not None:
            plane = pad_plane()["pads"]
            shift = np.stack([place[first] - plane[axis][known] for axis, place in zip("xy", places, strict=True)], axis=1)
            corners = corners + shift[:, None, :]
        norm = LogNorm(1, max(2, int(counts.max())))
        triangles = PolyCollection(list(corners), array=counts, cmap="viridis", norm=norm, edgecolors="face", linewidths=0.15)
        axes.add_collection(triangles)
        bar = figure.colorbar(triangles, ax=axes, shrink=0.82, pad=0.02)
        bar.set_label(f"{what} per pad", fontsize=style.TEXT_PT, color=style.INK)
        bar.ax.tick_params(labelsize=style.SMALL_PT, colors=style.INK)
        bar.outline.set_visible(False)
    axes.set_aspect("equal")
    axes.set_xlim(-PLANE_RADIUS_MM - RIM_MM, PLANE_RADIUS_MM + RIM_MM)
    axes.set_ylim(-PLANE_RADIUS_MM - RIM_MM, PLANE_RADIUS_MM + RIM_MM)
    style.dress(axes, "x (mm)", "y (mm)", f"Pad plane: {len(known):,} of {N_PADS:,} pads with {what}")
    axes.grid(visible=False)
