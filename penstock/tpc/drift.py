"""Where the drift begins and ends: time buckets of micromegas and window, from the times of points.

Charge set free at the micromegas comes first, charge from the window last: tracks that leave through either end fill
times up to that edge, and beyond it there is but noise. Nothing here reads files or knows of runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import erf, xlogy

__all__ = ["DriftEdge", "DriftEdges", "Side", "edge_curve", "find_drift_edges", "fitted_times"]

F8 = NDArray[np.float64]
Side = Literal["micromegas", "window"]

TRACE_BUCKETS = 512
START_BUCKETS, END_BUCKETS = 6, 8
"""No edge is looked for so near to the ends of a trace: there the points of noise end too."""
STEP_BUCKETS = 4
"""Points so far on either side of a place are compared to find the edge."""
REACH_BUCKETS = 12.0
"""Times so far from the edge enter the fit."""
BIN = 0.25
FEWEST_POINTS = 200
"""Points within reach of an edge."""
MOST_WIDTH = 3.0
"""Standard deviation of the blur, in buckets: edges that are less sharp are the shape of a distribution."""
LEAST_CONTRAST = 3.0
"""Rate just inside over that outside."""
LAST_BUCKETS = 16
LAST_SHARE = 0.25
"""Where the last buckets of a trace have more than this share of the mean rate, points go on beyond it."""
MOST_POINTS = 3.0
"""Events with more points within reach than this many times the mean hold tracks that run along the pad plane; they are left out."""
GROUPS = 20
"""Groups of events that the jackknife leaves out, one at a time."""


@dataclass(frozen=True, slots=True)
class DriftEdge:
    """One end of the drift, in GET time buckets; NaN where it is not seen, with the reason."""

    side: Side
    bucket: float = math.nan
    error: float = math.nan
    """Standard error, from a jackknife over events."""
    width: float = math.nan
    """Standard deviation of the blur."""
    inside: float = math.nan
    """Points a bucket just inside."""
    slope: float = math.nan
    """Change of that, points a bucket and bucket away from the edge."""
    outside: float = math.nan
    """Points a bucket outside."""
    around: float = math.nan
    """Middle of the times that were fitted."""
    reason: str = ""
    """Why the edge is not seen; empty where it is."""

    @property
    def seen(self) -> bool:
        """Whether the edge was found."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class DriftEdges:
    """Both ends of the drift of a run."""

    micromegas: DriftEdge
    window: DriftEdge


def find_drift_edges(times: NDArray[np.floating], offsets: NDArray[np.int64]) -> DriftEdges:
    """The edges of the distribution of times: the earliest is the micromegas, the latest the window.

    Each is fitted, by maximum likelihood in a histogram, with a line that begins at a step blurred by a Gaussian, above a
    constant rate of noise. Points of one track are no independent measurements: errors come from a jackknife over events
    (Efron, Biometrika 68 (1981) 589).

    Parameters
    ----------
    times
        (points,) in GET time buckets, pad correction included.
    offsets
        Points ``offsets[i]:offsets[i+1]`` belong to event i.
    """
    exact: F8 = np.asarray(times, np.float64)
    event = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return DriftEdges(_find_edge("micromegas", exact, event), _find_edge("window", exact, event))


def fitted_times(edge: DriftEdge, times: NDArray[np.floating], offsets: NDArray[np.int64]) -> F8:
    """Those of the `times` that entered the fit of an edge that was seen."""
    exact: F8 = np.asarray(times, np.float64)
    return exact[_near(edge.around, exact, np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)))]


def edge_curve(edge: DriftEdge, times: F8) -> F8:
    """Points a bucket that the fit of an edge expects at `times`."""
    return _rate(np.array([edge.bucket, edge.width, edge.inside, edge.slope, edge.outside]), times, _sign(edge.side))


def _find_edge(side: Side, times: F8, event: NDArray[np.int64]) -> DriftEdge:
    place = _steepest(side, times, event)
    near = _near(place, times, event)
    if np.count_nonzero(near) < FEWEST_POINTS:
        return DriftEdge(side, reason=f"only {np.count_nonzero(near)} points near bucket {place:.0f}; {FEWEST_POINTS} are needed")
    borders = np.arange(place - REACH_BUCKETS, place + REACH_BUCKETS + BIN / 2, BIN)
    counts = np.stack([np.histogram(times[near & (event % GROUPS == g)], borders)[0] for g in range(GROUPS)]).astype(np.float64)
    total, centres, sign = counts.sum(axis=0), borders[:-1] + BIN / 2, _sign(side)
    best = _fit(centres, total, sign, _start(centres, total, sign, place))
    bucket, width, inside, slope, outside = (float(v) for v in best)
    if reason := _doubt(side, best, place, times):
        return DriftEdge(side, reason=reason)
    fewer = best * np.array([1, 1, *3 * [1 - 1 / GROUPS]])
    without = np.array([_fit(centres, total - left_out, sign, fewer)[0] for left_out in counts])
    error = math.sqrt((GROUPS - 1) / GROUPS * float(np.sum((without - without.mean()) ** 2)))
    return DriftEdge(side, bucket, error, width, inside, slope, outside, place)


