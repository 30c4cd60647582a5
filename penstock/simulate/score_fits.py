"""How well tracks were fitted: fits compared with the truth of a simulated run.

The tracks that count are those of events that the mesh triggered and whose ion chamber passes the gate. Within an event
every row belongs to the truth track that is nearest in (polar, Bρ), as in `penstock.simulate.score_tpc`; of several rows
of a track the one with most points is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.simulate.score_tpc import BRHO_LIMIT, DOWNSCALE_TRIGGER, POLAR_LIMIT_RAD, Figure

__all__ = ["FitScore", "Pull", "score_fits"]

Columns = Mapping[str, NDArray[Any]]
F8 = NDArray[np.float64]

TAIL = 5.0
"""Errors farther from the median than so many robust standard deviations are tails."""
MAD_TO_SIGMA = 1.4826
MEDIAN_ERROR = 1.2533
"""Standard error of a median over that of the mean, for a normal distribution."""
PULL_LIMIT = 5.0
"""Pulls are cut here before their mean is taken."""


@dataclass(frozen=True, slots=True)
class Pull:
    """Errors over their standard deviations: robust width, and mean of the pulls cut at ±5."""

    width: Figure
    mean: Figure


@dataclass(frozen=True, slots=True)
class FitScore:
    """Figures of merit of a set of fits; errors are fit less truth, medians and widths robust."""

    tracks: int
    """Truth tracks that count."""
    fitted: Figure
    """Fraction of them to which a row belongs."""
    good: Figure
    """Fraction of them to which a converged row within 5° and 10 % in Bρ belongs."""
    surplus: Figure
    """Fraction of rows that are not the one of their track."""
    pileup_tracks: int
    """Truth tracks of events with more than one ion-chamber pulse."""
    pileup_rejected: Figure
    """Fraction of those events without a row."""
    ke_bias: Figure
    """Median of the relative error of the kinetic energy."""
    ke_width: Figure
    """Robust standard deviation of that error."""
    brho_error: Figure
    """Median of the absolute relative error of Bρ."""
    polar_bias_deg: Figure
    """Median error of the polar angle."""
    polar_error_deg: Figure
    """Median of the absolute error of the polar angle."""
    vertex_z_bias_mm: Figure
    """Median error of the vertex along the axis."""
    tails_ke: Figure
    """Fraction of tracks whose energy lies in the tails."""
    tails_polar: Figure
    """The same for the polar angle."""
    pull_ke: Pull
    pull_polar: Pull
    pull_azimuthal: Pull
    pull_vertex_z: Pull

    def lines(self) -> list[str]:
        """One line a figure."""
        rows = []
        for field in fields(self):
            value = getattr(self, field.name)
            text = f"width {value.width}, mean {value.mean}" if isinstance(value, Pull) else str(value)
            rows.append(f"{field.name:18} {text}")
        return rows


def score_fits(fits: Columns, truth: Columns, ic_gate: tuple[float, float] = (900.0, 1350.0)) -> FitScore:
    """Compare fits with the truth.

    Parameters
    ----------
    fits
        Columns of ``tpc.fits``.
    truth
        Columns of the truth table of a simulated run. Event numbers must be unique: score runs one by one, or renumber
        their events.
    ic_gate
        Least and greatest height of the ion-chamber pulse, ADC.

    Returns
    -------
    score
        Values that cannot be had are NaN.
    """
    meshed = truth["trigger"] != DOWNSCALE_TRIGGER
    gated = meshed & (truth["ic_amplitude"] > ic_gate[0]) & (truth["ic_amplitude"] < ic_gate[1])
    alone, piled = gated & (truth["ic_multiplicity"] <= 1), meshed & (truth["ic_multiplicity"] > 1)
    piled_events = np.unique(truth["event"][piled])
    tracks = np.flatnonzero(alone)
    rows = np.flatnonzero(np.isin(fits["event"], truth["event"][tracks]))
    owner = np.array([_owner(fits, truth, row, tracks) for row in rows.tolist()], dtype=np.int64)
    order = np.lexsort((rows, -fits["points"][rows], owner))
    first = np.unique(owner[order], return_index=True)[1]
    rows, owner = rows[order][first], owner[order][first]
    error = _errors(fits, truth, rows, owner)
    near = (np.abs(error["polar"]) <= POLAR_LIMIT_RAD) & (np.abs(error["brho"]) <= BRHO_LIMIT) & (fits["status"][rows] == 0)
    n_rows = int(np.count_nonzero(np.isin(fits["event"], truth["event"][tracks])))
    return FitScore(
        tracks=len(tracks),
        fitted=_fraction(len(rows), len(tracks)),
        good=_fraction(int(np.sum(near)), len(tracks)),
        surplus=_fraction(n_rows - len(rows), n_rows),
        pileup_tracks=int(np.count_nonzero(piled)),
        pileup_rejected=_fraction(int(np.sum(~np.isin(piled_events, fits["event"]))), len(piled_events)),
        ke_bias=_median(error["ke"]),
        ke_width=_width(error["ke"]),
        brho_error=_median(np.abs(error["brho"])),
        polar_bias_deg=_median(np.degrees(error["polar"])),
        polar_error_deg=_median(np.degrees(np.abs(error["polar"]))),
        vertex_z_bias_mm=_median(error["vertex_z"]),
        tails_ke=_tails(error["ke"]),
        tails_polar=_tails(error["polar"]),
        pull_ke=_pull(error["ke"] * truth["ke"][owner] / fits["sigma_ke"][rows]),
        pull_polar=_pull(error["polar"] / fits["sigma_polar"][rows]),
        pull_azimuthal=_pull(error["azimuthal"] / fits["sigma_azimuthal"][rows]),
        pull_vertex_z=_pull(error["vertex_z"] / fits["sigma_vz"][rows]),
    )


def _errors(fits: Columns, truth: Columns, rows: NDArray[np.int64], owner: NDArray[np.int64]) -> dict[str, F8]:
    """Errors by column, those of energy and rigidity relative."""
    error = {name: np.asarray(fits[name][rows] - truth[name][owner]) for name in ("polar", "azimuthal", "vertex_z")}
    error["azimuthal"] = (error["azimuthal"] + np.pi) % (2.0 * np.pi) - np.pi
    return error | {name: np.asarray(fits[name][rows] / truth[name][owner] - 1.0) for name in ("ke", "brho")}


def _owner(fits: Columns, truth: Columns, row: int, tracks: NDArray[np.int64]) -> int:
    """Truth track that a row belongs to."""
    here = tracks[truth["event"][tracks] == fits["event"][row]]
    polar = (fits["polar"][row] - truth["polar"][here]) / POLAR_LIMIT_RAD
    brho = (fits["brho"][row] / truth["brho"][here] - 1.0) / BRHO_LIMIT
    return int(here[np.argmin(np.hypot(polar, brho))])


def _fraction(count: int, total: int) -> Figure:
    """A fraction with the binomial error of (count + 1) / (total + 2), which does not vanish at 0 and 1."""
    if total == 0:
        return Figure(np.nan, np.nan)
    steadied = (count + 1) / (total + 2)
    return Figure(count / total, float(np.sqrt(steadied * (1.0 - steadied) / total)))


def _sigma(values: F8) -> float:
    return MAD_TO_SIGMA * float(np.median(np.abs(values - np.median(values)))) if len(values) > 0 else np.nan


def _median(values: F8) -> Figure:
    if len(values) == 0:
        return Figure(np.nan, np.nan)
    return Figure(float(np.median(values)), MEDIAN_ERROR * _sigma(values) / np.sqrt(len(values)))


def _width(values: F8) -> Figure:
    """Robust standard deviation; its error is 1.17 σ/√n for a normal distribution."""
    sigma = _sigma(values)
    return Figure(sigma, 1.17 * sigma / np.sqrt(len(values)) if len(values) > 0 else np.nan)


def _tails(values: F8) -> Figure:
    if len(values) == 0:
        return Figure(np.nan, np.nan)
    return _fraction(int(np.sum(np.abs(values - np.median(values)) > TAIL * _sigma(values))), len(values))


def _pull(values: F8) -> Pull:
    kept = np.clip(values[np.isfinite(values)], -PULL_LIMIT, PULL_LIMIT)
    if len(kept) == 0:
        return Pull(Figure(np.nan, np.nan), Figure(np.nan, np.nan))
    return Pull(_width(kept), Figure(float(kept.mean()), float(kept.std() / np.sqrt(len(kept)))))
