"""Figure of one pad in one event: its trace, the baseline, and which pulses are found in it, and why not others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.kernels.baseline import subtract_baseline
from penstock.kernels.peaks import find_pulses
from penstock.tpc.params import PointParams, PulseParams
from penstock.tpc.points import PAD_WIDTH
from penstock.views import _style as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PadPulses", "draw_pad", "pad_figure", "pad_pulses"]


@dataclass(frozen=True, slots=True)
class PadPulses:
    """What the analysis makes of one trace.

    Attributes
    ----------
    baseline, level
        ADC counts, (samples,): what is subtracted, and what is left, rounded towards zero.
    pulses
        Peak, first sample and last sample + 1 of each pulse, (pulses, 3).
    prominences
        Height of each pulse above its ground, ADC, (pulses,).
    refused
        Samples of maxima above the threshold that are no pulse, for their distance, prominence or width.
    """

    baseline: NDArray[np.float64]
    level: NDArray[np.int32]
    pulses: NDArray[np.int64]
    prominences: NDArray[np.float64]
    refused: NDArray[np.int64]


def pad_pulses(trace: NDArray[np.integer[Any]], params: PulseParams) -> PadPulses:
    """Baseline and pulses of one trace, as ``tpc.points`` finds them.

    Parameters
    ----------
    trace
        ADC counts, (samples,).
    params
        How pulses are told from the baseline.
    """
    from scipy import signal

    flat = subtract_baseline(trace[None, :], params.baseline_window_scale)[0]
    level = flat.astype(np.int32)
    room = len(trace) // 2 + 1
    scratch, found = np.empty((3, room), np.int32), np.empty((room, 3), np.int64)
    limits = (params.peak_threshold_adc, params.peak_separation_samples, params.peak_prominence_adc)
    count = find_pulses(level, *limits, PAD_WIDTH[0], params.peak_max_width_samples, PAD_WIDTH[1], scratch, found)
    pulses = found[:count].copy()
    maxima = signal.find_peaks(level)[0]
    high = maxima[level[maxima] > params.peak_threshold_adc]
    prominences = signal.peak_prominences(level, pulses[:, 0])[0]
    kept = np.concatenate([trace[1:2], trace[1:-1], trace[-2:-1]]).astype(np.float64)
    return PadPulses(kept - flat, level, pulses, np.asarray(prominences, np.float64), np.setdiff1d(high, pulses[:, 0]))


def draw_pad(
    trace: NDArray[np.integer[Any]], params: PointParams, path: Path, *, time_offset: float = 0.0, title: str = "", note: str = ""
) -> Path:
    """Draw the trace of one pad to a PNG file: see `pad_figure`."""
    return style.write_png(pad_figure(trace, params, time_offset=time_offset, title=title, note=note), path)


def pad_figure(
    trace: NDArray[np.integer[Any]], params: PointParams, *, time_offset: float = 0.0, title: str = "", note: str = ""
) -> Figure:
    """Above, the trace as recorded and its baseline; below, the trace without it, pulses, threshold and prominences.

    Parameters
    ----------
    trace
        ADC counts of one pad, (samples,).
    params
        Those of ``tpc.points``.
    time_offset
        Added to times on this pad, in time buckets, for the scale in z.
    title, note
        Headline, and a line about the data beside it.
    """
    found = pad_pulses(trace, params.pads)
    figure = style.new_figure(13, 7.6, title or "pad", note)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.35))
    above.plot(trace, color=style.NOISE, linewidth=1.0, label="trace as recorded")
    above.plot(found.baseline, color=style.HOT, linewidth=1.8, label="baseline")
    style.dress(above, "", "ADC counts")
    above.margins(x=0)
    _draw_level(below, found, params)
    style.dress(below, "time (time buckets)", "ADC counts above the baseline")
    for axes in (above, below):
        axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1.0), fontsize=style.SMALL_PT + 1, frameon=False)
    _add_drift_scale(above, params, time_offset)
    return figure


def _draw_level(axes: Axes, found: PadPulses, params: PointParams) -> None:
    pads, level = params.pads, found.level
    axes.plot(level, color=style.COLD, linewidth=1.2, label="without baseline")
    axes.axhline(0, color=style.FAINT, linewidth=0.7)
    label = f"threshold: {pads.peak_threshold_adc:g} ADC"
    axes.axhline(pads.peak_threshold_adc, color=style.HOT, linewidth=1.2, linestyle=(0, (5, 3)), label=label)
    for number, ((peak, first, last), prominence) in enumerate(zip(found.pulses, found.prominences, strict=True)):
        label = "" if number else f"width, at most {pads.peak_max_width_samples:g} buckets"
        axes.axvspan(first, last, color=style.COLD, alpha=0.1, linewidth=0, label=label)
        label = "" if number else f"prominence, at least {pads.peak_prominence_adc:g} ADC"
        axes.vlines(peak, level[peak] - prominence, level[peak], color=style.ACCENT, linewidth=1.8, label=label)
        text = f"{level[peak]:,} ADC\nbucket {peak}"
        axes.annotate(text, (peak, level[peak]), (0, 9), textcoords="offset points", ha="center", fontsize=style.SMALL_PT, color=style.INK)
    peaks = found.pulses[:, 0]
    few = "" if len(peaks) <= params.max_pulses else f", more than {params.max_pulses}: no point"
    axes.scatter(peaks, level[peaks], marker="v", s=70, color=style.ACCENT, zorder=4, label=f"pulses: {len(peaks)}{few}")
    if found.refused.size:
        axes.scatter(
            found.refused, level[found.refused], marker="v", s=55, facecolors="white", edgecolors=style.FAINT, zorder=4,
            label=f"refused by distance ({pads.peak_separation_samples:g}),\nprominence or width: {found.refused.size}",
        )  # fmt: skip
    axes.margins(x=0, y=0.18)


def _add_drift_scale(axes: Axes, params: PointParams, time_offset: float) -> None:
    """Mark z along the upper edge; it falls with time."""
    per_bucket = params.detector_length_mm / (params.window_time_bucket - params.micromegas_time_bucket)

    def to_z(time: Any) -> Any:
        return (params.window_time_bucket - np.asarray(time) - time_offset) * per_bucket

    def to_time(z: Any) -> Any:
        return params.window_time_bucket - time_offset - np.asarray(z) / per_bucket

    scale = axes.secondary_xaxis("top", functions=(to_z, to_time))
    scale.set_xlabel("z from the window (mm)", fontsize=style.TEXT_PT, color=style.INK)
    scale.tick_params(labelsize=style.SMALL_PT, colors=style.INK)
    scale.spines["top"].set_color(style.FAINT)
