"""Figure of how whole the files of a run are: everything that was counted, boards that events lack, and which events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.core.schema import Records
from penstock.store import Manifest, Store
from penstock.tpc.schemas import READOUT_NOTES, Readout
from penstock.views import _style as style
from penstock.views._sample import artifact_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_readout", "readout_figure"]

EXPECTED = ("frames", "skipped_frames", "recordings", "crate_events")
"""Counts that are no sign of damage; of `recordings`, one."""

MOST_EVENTS = 20_000
"""Incomplete events that are drawn one by one; of more, evenly spaced ones."""


def draw_readout(store: Store, manifest: Manifest, path: Path) -> Path:
    """Draw the state of the files of a run to a PNG file: see `readout_figure`."""
    return style.write_png(readout_figure(store, manifest), path)


def readout_figure(store: Store, manifest: Manifest) -> Figure:
    """All counts, those that tell of damage in another colour; events that lack each board; boards that each event lacks."""
    readout = store.read(manifest, Readout)
    run = {name: int(values[0]) for name, values in readout["run"].items()}
    known = [column.name for column in READOUT_NOTES if run[column.name] >= 0]
    words = f"{run['events']:,} events" + (f", {run['incomplete_events']:,} incomplete" if run["incomplete_events"] >= 0 else "")
    if (silent := run["silent_boards"]) > 0:
        words += f", {silent:,} board{'s' if silent > 1 else ''} sent nothing"
    figure = style.new_figure(14, 7 if known else 1.6, artifact_title(store, manifest, "readout"), words)
    if not known:
        figure.text(
            0.5, 0.4, "The files of this run come from a merger, which says nothing of the readout.", ha="center", fontsize=style.TEXT_PT,
            color=style.FAINT,
        )  # fmt: skip
        return figure
    grid = figure.add_gridspec(2, 2, height_ratios=(1.3, 1))
    _draw_counts(figure.add_subplot(grid[:, 0]), run, known)
    _draw_boards(figure.add_subplot(grid[0, 1]), readout)
    _draw_events(figure.add_subplot(grid[1, 1]), readout, run["events"])
    return figure


def _draw_counts(axes: Axes, run: dict[str, int], known: list[str]) -> None:
    counts = [run[name] for name in known][::-1]
    expected = [name in EXPECTED and (name != "recordings" or run[name] <= 1) for name in known][::-1]
    bars = axes.barh(known[::-1], counts, color=[style.COLD if fine else style.HOT for fine in expected], alpha=0.75, height=0.6)
    axes.bar_label(bars, [f"{count:,}" for count in counts], fontsize=style.SMALL_PT, color=style.INK, padding=3)
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(0, max(10.0, 30.0 * max(counts)))
    unknown = len(READOUT_NOTES) - len(known)
    style.dress(axes, "counts", "", "What was found" + (f" ({unknown} counts not taken)" if unknown else ""))


def _draw_boards(axes: Axes, readout: Records) -> None:
    """Events that lack each board, a column a CoBo, a row an AsAd; boards that sent nothing are hatched."""
    from matplotlib.patches import Patch, Rectangle

    boards, silent = readout["boards"], readout["silent"]
    style.dress(axes, "CoBo", "AsAd", "Events that lack a board")
    axes.grid(visible=False)
    cobos, asads = (np.concatenate([boards[name], silent[name]]) for name in ("cobo", "asad"))
    if not len(cobos):
        axes.text(0.5, 0.5, "no board is known", transform=axes.transAxes, ha="center", fontsize=style.TEXT_PT, color=style.FAINT)
        return
    missing = np.full((int(asads.max()) + 1, int(cobos.max()) + 1), np.nan)
    missing[boards["asad"], boards["cobo"]] = boards["missing"]
    most = float(boards["missing"].max(initial=0))
    axes.set_facecolor(style.PLANE)
    axes.imshow(missing, cmap="Reds", vmin=0, vmax=max(1.0, most), aspect="auto", origin="lower")
    dark = 0.6 * most
    for cobo, asad, count in zip(boards["cobo"].tolist(), boards["asad"].tolist(), boards["missing"].tolist(), strict=True):
        color = "white" if count > max(dark, 0.6) else style.INK
        axes.text(cobo, asad, f"{count:,}", ha="center", va="center", fontsize=style.SMALL_PT, color=color)
    axes.set_xticks(range(missing.shape[1]))
    axes.set_yticks(range(missing.shape[0]))
    look: dict[str, Any] = {"facecolor": "white", "edgecolor": style.HOT, "hatch": "////", "linewidth": 0.0}
    for cobo, asad in zip(silent["cobo"].tolist(), silent["asad"].tolist(), strict=True):
        axes.add_patch(Rectangle((cobo - 0.5, asad - 0.5), 1.0, 1.0, **look))
    absent = [Patch(**look, label="sent nothing")] if len(silent["cobo"]) else []
    if np.isnan(missing).sum() > len(silent["cobo"]):
        absent.append(Patch(facecolor=style.PLANE, edgecolor="#C9CFD6", label="not in this run"))
    if absent:
        axes.legend(
            handles=absent, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=style.SMALL_PT, frameon=False, borderaxespad=0.2
        )


def _draw_events(axes: Axes, readout: Records, events: int) -> None:
    rows: Any = readout["incomplete"]
    step = -(-len(rows["event"]) // MOST_EVENTS) or 1
    number, missing = rows["event"][::step], rows["missing"][::step]
    note = "Incomplete events" + (f", one in {step}" if step > 1 else "")
    style.dress(axes, "event", "boards that it lacks", note)
    if not len(number):
        axes.text(0.5, 0.5, "every event is complete", transform=axes.transAxes, ha="center", fontsize=style.TEXT_PT, color=style.FAINT)
    axes.vlines(number, 0, missing, color=style.HOT, linewidth=1.0, alpha=0.6)
    axes.plot(number, missing, "o", color=style.HOT, markersize=3)
    first = int(min(number.min(initial=0), 0))
    axes.set_xlim(first - 0.5, max(float(number.max(initial=0)), first + events - 1) + 0.5)
    axes.set_ylim(0, max(1.5, 1.15 * float(missing.max(initial=0))))
    style.mark_whole_numbers(axes.yaxis)
    style.mark_whole_numbers(axes.xaxis)
