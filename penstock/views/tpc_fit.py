"""Figure of all fits of a run: energies and angles, goodness, errors, and what was not fitted. What their numbers mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.store import Manifest, Store
from penstock.tpc.schemas import Fits
from penstock.views import _style as style
from penstock.views._pairs import draw_pair
from penstock.views._sample import MOST_ROWS, artifact_title, read_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FIT_STATUS", "LEFT_OUT", "draw_fits", "fits_figure"]

FIT_STATUS = {0: "converged", 1: "too many iterations", 2: "at a bound", 3: "no covariance", 4: "left the mesh"}
LEFT_OUT = {1: "ion chamber", 2: "no gate", 3: "outside of the mesh", 4: "too few points"}
"""What the numbers of `Fits` mean."""

GREATEST_CHI_SQUARE = 20.0
"""The histogram of the reduced chi square ends here at the latest; what lies beyond is counted."""


def draw_fits(store: Store, manifest: Manifest, path: Path) -> Path:
    """Draw the fits of a run to a PNG file: see `fits_figure`."""
    return style.write_png(fits_figure(store, manifest), path)


def fits_figure(store: Store, manifest: Manifest, most_rows: int = MOST_ROWS) -> Figure:
    """Kinetic energy against polar angle; reduced chi square, distance of the points, relative errors, and what was not fitted.

    Parameters
    ----------
    most_rows
        Fits of the largest sample that is read.
    """
    sample = read_sample(store, manifest, Fits, most_rows)
    rows, left = sample.records["fits"], sample.records["left_out"]
    good = rows["status"] == 0
    note = f"{sample.words}, {len(good):,} fits, {int(good.sum()):,} converged"
    figure = style.new_figure(15, 8, artifact_title(store, manifest, "fits"), note)
    grid = figure.add_gridspec(2, 4)
    angles = figure.add_subplot(grid[:, :2])
    polar = np.degrees(rows["polar"])
    draw_pair(figure, angles, polar[good], rows["ke"][good], (0.0, 180.0) if np.any(polar[good] > 90) else (0.0, 90.0))
    style.dress(angles, "polar angle θ (deg)", "kinetic energy (MeV)", "Kinematics of converged fits")
    chi_axes, width_axes, error_axes, fate_axes = (figure.add_subplot(grid[row, column]) for row in (0, 1) for column in (2, 3))
    _draw_chi_square(chi_axes, rows["redchisq"][good])
    style.histogram(width_axes, rows["rms"][good], color=style.ACCENT, limits=(0.0, style.robust_range(rows["rms"][good])[1]))
    style.dress(width_axes, "distance of the points, rms (mm)", "fits", "Residuals")
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = 100.0 * rows["sigma_ke"][good] / rows["ke"][good]
    style.histogram(error_axes, relative, color=style.PALETTE[3], limits=(0.0, style.robust_range(relative)[1]))
    style.dress(error_axes, "error of the kinetic energy (%)", "fits", "Errors")
    _draw_fates(fate_axes, rows["status"], left["reason"])
    return figure


def _draw_chi_square(axes: Axes, chi_square: NDArray[Any]) -> None:
    style.dress(axes, "reduced χ²", "fits", "Goodness")
    style.histogram(axes, chi_square, color=style.HOT, limits=(0.0, min(max(3.0, style.robust_range(chi_square)[1]), GREATEST_CHI_SQUARE)))
    axes.axvline(1.0, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)))
    if chi_square.size:
        style.annotate(axes, f"median {np.median(chi_square):.2f}", right=True, top=False)


def _draw_fates(axes: Axes, status: NDArray[Any], reason: NDArray[Any]) -> None:
    """Tracks by what became of them."""
    names = [*FIT_STATUS.values(), *(f"left out: {name}" for name in LEFT_OUT.values())]
    counts = [*(int(np.sum(status == s)) for s in FIT_STATUS), *(int(np.sum(reason == r)) for r in LEFT_OUT)]
    shown = [(name, count) for name, count in zip(names, counts, strict=True) if count or name == names[0]][::-1]
    bars = axes.barh(range(len(shown)), [count for _, count in shown], color=style.COLD, alpha=0.75, height=0.4)
    axes.bar_label(bars, [f"{count:,}" for _, count in shown], fontsize=style.SMALL_PT, color=style.INK, padding=2)
    for place, (name, _) in enumerate(shown):
        axes.annotate(name, (0, place + 0.22), (2, 2), textcoords="offset points", fontsize=style.SMALL_PT, color=style.INK)
    axes.set_xlim(0, max(1.0, 1.25 * max(count for _, count in shown)))
    axes.set_ylim(-0.4, len(shown) - 0.3)
    style.dress(axes, "tracks", "", "Outcomes")
    axes.set_yticks([])
