"""Figure of traces without their baseline: the highest trace, all of them on top of each other, and how far they lie from zero."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from penstock.store import Manifest, Store
from penstock.tpc.schemas import FlatTraces
from penstock.views import _style as style
from penstock.views._sample import artifact_title, read_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["baselines_figure", "draw_baselines"]

MOST_TRACES = 20_000
"""Traces of the largest sample that is read; 40 MB of samples."""
SHARES = (5.0, 50.0, 95.0)
"""Percentiles of all traces that are drawn, bucket by bucket."""


def draw_baselines(store: Store, manifest: Manifest, path: Path) -> Path:
    """Draw the traces of a run without their baseline to a PNG file: see `baselines_figure`."""
    return style.write_png(baselines_figure(store, manifest), path)


def baselines_figure(store: Store, manifest: Manifest) -> Figure:
    """The highest trace, percentiles of all traces by time bucket, and the medians of the traces, which are near zero."""
    sample = read_sample(store, manifest, FlatTraces, MOST_TRACES)
    pads = sample.records["pads"]
    samples: NDArray[np.float32] = pads["samples"]
    words = f"{sample.words}, {len(samples):,} traces of pads"
    figure = style.new_figure(15, 4.6, artifact_title(store, manifest, "baselines"), words)
    one, all_of_them, medians = figure.subplots(1, 3)
    _draw_highest(one, samples, pads["pad"])
    _draw_spread(all_of_them, samples)
    style.histogram(medians, np.median(samples, axis=1) if len(samples) else np.zeros(0), color=style.ACCENT)
    style.dress(medians, "median of a trace (ADC)", "traces", "Distance from zero")
    return figure


def _draw_highest(axes: Axes, samples: NDArray[np.float32], pads: NDArray[np.integer]) -> None:
    style.dress(axes, "time bucket", "ADC above the baseline", "Highest trace")
    if len(samples):
        row = int(samples.max(axis=1).argmax())
        axes.plot(samples[row], color=style.ACCENT, linewidth=0.9)
        style.annotate(axes, f"pad {pads[row]}")


def _draw_spread(axes: Axes, samples: NDArray[np.float32]) -> None:
    style.dress(axes, "time bucket", "ADC above the baseline", "All traces: median, and the range of 90 %")
    if len(samples):
        low, middle, high = np.percentile(samples, SHARES, axis=0)
        axes.fill_between(np.arange(len(middle)), low, high, color=style.COLD, alpha=0.35, linewidth=0)
        axes.plot(middle, color=style.INK, linewidth=1.0)
