"""One look for all figures: fonts, colours, axes with units, titles; and how a figure becomes a PNG file.

Figures are made through Matplotlib's objects, without pyplot, and without touching its global settings.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "ACCENT",
    "COLD",
    "FAINT",
    "HOT",
    "INK",
    "NOISE",
    "PALETTE",
    "PLANE",
    "SMALL_PT",
    "TEXT_PT",
    "annotate",
    "count_histogram",
    "darker",
    "dress",
    "histogram",
    "mark_whole_numbers",
    "new_figure",
    "robust_range",
    "write_png",
]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that colour-blind people tell apart (Okabe and Ito, Color Universal Design, 2008)."""
COLD, HOT, ACCENT = PALETTE[0], PALETTE[1], PALETTE[2]
NOISE = "#9A9A9A"
PLANE = "#EEF1F4"
INK = "#22262B"
FAINT = "#5B6570"

TITLE_PT, TEXT_PT, SMALL_PT = 14.0, 11.0, 9.0
DPI = 150
MOST_BINS = 60

_drawing = threading.Lock()
"""Matplotlib's text layout is not safe for threads, and flows draw from several."""


def new_figure(width_in: float, height_in: float, title: str, subtitle: str = "") -> Figure:
    """An empty white figure with a title, and a line below it that says what data it shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr, call-arg]
    figure.suptitle(title, x=0.012, ha="left", fontsize=TITLE_PT, fontweight="bold", color=INK)
    if subtitle:
        figure.text(0.988, 0.985, subtitle, ha="right", va="top", fontsize=TEXT_PT, color=FAINT)
    return figure


def dress(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Label axes in the common look; `x` and `y` carry their units."""
    axes.set_xlabel(x, fontsize=TEXT_PT, color=INK)
    axes.set_ylabel(y, fontsize=TEXT_PT, color=INK)
    if title:
        axes.set_title(title, fontsize=TEXT_PT, color=INK, loc="left", pad=6)
    axes.tick_params(labelsize=SMALL_PT, colors=INK, direction="out", width=0.7)
    if axes.name == "3d":
        return
    axes.grid(visible=True, color="#DDE1E6", linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)
        spine.set_linewidth(0.8)


def darker(color: str) -> str:
    """The same hue, dark enough to be seen on top of points of that colour."""
    return "#" + "".join(f"{int(int(color[i : i + 2], 16) * 0.5):02X}" for i in (1, 3, 5))


def annotate(axes: Axes, text: str, *, right: bool = True, top: bool = True) -> None:
    """A small note in a corner of the axes."""
    axes.text(
        0.985 if right else 0.015,
        0.97 if top else 0.03,
        text,
        transform=axes.transAxes,
        ha="right" if right else "left",
        va="top" if top else "bottom",
        fontsize=SMALL_PT,
        color=FAINT,
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5},
    )


def robust_range(values: NDArray[Any], *, tail_percent: float = 0.5) -> tuple[float, float]:
    """A range that holds all `values` but the outermost of each tail; all of them where that hardly widens it."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(finite, [tail_percent, 100 - tail_percent]))
    least, greatest = float(finite.min()), float(finite.max())
    margin = 0.25 * (high - low)
    low = least if least >= low - margin else low
    high = greatest if greatest <= high + margin else high
    # So narrow that bins of it would have edges between two numbers that follow one another.
    narrow = 2 * MOST_BINS * float(np.spacing(max(abs(low), abs(high))))
    return (low, high) if high - low > narrow else (low - max(0.5, narrow), high + max(0.5, narrow))


def histogram(
    axes: Axes,
    values: NDArray[Any],
    *,
    color: str = COLD,
    limits: tuple[float, float] | None = None,
    log: bool = False,
) -> NDArray[np.int64]:
    """Draw a histogram; what lies outside of its limits is counted in a note. Returns the counts."""
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    low, high = limits or robust_range(finite, tail_percent=0.0 if log else 0.5)
    bins = int(np.clip(2 * np.sqrt(finite.size), 20, MOST_BINS))
    counts, edges = np.histogram(finite, bins=bins, range=(low, high))
    _draw_steps(axes, counts, edges, color, log=log)
    outside = len(values) - int(counts.sum())
    if outside:
        annotate(axes, f"{outside:,} outside")
    return counts.astype(np.int64)


def count_histogram(axes: Axes, values: NDArray[Any], *, color: str = COLD) -> NDArray[np.int64]:
    """Draw a histogram of counts with bins of whole numbers, all values inside. Returns the counts."""
    least, greatest = (int(values.min()), int(values.max())) if values.size else (0, 0)
    bins = int(np.clip(2 * np.sqrt(values.size), 20, MOST_BINS))
    width = -(-(greatest - least + 1) // bins)
    edges = np.arange(least, greatest + width + 1, width) - 0.5
    counts, _ = np.histogram(values, bins=edges)
    _draw_steps(axes, counts, edges, color, log=False)
    return counts.astype(np.int64)


def mark_whole_numbers(axis: Axis) -> None:
    """Ticks at whole numbers only, for counts."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def write_png(figure: Figure, path: Path) -> Path:
    """Write the figure; equal figures have equal bytes. The folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = io.BytesIO()
    with _drawing:
        figure.savefig(image, format="png", metadata={"Software": None})
    path.write_bytes(image.getvalue())
    return path


def _draw_steps(axes: Axes, counts: NDArray[Any], edges: NDArray[Any], color: str, *, log: bool) -> None:
    axes.stairs(counts, _edges(edges), fill=True, color=color, alpha=0.35, linewidth=0)
    axes.stairs(counts, _edges(edges), color=color, linewidth=1.2)
    axes.set_xlim(float(edges[0]), float(edges[-1]))
    if log and counts.any():
        axes.set_yscale("log")
        axes.set_ylim(0.7, 1.6 * float(counts.max()))
    else:
        mark_whole_numbers(axes.yaxis)
        axes.set_ylim(0, max(1.0, 1.12 * float(counts.max(initial=0))))


def _edges(edges: NDArray[Any]) -> Sequence[float]:
    return [float(e) for e in edges]