def _near(place: float, times: F8, event: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which points enter a fit: those within reach, but of events with far more of them than others."""
    near: NDArray[np.bool_] = np.abs(times - place) < REACH_BUCKETS
    if not near.any():
        return near
    points = np.bincount(event[near], minlength=int(event[-1]) + 1)
    near &= (points <= MOST_POINTS * points[points > 0].mean())[event]
    return near


def _doubt(side: Side, fit: F8, place: float, times: F8) -> str:
    """Why a fit is no edge; empty where it is one."""
    bucket, width, inside, _, outside = fit
    end = ("start", 0.0, START_BUCKETS) if side == "micromegas" else ("end", TRACE_BUCKETS - END_BUCKETS, float(TRACE_BUCKETS))
    sharp = width <= MOST_WIDTH and inside >= LEAST_CONTRAST * outside and abs(bucket - place) <= REACH_BUCKETS / 2
    if sharp and not end[1] <= bucket <= end[2]:
        return ""
    low, high = (START_BUCKETS, START_BUCKETS + LAST_BUCKETS) if side == "micromegas" else (end[1] - LAST_BUCKETS, end[1])
    last = np.count_nonzero((times >= low) & (times < high)) / LAST_BUCKETS
    if sharp or last > LAST_SHARE * len(times) / TRACE_BUCKETS:
        return f"points go on to the {end[0]} of the trace, so the {side} lies beyond it"
    return f"no sharp edge near bucket {place:.0f}, where the number of points changes most: too few tracks cross the {side}, or it lies beyond the trace"


def _sign(side: Side) -> float:
    """1 where times inside of the detector are later than the edge."""
    return 1.0 if side == "micromegas" else -1.0


def _steepest(side: Side, times: F8, event: NDArray[np.int64]) -> float:
    """The bucket, on the side's half of the times, at which most steps up (down, for the window) against its fluctuation.

    Counted are events that have points in a bucket, so that one track along the pad plane is no step.
    """
    buckets = np.clip(np.floor(times), 0, TRACE_BUCKETS - 1).astype(np.int64)
    events = np.bincount(np.unique(event * TRACE_BUCKETS + buckets) % TRACE_BUCKETS, minlength=TRACE_BUCKETS)
    total = np.concatenate([[0], np.cumsum(events)])
    middle = int(np.median(times)) if times.size else TRACE_BUCKETS // 2
    low, high = (START_BUCKETS, middle) if side == "micromegas" else (middle, TRACE_BUCKETS - END_BUCKETS)
    places = np.arange(max(low, STEP_BUCKETS), max(high, low + 1), dtype=np.int64)
    before, at, after = (total[np.minimum(places + shift, TRACE_BUCKETS)] for shift in (-STEP_BUCKETS, 0, STEP_BUCKETS))
    steps = _sign(side) * ((after - at) - (at - before)) / np.sqrt(after - before + 1.0)
    return float(places[np.argmax(steps)])


def _rate(fit: F8, times: F8, sign: float) -> F8:
    """Points a bucket: a line that begins at a blurred step, above a constant. `fit`: bucket, width, inside, slope, outside."""
    inwards = sign * (times - fit[0])
    rate: F8 = fit[4] + np.maximum(fit[2] + fit[3] * inwards, 0.0) * 0.5 * (1.0 + erf(inwards / (np.sqrt(2.0) * fit[1])))
    return rate


def _start(times: F8, counts: F8, sign: float, place: float) -> F8:
    inwards = sign * (times - place)
    inside, outside = (float(counts[part].mean()) / BIN for part in ((inwards > 1) & (inwards < STEP_BUCKETS), inwards < -2))
    return np.array([place, 0.5, max(inside - outside, 1.0), 0.0, max(outside, 0.1)])


def _fit(times: F8, counts: F8, sign: float, start: F8) -> F8:
    """The parameters of `_rate` of greatest Poisson likelihood: least squares of the roots of the deviance."""

    def roots(fit: F8) -> F8:
        expected = np.maximum(_rate(fit, times, sign) * BIN, 1e-9)
        deviance = 2.0 * (expected - counts + xlogy(counts, counts / expected))
        signed: F8 = np.sign(counts - expected) * np.sqrt(np.maximum(deviance, 0.0))
        return signed

    bounds = ([-np.inf, 0.15, 0.0, -np.inf, 0.0], np.inf)
    scale = np.array([1.0, 0.5, max(start[2], 1.0), max(start[2], 1.0) / REACH_BUCKETS, max(start[4], 1.0)])
    solved: F8 = least_squares(roots, np.maximum(start, bounds[0]), bounds=bounds, x_scale=scale).x
    return solved
