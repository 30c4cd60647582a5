"""Figures of reduced streams: what the plots of ``reduced.h5`` hold, as images, lines with errors, histograms and maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.events.reductions.blocks import FILE
from penstock.store import Manifest, Store
from penstock.views import _style as style
from penstock.views._sample import artifact_title

if TYPE_CHECKING:
    import h5py
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw_reduced", "reduced_figure"]

MOST_LINES = 8
"""Rows of an array that are drawn as lines; with more it is an image."""
MOST_IMAGES = 6
"""Images of a stack that are drawn."""
MOST_PIXELS = 4_000_000
"""Values of a plane that are read; of larger ones only each n-th row."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A dataset with its label."""

    values: NDArray[Any]
    label: str


def draw_reduced(store: Store, manifest: Manifest, path: Path) -> Path:
    """Draw an artifact of a ready reduction to a PNG file: see `reduced_figure`."""
    return style.write_png(reduced_figure(store, manifest), path)


def reduced_figure(store: Store, manifest: Manifest) -> Figure:
    """A panel for each plot of the file, side by side."""
    import h5py

    with h5py.File(store.data_folder(manifest.key) / FILE) as file:
        entry = file["entry"]
        groups = [entry[name] for name in _plots(entry)]
        words = f"{int(entry['events_used'][()]):,} of {int(entry['events'][()]):,} events"
        rejected = int(entry["events_rejected"][()])
        words += f", {rejected:,} damaged" if rejected else ""
        figure = style.new_figure(_width(groups), 5.6, artifact_title(store, manifest, manifest.stage), words)
        panels = figure.subfigures(1, len(groups), squeeze=False)[0]
        for panel, group in zip(panels, groups, strict=True):
            _draw_plot(panel, group)
    return figure


def _plots(entry: h5py.Group) -> list[str]:
    """Names of the plots, the default one first."""
    names = [name for name, member in entry.items() if member.attrs.get("NX_class") == "NXdata"]
    first = entry.attrs["default"]
    return [first, *(name for name in names if name != first)]


def _width(groups: list[h5py.Group]) -> float:
    """Width of the figure in inches: images of pixels leave no room beside them."""
    signal = groups[0][groups[0].attrs["signal"]]
    if len(groups) == 1 and list(groups[0].attrs.get("axes", ())) == ["row", "column"]:
        return float(np.clip(2.6 + 4.6 * signal.shape[1] / signal.shape[0], 7.4, 11.0))
    return 9.0 if len(groups) == 1 else 6.6 * len(groups)


def _draw_plot(panel: SubFigure, group: h5py.Group) -> None:
    signal = group[group.attrs["signal"]]
    title = str(group.attrs["title"])
    names = [str(name) for name in group.attrs.get("axes", ())]
    axes_of = {name: _Shown(group[name][()], _label(group[name], name)) for name in names}
    if signal.ndim > 2:
        _draw_stack(panel, signal, axes_of, title)
        return
    axes = panel.subplots()
    if signal.ndim == 0 or 0 in signal.shape:
        axes.set_axis_off()
        text = f"{_label(signal, title)}: {signal[()]:,}" if signal.ndim == 0 else "no values"
        axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=style.TITLE_PT, color=style.INK)
    elif signal.ndim == 1:
        _draw_line(axes, group, signal, axes_of[names[0]], title)
    elif signal.shape[0] <= MOST_LINES and names[0] == "row":
        _draw_rows(axes, signal, axes_of, title)
    else:
        _draw_image(panel, axes, signal, axes_of, title)


def _draw_line(axes: Axes, group: h5py.Group, signal: h5py.Dataset, along: _Shown, title: str) -> None:
    values = np.asarray(signal[()])
    if "edges" in group and group.attrs["signal"] == "counts":
        style_counts = values.astype(np.float64)
        edges = group["edges"][()].tolist()
        axes.stairs(style_counts, edges, fill=True, color=style.COLD, alpha=0.35, linewidth=0)
        axes.stairs(style_counts, edges, color=style.COLD, linewidth=1.2)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(0, max(1.0, 1.08 * float(values.max(initial=0))))
        style.annotate(axes, _outside(group))
    else:
        order = np.argsort(along.values, kind="stable")
        x, y = along.values[order], values[order]
        errors = group.get(f"{group.attrs['signal']}_errors")
        if errors is not None:
            spread = np.nan_to_num(errors[()][order])
            axes.fill_between(x, y - spread, y + spread, color=style.COLD, alpha=0.25, linewidth=0)
        axes.plot(x, y, color=style.COLD, linewidth=1.2, marker="." if len(x) <= 60 else None)
    style.dress(axes, along.label, _label(signal, title), title)


