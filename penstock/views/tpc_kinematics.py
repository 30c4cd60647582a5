"""Figure of the reaction behind the fitted tracks: excitation energy, and the curves that the kinematics allow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError
from penstock.store import Manifest, Store
from penstock.tpc.reaction import Reaction, kinematic_curve, parse_reaction
from penstock.tpc.schemas import Kinematics
from penstock.views import _style as style
from penstock.views._pairs import draw_pair
from penstock.views._sample import MOST_ROWS, artifact_title, read_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curve_energies", "draw_kinematics", "kinematics_figure"]

F8 = NDArray[np.float64]

MOST_CURVES = 4
"""Curves beyond that of the ground state would hide the tracks."""

FEWEST_BINS, MOST_BINS = 40, 200
"""Of the spectrum; between them a bin is as wide as the median error."""

WORDS = {10: "another particle", 11: "no beam energy left", 12: "no mass left to the residue"}
"""What `Kinematics` says of rows without an excitation energy."""


def draw_kinematics(store: Store, manifest: Manifest, path: Path) -> Path:
    """Draw the reaction of a run to a PNG file: see `kinematics_figure`."""
    return style.write_png(kinematics_figure(store, manifest), path)


def kinematics_figure(store: Store, manifest: Manifest, most_rows: int = MOST_ROWS) -> Figure:
    """Excitation energy; kinetic energy against polar angle with curves; excitation energy against angle and vertex.

    Only fits that converged are drawn; the others are counted. The curves hold for the beam energy at the median vertex.

    Parameters
    ----------
    most_rows
        Fits of the largest sample that is read.
    """
    sample = read_sample(store, manifest, Kinematics, most_rows)
    rows = sample.records["kinematics"]
    good = (rows["status"] == 0) & np.isfinite(rows["ex"])
    kept = {name: values[good] for name, values in rows.items()}
    reaction = _reaction(manifest)
    words = f"{_in_words(reaction)}   {sample.words}, {int(good.sum()):,} of {len(good):,} fits{_left_out(rows['status'])}"
    figure = style.new_figure(15, 9, artifact_title(store, manifest, "kinematics"), words)
    grid = figure.add_gridspec(2, 6, height_ratios=(1.5, 1))
    spectrum, angles = figure.add_subplot(grid[0, :3]), figure.add_subplot(grid[0, 3:])
    _draw_spectrum(spectrum, kept, reaction)
    _draw_angles(figure, angles, kept, reaction)
    theta, by_theta, by_vertex = (figure.add_subplot(grid[1, 2 * i : 2 * i + 2]) for i in range(3))
    theta_cm = np.degrees(kept["theta_cm"])
    style.histogram(theta, theta_cm, color=style.ACCENT, limits=(0.0, 180.0))
    style.dress(theta, "centre-of-mass angle (deg)", "fits", "Angular distribution, not corrected for acceptance")
    limits = _margin(style.robust_range(kept["ex"], tail_percent=1.0))
    for axes, x, x_limits, label in (
        (by_theta, theta_cm, (0.0, 180.0), "centre-of-mass angle (deg)"),
        (by_vertex, kept["vertex_z"], None, "vertex z from the window (mm)"),
    ):
        draw_pair(figure, axes, x, kept["ex"], x_limits, limits)
        axes.axhline(0, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)))
        style.dress(axes, label, "excitation energy (MeV)", "No slope where energies and angles are right")
    return figure


def curve_energies(ex: F8) -> list[float]:
    """Excitation energies of the curves that are drawn: the ground state, and whole steps up to the highest that is there."""
    high = float(np.percentile(ex, 95)) if ex.size else 0.0
    if high <= 0.5:
        return [0.0]
    step = next(s for s in (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, math.inf) if high / s <= MOST_CURVES)
    return [0.0, *(step * i for i in range(1, int(high / step) + 1))]


def _draw_spectrum(axes: Axes, rows: Mapping[str, NDArray[Any]], reaction: Reaction) -> None:
    style.dress(axes, f"excitation energy of {reaction.residue.symbol} (MeV)", "fits", "Excitation energy")
    low, high = _margin(style.robust_range(rows["ex"], tail_percent=1.0))
    error = float(np.nanmedian(rows["sigma_ex"])) if rows["ex"].size else 0.0
    bins = int(np.clip((high - low) / max(error, 1e-9), FEWEST_BINS, MOST_BINS))
    counts, edges = np.histogram(rows["ex"], bins=bins, range=(low, high))
    axes.stairs(counts, edges.tolist(), fill=True, color=style.COLD, alpha=0.35, linewidth=0)
    axes.stairs(counts, edges.tolist(), color=style.COLD, linewidth=1.2)
    axes.set_xlim(low, high)
    axes.set_ylim(0, max(1.0, 1.12 * float(counts.max(initial=0))))
    axes.axvline(0, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)))
    if rows["ex"].size:
        outside = len(rows["ex"]) - int(counts.sum())
        words = f"median error {1e3 * error:.0f} keV\nbins of {1e3 * (high - low) / bins:.0f} keV"
        style.annotate(axes, f"{words}\n{outside:,} outside" if outside else words)


def _draw_angles(figure: Figure, axes: Axes, rows: Mapping[str, NDArray[Any]], reaction: Reaction) -> None:
    polar = np.degrees(rows["polar"])
    draw_pair(figure, axes, polar, rows["ke"], (0.0, 180.0) if np.any(polar > 90) else (0.0, 90.0))
    style.dress(axes, "polar angle θ (deg)", "kinetic energy (MeV)", f"Kinematics of {reaction.ejectile.symbol}")
    if not rows["beam_ke"].size:
        return
    beam_ke = float(np.median(rows["beam_ke"]))
    for color, ex in zip((style.INK, *style.PALETTE[1:]), curve_energies(rows["ex"]), strict=False):
        try:
            curve_polar, curve_ke = kinematic_curve(reaction, beam_ke, ex)
        except ConfigError:
            continue
        axes.plot(np.degrees(curve_polar), curve_ke, color=color, linewidth=1.4, label=f"{ex:g} MeV")
    axes.legend(
        title=f"excitation, beam {beam_ke:.1f} MeV",
        loc="upper right",
        fontsize=style.SMALL_PT,
        title_fontsize=style.SMALL_PT,
        frameon=False,
    )


def _reaction(manifest: Manifest) -> Reaction:
    params = manifest.recipe["params"]
    assert isinstance(params, dict)
    return parse_reaction(str(params["reaction"]), "second" if params["beam"] == "second" else "first")


def _in_words(reaction: Reaction) -> str:
    names = (reaction.beam.symbol, reaction.target.symbol, reaction.ejectile.symbol, reaction.residue.symbol)
    return f"{names[0]} on {names[1]}: {names[2]} + {names[3]}, Q = {reaction.q_mev:.3f} MeV"


def _left_out(status: NDArray[Any]) -> str:
    counts = {words: int(np.sum(status == code)) for code, words in WORDS.items()}
    counts["not converged"] = int(np.sum((status > 0) & ~np.isin(status, list(WORDS))))
    return "".join(f", {n:,} {words}" for words, n in counts.items() if n)


def _margin(limits: tuple[float, float]) -> tuple[float, float]:
    reach = 0.1 * (limits[1] - limits[0])
    return limits[0] - reach, limits[1] + reach
