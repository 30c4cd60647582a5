"""Figure of the merged traces of a run: which pads fired, how many in an event, how high, and the channels of the FRIB crate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from penstock.formats.traces import FRIB_MODULES, Traces
from penstock.store import Manifest, Store
from penstock.views import _style as style
from penstock.views._plane import draw_counts_on_pads
from penstock.views._sample import artifact_title, read_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_traces", "raw_heights", "traces_figure"]

MOST_TRACES = 60_000
"""Traces of the largest sample that is read; 60 MB of samples."""

MODULE_NAMES = dict(zip(FRIB_MODULES, ("SIS3300", "SIS3301", "SIS3301 (2)", "SIS3316"), strict=True))


def draw_traces(store: Store, manifest: Manifest, path: Path) -> Path:
    """Draw the traces of a run to a PNG file: see `traces_figure`."""
    return style.write_png(traces_figure(store, manifest), path)


def traces_figure(store: Store, manifest: Manifest, most_traces: int = MOST_TRACES) -> Figure:
    """Occupancy of the pad plane; traces per event, heights of raw traces, heights of the channels of the FRIB crate.

    Parameters
    ----------
    most_traces
        Traces of pads in the largest sample that is read.
    """
    rows = manifest.counts.rows
    samples_per_trace = max(rows.values(), default=0) / max(rows.get("pads", 0), 1)
    sample = read_sample(store, manifest, Traces, round(most_traces * max(samples_per_trace, 1.0)))
    traces = sample.records
    words = f"{sample.words}, {len(traces['pads']['pad']):,} traces of pads, {len(traces['silicon']['set']):,} of silicon"
    figure = style.new_figure(15, 7.6, artifact_title(store, manifest, "traces"), words)
    grid = figure.add_gridspec(2, 4)
    draw_counts_on_pads(figure, figure.add_subplot(grid[:, :2]), traces["pads"]["pad"], "traces")
    number_axes, height_axes, crate_axes = (figure.add_subplot(grid[place]) for place in ((0, 2), (0, 3), (1, slice(2, 4))))
    style.count_histogram(number_axes, np.diff(traces.offsets["pads"])[sample.kept], color=style.ACCENT)
    style.dress(number_axes, "traces per event", "events", "Size of events")
    style.histogram(height_axes, raw_heights(traces.pad_samples), color=style.HOT, log=True)
    style.dress(height_axes, "greatest sample less median (ADC)", "traces", "Raw amplitude")
    _draw_crate(crate_axes, traces)
    return figure


def raw_heights(samples: NDArray[np.integer]) -> NDArray[np.float64]:
    """Greatest sample of each trace less the median of its samples, in ADC counts, (rows,).

    Parameters
    ----------
    samples
        (rows, samples), ADC counts.
    """
    if samples.size == 0:
        return np.zeros(len(samples))
    return np.asarray(samples.max(axis=1) - np.median(samples, axis=1), np.float64)


def _draw_crate(axes: Axes, traces: Traces) -> None:
    """Median height of each channel of the crate, and the range that holds nine tenths of its traces."""
    style.dress(axes, "", "greatest sample less median (ADC)", "FRIB crate: median height, bars hold 90 % of the traces")
    frib, lengths = traces["frib"], traces.frib_lengths
    if not lengths.any():
        axes.text(0.5, 0.5, "no trace of the crate", transform=axes.transAxes, ha="center", fontsize=style.TEXT_PT, color=style.FAINT)
        return
    heights = np.full(len(lengths), np.nan)
    for length in np.unique(lengths[lengths > 0]):
        rows = np.flatnonzero(lengths == length)
        heights[rows] = raw_heights(traces.frib_traces(rows))
    channels = sorted(set(zip(frib["module"][lengths > 0].tolist(), frib["channel"][lengths > 0].tolist(), strict=True)))
    for place, (module, channel) in enumerate(channels):
        chosen = heights[(frib["module"] == module) & (frib["channel"] == channel) & (lengths > 0)]
        low, middle, high = np.percentile(chosen, [5, 50, 95])
        color = style.PALETTE[FRIB_MODULES.index(module) if module in FRIB_MODULES else -1]
        axes.plot([place, place], [low, high], color=color, linewidth=3, alpha=0.45, solid_capstyle="butt")
        axes.plot([place], [middle], "o", color=color, markersize=5)
    axes.set_xticks(range(len(channels)), [f"{MODULE_NAMES.get(module, module)}\n{channel}" for module, channel in channels])
    axes.set_xlim(-0.6, len(channels) - 0.4)
    axes.set_ylim(bottom=0)
