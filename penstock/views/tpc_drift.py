"""Figure of the drift times of a run: all times, and the edges that micromegas and window leave in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from penstock.store import Manifest, Store
from penstock.tpc.drift import REACH_BUCKETS, TRACE_BUCKETS, DriftEdge, DriftEdges, edge_curve, find_drift_edges, fitted_times
from penstock.tpc.schemas import PointCloud
from penstock.views import _style as style
from penstock.views._sample import Sample, artifact_title, read_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOST_POINTS", "draw_drift", "drift_figure", "measure_drift"]

MOST_POINTS = 4_000_000
"""Points of the largest sample: more would not make the edges sharper than the electronics are."""
COLORS = {"micromegas": style.HOT, "window": style.ACCENT}


def measure_drift(store: Store, manifest: Manifest, most_points: int = MOST_POINTS) -> tuple[DriftEdges, Sample[PointCloud]]:
    """The edges in the times of the points of a run, and the events they were found in."""
    sample = read_sample(store, manifest, PointCloud, most_points)
    return find_drift_edges(sample.records["points"]["time"], sample.records.offsets["points"]), sample


def draw_drift(store: Store, manifest: Manifest, edges: DriftEdges, sample: Sample[PointCloud], path: Path) -> Path:
    """Draw the times of a run and their edges to a PNG file: see `drift_figure`."""
    return style.write_png(drift_figure(edges, sample, artifact_title(store, manifest, "drift times")), path)


def drift_figure(edges: DriftEdges, sample: Sample[PointCloud], title: str = "drift times") -> Figure:
    """The distribution of times, and what lies around each edge with the fit of it."""
    times = sample.records["points"]["time"].astype(np.float64)
    figure = style.new_figure(13, 7.6, title, f"{sample.words}, {len(times):,} points")
    grid = figure.add_gridspec(2, 2)
    axes = figure.add_subplot(grid[0, :])
    counts, borders = np.histogram(times, np.arange(0, TRACE_BUCKETS + 1, 2.0))
    axes.stairs(counts / 2, list(borders), fill=True, color=style.COLD, alpha=0.35, linewidth=0)
    axes.stairs(counts / 2, list(borders), color=style.COLD, linewidth=1.0)
    axes.set_xlim(0, TRACE_BUCKETS)
    axes.set_ylim(0, 1.2 * max(1.0, float(counts.max()) / 2))
    for edge in (edges.micromegas, edges.window):
        if edge.seen:
            axes.axvline(edge.bucket, color=COLORS[edge.side], linewidth=1.4)
            right = edge.side == "window"
            place = edge.bucket + (-4 if right else 4), 1.12 * max(1.0, float(counts.max()) / 2)
            axes.text(*place, edge.side, color=COLORS[edge.side], fontsize=style.TEXT_PT, ha="right" if right else "left", va="center")
    style.dress(axes, "time (GET time buckets)", "points a bucket", "All points")
    for column, edge in enumerate((edges.micromegas, edges.window)):
        _draw_edge(figure.add_subplot(grid[1, column]), edge, sample)
    return figure


def _draw_edge(axes: Axes, edge: DriftEdge, sample: Sample[PointCloud]) -> None:
    if not edge.seen:
        style.dress(axes, "", "", f"{edge.side.capitalize()}: not seen")
        axes.set_axis_off()
        axes.text(
            0.5, 0.5, _broken(edge.reason), transform=axes.transAxes, ha="center", va="center", fontsize=style.TEXT_PT, color=style.FAINT
        )
        return
    times = fitted_times(edge, sample.records["points"]["time"], sample.records.offsets["points"])
    width = 0.5
    borders = np.arange(edge.around - REACH_BUCKETS, edge.around + REACH_BUCKETS + width / 2, width)
    counts, _ = np.histogram(times, borders)
    axes.stairs(counts / width, list(borders), fill=True, color=style.COLD, alpha=0.35, linewidth=0)
    fine = np.linspace(borders[0], borders[-1], 600)
    axes.plot(fine, edge_curve(edge, fine), color=COLORS[edge.side], linewidth=1.6)
    axes.axvline(edge.bucket, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_xlim(borders[0], borders[-1])
    axes.set_ylim(0, 1.15 * float(counts.max()) / width)
    style.dress(
        axes, "time (GET time buckets)", "points a bucket", f"{edge.side.capitalize()}: {edge.bucket:.2f} ± {edge.error:.2f} time buckets"
    )


def _broken(text: str, width: int = 52) -> str:
    """The text in lines of about `width` characters."""
    lines = [""]
    for word in text.split():
        lines = [*lines, word] if len(lines[-1]) + len(word) >= width else [*lines[:-1], f"{lines[-1]} {word}".strip()]
    return "\n".join(lines)
