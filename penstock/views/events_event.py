"""One event of captured streams: what each stream contributed, as images, lines and values."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.config import Experiment
from penstock.core.errors import BadEvent, ConfigError
from penstock.core.selection import EventSelection
from penstock.events.sources import open_files
from penstock.execute import Registrar
from penstock.store import Store
from penstock.stream.models import EventData, StreamData
from penstock.stream.protocols import parse
from penstock.views._style import INK, PALETTE, SMALL_PT, TEXT_PT, dress, new_figure, robust_range, write_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_event"]

MOST_LINES = 18
"""Values of one stream that are listed."""


def draw_event(
    experiment: Experiment,
    store: Store,
    run: int,
    event: int,
    path: Path,
    *,
    pad: int | None = None,
    events: EventSelection | None = None,
    overrides: Mapping[str, Any] | None = None,
    fit: bool = False,
) -> Path:
    """Draw one event of a run to a PNG file: a panel a stream, read from the captures; it needs no artifact.

    Parameters
    ----------
    event
        Event number, as the captures have it.

    Returns
    -------
    Path
        `path`, written.

    Raises
    ------
    ConfigError
        There is no such event, or a pad or a fit is asked for.
    RunMissing, BadRun
        There is no such run, or it cannot be read.
    """
    if pad is not None or fit:
        raise ConfigError(f"instrument {experiment.instrument.name!r} has neither pads nor fits; leave out --pad and --fit.")
    files = Registrar(experiment, store).files(run)
    with open_files(list(files.values())) as source:
        found = np.flatnonzero(source.numbers == event)
        if len(found) == 0:
            first, last = (int(source.numbers[0]), int(source.numbers[-1])) if len(source) else (0, 0)
            raise ConfigError(f"run {run} has no event {event}; its events are {first} to {last}.")
        return draw_streams(source.event(int(found[0])), f"{experiment.name}  ·  run {run}  ·  event {event}", path)


def draw_streams(event: EventData, title: str, path: Path) -> Path:
    """Draw the streams of an event side by side; damaged ones say why they cannot be read."""
    count = max(1, len(event.streams))
    figure = new_figure(5.2 * count + 0.4, 4.8, title)
    for axes, (name, data) in zip(figure.subplots(1, count, squeeze=False)[0], sorted(event.streams.items()), strict=False):
        _draw_stream(axes, name, data)
    write_png(figure, path)
    return path


def _draw_stream(axes: Axes, name: str, data: StreamData) -> None:
    title = f"{name}: {data.typ}, {data.nbytes:,} bytes"
    try:
        message = parse(data)
        arrays = {
            label: values for label, values in _arrays(message) if values.ndim in (1, 2) and values.size > 1 and values.dtype.kind in "uif"
        }
    except BadEvent as error:
        _write(axes, title, [str(error)])
        return
    if not arrays:
        _write(axes, title, [type(message).__name__, *(f"{label} = {_short(value)}" for label, value in vars(message).items())])
        return
    label, values = max(arrays.items(), key=lambda item: (item[1].ndim, item[1].size))
    if values.ndim == 2 and min(values.shape) > 8:
        low, high = robust_range(values)
        shown = axes.imshow(values, origin="upper", interpolation="nearest", aspect="equal", vmin=low, vmax=high, cmap="magma")
        axes.figure.colorbar(shown, ax=axes, label=label, shrink=0.8)
        dress(axes, "column", "row", title)
        axes.grid(visible=False)
        return
    for row, line in enumerate(np.atleast_2d(values)):
        axes.plot(line, lw=0.8, color=PALETTE[row % len(PALETTE)], label=f"{label} {row}" if values.ndim == 2 else label)
    dress(axes, "sample", label, title)
    axes.legend(frameon=False, fontsize=SMALL_PT)


def _arrays(message: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """Arrays of a parsed message, those in lists included."""
    if callable(getattr(message, "image", None)):
        yield "image", np.asarray(message.image())
    for label, value in vars(message).items():
        if isinstance(value, np.ndarray):
            yield label, value
        elif isinstance(value, list) and value and all(isinstance(v, np.ndarray) for v in value):
            yield from ((f"{label}[{i}]", np.squeeze(v)) for i, v in enumerate(value))


def _write(axes: Axes, title: str, lines: list[str]) -> None:
    axes.set_title(title, fontsize=TEXT_PT, color=INK, loc="left", pad=6)
    axes.set_axis_off()
    more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    text = "\n".join(textwrap.fill(line, 52, subsequent_indent="  ") for line in [*lines[:MOST_LINES], *more])
    axes.text(0.0, 0.97, text, transform=axes.transAxes, va="top", family="monospace", fontsize=SMALL_PT, color=INK)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