def _outside(group: h5py.Group) -> str:
    """What a histogram does not show, in words."""
    counted = {word: int(group[word][()]) for word in ("underflow", "overflow", "masked")}
    return ", ".join(f"{n:,} {word}" for word, n in counted.items() if n) or "nothing outside"


def _draw_rows(axes: Axes, signal: h5py.Dataset, axes_of: Mapping[str, _Shown], title: str) -> None:
    rows, along = axes_of.values()
    colors = style.PALETTE * 2
    for number, values, color in zip(rows.values, signal[()], colors, strict=False):
        axes.plot(along.values, values, color=color, linewidth=1.0, label=f"{rows.label} {number:g}")
    if len(rows.values) > 1:
        axes.legend(fontsize=style.SMALL_PT, frameon=False, labelcolor=style.INK)
    style.dress(axes, along.label, _label(signal, title), title)


def _draw_image(panel: SubFigure, axes: Axes, signal: h5py.Dataset, axes_of: Mapping[str, _Shown], title: str) -> None:
    rows, columns = axes_of.values()
    pixels = list(axes_of) == ["row", "column"]
    step = -(-signal.size // MOST_PIXELS)
    values = np.asarray(signal[::step], np.float64)
    if pixels:
        values[_never_valid(signal)[::step]] = np.nan
    low, high = style.robust_range(values)
    extent = (*_ends(columns.values), *(_ends(rows.values)[::-1] if pixels else _ends(rows.values)))
    image = axes.imshow(
        values, origin="upper" if pixels else "lower", extent=extent, vmin=low, vmax=high, cmap="viridis",
        aspect="equal" if pixels else "auto", interpolation="nearest",
    )  # fmt: skip
    axes.set_facecolor(style.PLANE)
    style.dress(axes, columns.label, rows.label, title)
    axes.grid(visible=False)
    _add_bar(panel, image, axes, _label(signal, title))


def _draw_stack(panel: SubFigure, signal: h5py.Dataset, axes_of: Mapping[str, _Shown], title: str) -> None:
    """Some of the images, evenly spaced, on one scale."""
    events = next(iter(axes_of.values())).values
    chosen = np.unique(np.linspace(0, max(len(events) - 1, 0), MOST_IMAGES).round().astype(int))[: len(events)]
    images = [_without_top(signal[int(k)]).reshape(-1, *signal.shape[-2:])[0] for k in chosen]
    low, high = style.robust_range(np.stack(images)) if images else (0.0, 1.0)
    columns = min(3, max(1, len(images)))
    grid = panel.subplots(-(-max(1, len(images)) // columns), columns, squeeze=False).ravel()
    for axes in grid[len(images) :]:
        axes.set_axis_off()
    (bottom, left), shown = list(axes_of.values())[-2:], None
    extent = (*_ends(left.values), *_ends(bottom.values)[::-1])
    for axes, number, values in zip(grid, chosen, images, strict=False):
        shown = axes.imshow(values, extent=extent, vmin=low, vmax=high, cmap="viridis", interpolation="nearest")
        style.dress(axes, left.label, bottom.label, f"event {events[number]}")
        axes.grid(visible=False)
    panel.suptitle(title, x=0.02, ha="left", fontsize=style.TEXT_PT, color=style.INK)
    if shown is not None:
        _add_bar(panel, shown, list(grid), _label(signal, title))


def _never_valid(signal: h5py.Dataset) -> NDArray[np.bool_]:
    """Which values of an image were masked in every event, of results that have no NaN."""
    group, name = signal.parent, signal.name.rpartition("/")[2]
    if "masked" in group:
        return np.asarray(group["masked"][()] >= group["events"][()])
    return np.asarray(group[f"{name}_event"][()] < 0) if f"{name}_event" in group else np.zeros(signal.shape, np.bool_)


def _without_top(values: NDArray[Any]) -> NDArray[np.float64]:
    """As float64, NaN where detectors write that they have no value."""
    numbers = values.astype(np.float64)
    if values.dtype.kind == "u":
        numbers[values == np.iinfo(values.dtype).max] = np.nan
    return numbers


def _add_bar(panel: SubFigure, image: Any, axes: Any, label: str) -> None:
    bar = panel.colorbar(image, ax=axes, shrink=0.85, pad=0.02)
    bar.set_label(label, fontsize=style.TEXT_PT, color=style.INK)
    bar.ax.tick_params(labelsize=style.SMALL_PT, colors=style.INK)
    bar.outline.set_visible(False)


def _ends(centres: NDArray[Any]) -> tuple[float, float]:
    """Outer edges of equal cells."""
    if not len(centres):
        return 0.0, 1.0
    half = (float(centres[-1]) - float(centres[0])) / max(1, len(centres) - 1) / 2 or 0.5
    return float(centres[0]) - half, float(centres[-1]) + half


def _label(dataset: h5py.Dataset, otherwise: str) -> str:
    return str(dataset.attrs.get("long_name", otherwise))
