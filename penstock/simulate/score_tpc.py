"""How well tracks were found: estimates compared with the truth of a simulated run.

Within an event every row belongs to the truth track that is nearest in (polar, Bρ), scaled by 5° and 10 %. A row is
good when it lies within both limits of that track. Events that the truth marks as taken by the down-scaled trigger do
not count, neither their tracks nor their rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Figure", "TrackScore", "score_tracks"]

POLAR_LIMIT_RAD = np.radians(5.0)
BRHO_LIMIT = 0.1
DOWNSCALE_TRIGGER = 2

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.error:.2g}"


@dataclass(frozen=True, slots=True)
class TrackScore:
    """Figures of merit of a set of estimates; medians are over all rows that belong to a track."""

    tracks: int
    """Truth tracks that count."""
    rows: int
    """Rows of the estimates that count."""
    found_once: Figure
    """Fraction of tracks to which exactly one row belongs, and that a good one."""
    found: Figure
    """Fraction of tracks to which at least one good row belongs."""
    matched: Figure
    """Fraction of tracks to which at least one row belongs, good or not."""
    surplus: Figure
    """Fraction of rows that are ghosts (not good) or duplicates (good, but not the first of their track)."""
    polar_error_deg: Figure
    """Median of the absolute error of the polar angle."""
    brho_error: Figure
    """Median of the absolute relative error of Bρ."""
    vertex_z_error_mm: Figure
    """Median of the absolute error of the vertex along the axis."""


def score_tracks(estimates: Columns, truth: Columns) -> TrackScore:
    """Compare estimates with the truth.

    Parameters
    ----------
    estimates
        Columns ``event``, ``polar`` (rad), ``brho`` (T·m) and ``vertex_z`` (mm), one row an estimate.
    truth
        The same columns and ``trigger``, one row a track. Event numbers must be unique: score runs one by one, or
        renumber their events.

    Returns
    -------
    score
        Values that cannot be had (no tracks, no rows) are NaN.
    """
    scored = np.flatnonzero(truth["trigger"] != DOWNSCALE_TRIGGER)
    excluded = np.unique(truth["event"][truth["trigger"] == DOWNSCALE_TRIGGER])
    rows = np.flatnonzero(~np.isin(estimates["event"], excluded))
    owner = np.array([_nearest_track(estimates, truth, row, scored) for row in rows.tolist()], dtype=np.int64)
    owned = owner >= 0
    tracks, matched_rows = owner[owned], rows[owned]
    polar = np.abs(estimates["polar"][matched_rows] - truth["polar"][tracks])
    brho = np.abs(estimates["brho"][matched_rows] / truth["brho"][tracks] - 1.0)
    good = (polar <= POLAR_LIMIT_RAD) & (brho <= BRHO_LIMIT)
    n_rows = np.bincount(tracks, minlength=len(truth["event"]))[scored]
    n_good = np.bincount(tracks[good], minlength=len(truth["event"]))[scored]
    return TrackScore(
        tracks=len(scored),
        rows=len(rows),
        found_once=_fraction(int(np.sum((n_rows == 1) & (n_good == 1))), len(scored)),
        found=_fraction(int(np.sum(n_good > 0)), len(scored)),
        matched=_fraction(int(np.sum(n_rows > 0)), len(scored)),
        surplus=_fraction(len(rows) - int(np.sum(n_good > 0)), len(rows)),
        polar_error_deg=_median(np.degrees(polar)),
        brho_error=_median(brho),
        vertex_z_error_mm=_median(np.abs(estimates["vertex_z"][matched_rows] - truth["vertex_z"][tracks])),
    )


def _nearest_track(estimates: Columns, truth: Columns, row: int, scored: NDArray[np.int64]) -> int:
    """Truth track that a row belongs to, -1 where its event has none."""
    tracks = scored[truth["event"][scored] == estimates["event"][row]]
    if len(tracks) == 0:
        return -1
    polar = (estimates["polar"][row] - truth["polar"][tracks]) / POLAR_LIMIT_RAD
    brho = (estimates["brho"][row] / truth["brho"][tracks] - 1.0) / BRHO_LIMIT
    return int(tracks[np.argmin(np.hypot(polar, brho))])


def _fraction(count: int, total: int) -> Figure:
    """A fraction with the binomial error of (count + 1) / (total + 2), which does not vanish at 0 and 1."""
    if total == 0:
        return Figure(np.nan, np.nan)
    steadied = (count + 1) / (total + 2)
    return Figure(count / total, float(np.sqrt(steadied * (1.0 - steadied) / total)))


def _median(values: NDArray[np.float64]) -> Figure:
    """A median with half the distance of the order statistics ½√n below and above it."""
    if len(values) == 0:
        return Figure(np.nan, np.nan)
    ascending = np.sort(values)
    reach = 0.5 * np.sqrt(len(values))
    low, high = (int(np.clip(round((len(values) - 1) / 2 + side * reach), 0, len(values) - 1)) for side in (-1, 1))
    return Figure(float(np.median(values)), float(ascending[high] - ascending[low]) / 2.0)
