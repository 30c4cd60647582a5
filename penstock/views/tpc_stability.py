"""Run-by-run stability: values of many runs with errors, those that stand out, and a figure of all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.canonical import Json
from penstock.views import _style as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LIMIT", "Outlier", "RunValue", "Series", "draw_stability", "mean_of", "median_of"]

F8 = NDArray[np.float64]

LIMIT = 4.0
"""Robust z-score beyond which a run stands out."""

FEWEST_RUNS = 4
"""Of fewer runs none can be told to be the odd one."""

COLUMNS = 3
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class RunValue:
    """A value of one run and its standard error; NaN where the run has none."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Outlier:
    """A run whose value stands out: what it has, what the others have, and the robust z-score."""

    run: int
    value: RunValue
    usual: float
    score: float


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity run by run."""

    name: str
    title: str
    unit: str
    values: Mapping[int, RunValue]

    @property
    def usual(self) -> float:
        """The median over the runs."""
        values = self._array()[0]
        return float(np.median(values)) if values.size else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation from run to run, by the median absolute deviation."""
        values = self._array()[0]
        return MAD_TO_SIGMA * float(np.median(np.abs(values - np.median(values)))) if values.size else math.nan

    def score(self, run: int) -> float:
        """Robust z-score: distance from the median, over the spread of the runs or the error of the run, whichever is greater."""
        one = self.values[run]
        scale = max(self.spread, one.error if math.isfinite(one.error) else 0.0)
        distance = one.value - self.usual
        if distance == 0.0 or not math.isfinite(distance):
            return 0.0
        return distance / scale if scale > 0.0 else math.copysign(math.inf, distance)

    def outliers(self, limit: float = LIMIT) -> list[Outlier]:
        """Runs that stand out; none where there are too few runs to tell."""
        if len(self._array()[0]) < FEWEST_RUNS:
            return []
        scores = {run: self.score(run) for run in self.values}
        return [Outlier(run, self.values[run], self.usual, score) for run, score in scores.items() if abs(score) > limit]

    def as_json(self, limit: float = LIMIT) -> dict[str, Json]:
        """The quantity as plain values; null for what is not there, and for a score without a scale."""
        odd = {outlier.run: outlier for outlier in self.outliers(limit)}
        runs: list[Json] = [
            {"run": run, "value": _plain(v.value), "error": _plain(v.error), "score": _plain(self.score(run)), "outlier": run in odd}
            for run, v in self.values.items()
        ]
        return {"name": self.name, "unit": self.unit, "usual": _plain(self.usual), "spread": _plain(self.spread), "runs": runs}

    def _array(self) -> tuple[F8, F8]:
        """Finite values and their errors."""
        values = np.array([[v.value, v.error] for v in self.values.values()], dtype=np.float64).reshape(-1, 2)
        kept = values[np.isfinite(values[:, 0])]
        return kept[:, 0], kept[:, 1]


def mean_of(values: NDArray[Any]) -> RunValue:
    """Mean and its standard error; the error is NaN of a single value."""
    n = len(values)
    if n == 0:
        return RunValue(math.nan, math.nan)
    return RunValue(float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(n)) if n > 1 else math.nan)


def median_of(values: NDArray[Any]) -> RunValue:
    """Median, with half the distance of the order statistics ½√n below and above it as its standard error."""
    ascending = np.sort(np.asarray(values, np.float64)[np.isfinite(values)])
    n = len(ascending)
    if n == 0:
        return RunValue(math.nan, math.nan)
    reach = 0.5 * math.sqrt(n)
    low, high = (int(np.clip(round((n - 1) / 2 + side * reach), 0, n - 1)) for side in (-1, 1))
    return RunValue(float(np.median(ascending)), float(ascending[high] - ascending[low]) / 2.0 if n > 1 else math.nan)


def draw_stability(series: Sequence[Series], path: Path, *, limit: float = LIMIT, title: str = "", note: str = "") -> Path:
    """Draw every quantity against the run number to a PNG file; runs that stand out are marked and named."""
    rows = -(-len(series) // COLUMNS)
    figure = style.new_figure(15, 2.9 * rows + 0.8, title or "stability", note)
    grid: NDArray[Any] = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True)
    for one, axes in zip(series, grid.flat, strict=False):
        _draw_series(axes, one, limit)
    for axes in grid.flat[len(series) :]:
        axes.remove()
    for column in range(COLUMNS):
        lowest = (len(series) - 1 - column) // COLUMNS
        if lowest >= 0:
            grid[lowest, column].set_xlabel("run", fontsize=style.TEXT_PT, color=style.INK)
            grid[lowest, column].tick_params(labelbottom=True)
    return style.write_png(figure, path)


def _draw_series(axes: Axes, series: Series, limit: float) -> None:
    runs = np.array(list(series.values))
    values = np.array([[v.value, v.error] for v in series.values.values()], dtype=np.float64).reshape(-1, 2)
    odd = np.isin(runs, [outlier.run for outlier in series.outliers(limit)])
    style.dress(axes, "", series.unit or "", series.title)
    if not np.isfinite(values[:, 0]).any():
        axes.text(0.5, 0.5, "no run has it", transform=axes.transAxes, ha="center", fontsize=style.TEXT_PT, color=style.FAINT)
        return
    axes.axhspan(series.usual - series.spread, series.usual + series.spread, color=style.PLANE, zorder=0)
    axes.axhline(series.usual, color=style.FAINT, linewidth=0.9)
    for chosen, color, size in ((~odd, style.COLD, 4.5), (odd, style.HOT, 6.5)):
        errors = np.nan_to_num(values[chosen, 1])
        axes.errorbar(runs[chosen], values[chosen, 0], errors, fmt="o", color=color, markersize=size, elinewidth=1.1)
    for run, value in zip(runs[odd], values[odd, 0], strict=True):
        axes.annotate(str(run), (run, value), (6, 0), textcoords="offset points", va="center", fontsize=style.SMALL_PT, color=style.HOT)
    axes.margins(x=0.06, y=0.16)
    style.mark_whole_numbers(axes.xaxis)


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
