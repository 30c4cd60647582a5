"""Two values of many tracks against each other: one by one where they are few, as a density where they are many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.views import _style as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FEW_TRACKS", "draw_pair", "padded_range"]

FEW_TRACKS = 4000
"""Fewer tracks are drawn one by one, more as a density."""

Limits = tuple[float, float]


def draw_pair(
    figure: Figure, axes: Axes, x: NDArray[Any], y: NDArray[Any], x_limits: Limits | None = None, y_limits: Limits | None = None
) -> None:
    """Draw two values of each track against each other; what lies beyond the limits is counted in a note.

    Parameters
    ----------
    x, y
        (tracks,).
    x_limits, y_limits
        A robust range from 0 without.
    """
    from matplotlib.colors import LogNorm

    (x_low, x_high), (y_low, y_high) = x_limits or padded_range(x), y_limits or padded_range(y)
    if len(x) < FEW_TRACKS:
        size = float(np.clip(9 * math.sqrt(1000 / max(len(x), 1)), 4, 22))
        axes.scatter(x, y, s=size, color=style.COLD, alpha=0.6, linewidths=0)
    else:
        bins = int(np.clip(0.75 * math.sqrt(len(x)), 60, 180))
        image = axes.hist2d(x, y, bins=bins, range=((x_low, x_high), (y_low, y_high)), cmap="viridis", norm=LogNorm(), cmin=1)[3]
        bar = figure.colorbar(image, ax=axes, pad=0.01)
        bar.set_label("tracks", fontsize=style.TEXT_PT, color=style.INK)
        bar.ax.tick_params(labelsize=style.SMALL_PT, colors=style.INK)
    axes.set_xlim(x_low, x_high)
    axes.set_ylim(y_low, y_high)
    outside = len(x) - int(np.sum((x >= x_low) & (x <= x_high) & (y >= y_low) & (y <= y_high)))
    if outside:
        style.annotate(axes, f"{outside:,} track{'s' if outside > 1 else ''} beyond the axes")


def padded_range(values: NDArray[Any]) -> Limits:
    """A robust range with a margin; quantities here are positive, so it begins at 0."""
    _, high = style.robust_range(values, tail_percent=1.0)
    return 0.0, 1.12 * max(high, 1e-9)
