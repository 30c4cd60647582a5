"""Figure of the scalers of a run: rates over its time, how much of it the electronics were live, and what was counted in all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from penstock.formats.scalers import SCALER_WORDS, SOURCES, Scalers
from penstock.store import Manifest, Store
from penstock.tpc.scalers import total_counts
from penstock.views import _style as style
from penstock.views._sample import artifact_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Rates", "draw_scalers", "live_fractions", "scaler_rates", "scalers_figure"]

F8 = NDArray[np.float64]
Rates = tuple[F8, dict[str, F8]]
"""Middle of each record (s from the begin of the run), and counts per second by name of the scaler."""

LIVE = {"clock": ("clock_live", "clock_free"), "trigger": ("trigger_live", "trigger_free")}
"""What is counted only while the electronics are live, and always."""


def draw_scalers(store: Store, manifest: Manifest, path: Path) -> Path:
    """Draw the scalers of a run to a PNG file: see `scalers_figure`."""
    return style.write_png(scalers_figure(store, manifest), path)


def scalers_figure(store: Store, manifest: Manifest) -> Figure:
    """Rates by record; live fraction by record where clocks or triggers are counted twice; totals of the run."""
    scalers: Scalers = store.read(manifest, Scalers)  # type: ignore[assignment]
    table, run = scalers["scalers"], scalers.run_numbers
    source = SOURCES[run["source"]] if 0 <= run["source"] < len(SOURCES) else "unknown"
    figure = style.new_figure(13, 7, artifact_title(store, manifest, "scalers"), f"{len(table['record']):,} records, from {source}")
    grid = figure.add_gridspec(2, 5, height_ratios=(1.5, 1))
    rate_axes, live_axes, total_axes = (
        figure.add_subplot(grid[place]) for place in ((0, slice(3)), (1, slice(3)), (slice(2), slice(3, 5)))
    )
    times, rates = scaler_rates(scalers)
    _draw_rates(rate_axes, times, rates)
    _draw_live(live_axes, times, live_fractions(rates))
    _draw_totals(total_axes, total_counts(scalers))
    return figure


def scaler_rates(scalers: Scalers) -> Rates:
    """Counts per second of each record.

    Records that count since the begin of the run are compared with the one before. What a record lacks, and records that
    last no time, are NaN.
    """
    table = scalers["scalers"]
    start, stop = table["start_offset"].astype(np.float64), table["stop_offset"].astype(np.float64)
    since_begin = np.flatnonzero(table["incremental"] == 0)
    start[since_begin[1:]] = stop[since_begin[:-1]]
    seconds = np.where(stop > start, stop - start, np.nan)
    rates = {}
    for word in SCALER_WORDS:
        counts = np.where(table[word] < 0, np.nan, table[word].astype(np.float64))
        counts[since_begin[1:]] = np.diff(counts[since_begin])
        rates[word] = counts / seconds
    return (start + stop) / 2, rates


def live_fractions(rates: dict[str, F8]) -> dict[str, F8]:
    """Live part of what is counted twice, by its name; without those that were never counted. NaN where nothing was counted."""
    found = {}
    for name, (live, free) in LIVE.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            fraction = np.where(rates[free] > 0, rates[live] / rates[free], np.nan)
        if np.isfinite(fraction).any():
            found[name] = fraction
    return found


def _look(word: str) -> tuple[str, str]:
    """Colour and line style of a scaler; clocks have the colour of noise."""
    if word.startswith("clock"):
        return style.NOISE, "-"
    turn, place = divmod([w for w in SCALER_WORDS if not w.startswith("clock")].index(word), len(style.PALETTE))
    return style.PALETTE[(place + turn) % len(style.PALETTE)], ("-", "--")[turn]


def _draw_rates(axes: Axes, times: F8, rates: dict[str, F8]) -> None:
    style.dress(axes, "time from the begin of the run (s)", "rate (1/s)", "Rates")
    shown = [word for word in SCALER_WORDS if not word.startswith("clock") and np.any(rates[word] > 0)]
    if not shown:
        axes.text(0.5, 0.5, "nothing was counted", transform=axes.transAxes, ha="center", fontsize=style.TEXT_PT, color=style.FAINT)
        return
    for word in shown:
        color, line = _look(word)
        values = np.where(rates[word] > 0, rates[word], np.nan)
        axes.plot(times, values, line, color=color, linewidth=1.4, marker="o", markersize=3, label=word)
    axes.set_yscale("log")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=style.SMALL_PT, frameon=False, labelcolor=style.INK)


def _draw_live(axes: Axes, times: F8, fractions: dict[str, F8]) -> None:
    style.dress(axes, "time from the begin of the run (s)", "live fraction", "Live time")
    axes.set_ylim(0, 1.05)
    if not fractions:
        text = "neither clock nor trigger is counted"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", fontsize=style.TEXT_PT, color=style.FAINT)
        return
    for (name, fraction), color, line in zip(fractions.items(), (style.COLD, style.HOT), ("o-", "s:"), strict=False):
        axes.plot(times, fraction, line, color=color, linewidth=1.6, markersize=3, label=f"{name}, mean {np.nanmean(fraction):.1%}")
    axes.legend(loc="lower left", fontsize=style.SMALL_PT, frameon=False, labelcolor=style.INK)


def _draw_totals(axes: Axes, totals: dict[str, int]) -> None:
    words = [*totals][::-1]
    bars = axes.barh(words, [max(totals[word], 0) for word in words], color=[_look(word)[0] for word in words], alpha=0.75, height=0.6)
    axes.bar_label(bars, [f"{totals[word]:,}" for word in words], fontsize=style.SMALL_PT, color=style.INK, padding=3)
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(0, max(10.0, 1000.0 * max(totals.values())))
    style.dress(axes, "counts", "", "Totals of the run")
