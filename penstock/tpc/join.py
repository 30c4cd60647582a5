"""Joining clusters that are pieces of one track: by following the helix, or by overlapping circles.

A track crosses the beam region, where no pad sees it, once a turn, and so comes in pieces.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.tpc.circle import fit_circle, shared_area
from penstock.tpc.helix import turning_direction, wrap_angle
from penstock.tpc.spiral import FULL_TURN, arc_length, fit_pitch, fit_spiral, spiral_radius

__all__ = ["join_continuous", "join_overlapping"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

PHASE_TOLERANCE = math.pi / 3.0
"""Greatest angle by which a piece may miss the helix of the other. Unrelated pieces meet it one time in three."""

FEWEST_AT_END = 5
"""At least this many points speak for the end of a piece, as far as it has them."""

LEAST_TURN = math.pi
"""The helix of a piece that turns so far is known well enough to be followed."""

N, LOW, HIGH, DIRECTION, LOW_END, HIGH_END, TRAITS = 0, 1, 2, 3, 4, 12, 20
"""Where the traits of a track stand: points, range in z, direction, and eight numbers for the helix from either end: seven that
describe it, and how far it turns. They are infinite until the helix is fitted."""

SAMPLED_POINTS = 100
"""Of about so many points of a track its helix is made: more cost time and change nothing that joining needs."""

SMALLEST_RADIUS_MM = 10.0
"""Smaller circles are no tracks and join nothing by overlap."""


@jit
def join_continuous(positions: F8, offsets: I8, events: I8, radius_fraction: float, z_fraction: float, threshold: float) -> I8:
    """Join pieces that continue each other's helix.

    Of two pieces the longer one (or the other, if it turns far enough) gives circle and pitch at the end that faces
    the other. They join where they turn the same way, the gap in z is short, and the facing points of the other lie
    near to that helix, at the right phase. The two that are nearest and fit best are joined first, until none fit: so no
    piece is left out between two others.

    Parameters
    ----------
    positions
        Points in mm, (3, points), ascending in z within each piece.
    offsets
        Piece ``i`` is ``positions[:, offsets[i]:offsets[i + 1]]``.
    events
        Pieces of event ``e`` are ``events[e]`` to ``events[e + 1]``.
    radius_fraction
        Greatest distance of the facing points from the circle, over its radius (median).
    z_fraction
        Greatest gap in z, over the length in z of both.
    threshold
        Of :func:`~penstock.tpc.helix.turning_direction`.

    Returns
    -------
    joined
        For each piece the first piece of its track, (pieces,).
    """
    joined = np.arange(len(offsets) - 1)
    traits = np.empty((len(offsets) - 1, TRAITS))
    for event in range(len(events) - 1):
        first, last = events[event], events[event + 1]
        if last - first < 2:
            continue
        for piece in range(first, last):
            _describe(_gather(positions, offsets, joined, first, last, piece), threshold, traits[piece])
        costs = np.full((last - first, last - first), math.nan)
        for tracks in range(last - first, 1, -1):
            keep, drop = _best_pair(positions, offsets, joined, traits, costs, first, last, radius_fraction, z_fraction)
            if keep < 0:
                break
            for piece in range(first, last):
                if joined[piece] == drop:
                    joined[piece] = keep
            if tracks > 2:
                _describe(_gather(positions, offsets, joined, first, last, keep), threshold, traits[keep])
                costs[keep - first, :] = costs[:, keep - first] = math.nan
    return joined


@jit
def _best_pair(
    positions: F8, offsets: I8, joined: I8, traits: F8, costs: F8, first: int, last: int, radius_fraction: float, z_fraction: float
) -> tuple[int, int]:
    """The two tracks of an event that are nearest and fit best, the one to keep first; -1 where none fit.

    What each pair costs is kept in `costs`, one row a lower track, NaN where it is not known.
    """
    best, keep, drop = math.inf, -1, -1
    for a in range(first, last):
        for b in range(first, last):
            if a == b or joined[a] != a or joined[b] != b:
                continue
            cost = costs[a - first, b - first]
            if math.isnan(cost):
                cost = _gap(traits[a], traits[b], z_fraction)
                if cost < 1.0:
                    lower = _gather(positions, offsets, joined, first, last, a)
                    upper = _gather(positions, offsets, joined, first, last, b)
                    misfit = _misfit_of_pair(lower, upper, traits[a], traits[b], radius_fraction)
                    cost = cost + misfit if misfit < 1.0 else math.inf
                else:
                    cost = math.inf
                costs[a - first, b - first] = cost
            if cost < best:
                best, keep, drop = cost, min(a, b), max(a, b)
    return keep, drop


@jit
def _misfit_of_pair(lower: F8, upper: F8, below: F8, above: F8, radius_fraction: float) -> float:
    """How badly two tracks, of traits `below` and `above`, fit each other where they meet: by the helix of the longer, or of both."""
    misfit = math.inf
    if below[N] >= above[N] or _turning(lower, below) >= LEAST_TURN:
        misfit = _misfit(_helix(lower, below, HIGH_END), upper, True, radius_fraction)
    if above[N] > below[N] or _turning(upper, above) >= LEAST_TURN:
        misfit = min(misfit, _misfit(_helix(upper, above, LOW_END), lower, False, radius_fraction))
    return misfit


@jit
def _gather(positions: F8, offsets: I8, joined: I8, first: int, last: int, track: int) -> F8:
    """Points of all pieces of a track, ascending in z."""
    count = 0
    for piece in range(first, last):
        if joined[piece] == track:
            count += offsets[piece + 1] - offsets[piece]
    points = np.empty((3, count))
    at = 0
    for piece in range(first, last):
        if joined[piece] == track:
            size = offsets[piece + 1] - offsets[piece]
            points[:, at : at + size] = positions[:, offsets[piece] : offsets[piece + 1]]
            at += size
    order = np.argsort(points[2], kind="mergesort")
    return points[:, order]


@jit
def _describe(points: F8, threshold: float, traits: F8) -> None:
    """Write what joining needs of a track: size, range in z, direction; its helix is not fitted yet."""
    x, y, z = points[0].copy(), points[1].copy(), points[2].copy()
    traits[N], traits[LOW], traits[HIGH] = len(x), z[0], z[-1]
    traits[DIRECTION] = turning_direction(x, y, z, threshold)
    traits[LOW_END:] = math.inf


@jit
def _turning(points: F8, traits: F8) -> float:
    """How far a track turns, as seen from its lower end, rad; NaN where there is no helix."""
    return float(_helix(points, traits, LOW_END)[7])


@jit
def _helix(points: F8, traits: F8, end: int) -> F8:
    """The helix of a track from one end, fitted when it is first asked for."""
    found = traits[end : end + 8]
    if found[7] == math.inf:
        step = max(1, points.shape[1] // SAMPLED_POINTS)
        sampled = points[:, ::step] if end == LOW_END else points[:, ::-step]
        found[7] = _describe_end(sampled[0].copy(), sampled[1].copy(), sampled[2].copy(), found)
    return found


@jit
def _describe_end(x: F8, y: F8, z: F8, end: F8) -> float:
    """Write the helix from the first point on: centre, radius, loss, angle there, z there, and z per arc.

    Returns
    -------
    turning
        Of all points, rad; NaN where there is no helix.
    """
    end[0], end[1], end[2], end[3], turning = fit_spiral(x, y)
    if not math.isfinite(end[2]):
        return math.nan
    end[4] = math.atan2(y[0] - end[1], x[0] - end[0])
    first = 1
    while first < len(x) and abs(turning[first]) <= FULL_TURN:
        first += 1
    arc = np.empty(first)
    for i in range(first):
        arc[i] = arc_length(end[2], end[3], turning[i])
    end[5], end[6] = fit_pitch(arc, z[:first])
    return float(abs(turning[-1]))


@jit
def _gap(lower: F8, upper: F8, z_fraction: float) -> float:
    """Gap between two tracks over the greatest allowed; infinite where they turn differently or stand the other way."""
    if lower[DIRECTION] == 0 or lower[DIRECTION] != upper[DIRECTION] or lower[LOW] > upper[LOW]:
        return math.inf
    length = max(lower[HIGH], upper[HIGH]) - lower[LOW]
    return abs(upper[LOW] - lower[HIGH]) / (z_fraction * length) if length > 0.0 else math.inf


@jit
def _misfit(end: F8, points: F8, above: bool, radius_fraction: float) -> float:
    """How badly the points next to the end of a helix, above or below it, miss it: below 1 they belong to it."""
    center_x, center_y, radius, loss, start_angle, start_z, slope = end[:7]
    if not (radius > 0.0 and slope != 0.0):
        return math.inf
    x, y, z = points if above else points[:, ::-1]
    per_radian = abs(slope) * radius
    count = 0
    while count < len(z) and (count < FEWEST_AT_END or abs(z[count] - z[0]) < per_radian * math.pi / 2.0):
        count += 1
    distances, phases = np.empty(count), np.empty(count)
    for i in range(count):
        u, v = x[i] - center_x, y[i] - center_y
        turning = wrap_angle(math.atan2(v, u) - start_angle)
        turning += FULL_TURN * round(((z[i] - start_z) / slope / radius - turning) / FULL_TURN)
        distances[i] = abs(math.hypot(u, v) - spiral_radius(radius, loss, turning))
        phases[i] = abs(z[i] - start_z - slope * arc_length(radius, loss, turning)) / per_radian
    apart: float = np.median(distances) / (radius_fraction * radius)
    out_of_phase: float = np.median(phases) / PHASE_TOLERANCE
    return max(apart, out_of_phase)


@jit
def join_overlapping(positions: F8, offsets: I8, events: I8, overlap_ratio: float, smallest: int, threshold: float) -> I8:
    """Join pieces whose circles in the pad plane overlap and that turn the same way.

    The two that overlap most are joined first, then the circle of both is fitted anew, until none overlap enough.

    Parameters
    ----------
    positions, offsets, events, threshold
        As for :func:`join_continuous`.
    overlap_ratio
        Least common area, over the smaller circle.
    smallest
        Pieces of fewer points are left alone.

    Returns
    -------
    joined
        For each piece the first piece of its track, (pieces,).
    """
    joined = np.arange(len(offsets) - 1)
    circles = np.empty((len(offsets) - 1, 4))
    for event in range(len(events) - 1):
        first, last = events[event], events[event + 1]
        if last - first < 2:
            continue
        for piece in range(first, last):
            _describe_circle(_gather(positions, offsets, joined, first, last, piece), smallest, threshold, circles[piece])
        while True:
            best, keep, drop = overlap_ratio, -1, -1
            for a in range(first, last):
                for b in range(a + 1, last):
                    if joined[a] != a or joined[b] != b or circles[a, 3] == 0 or circles[a, 3] != circles[b, 3]:
                        continue
                    apart = math.hypot(circles[a, 0] - circles[b, 0], circles[a, 1] - circles[b, 1])
                    least = math.pi * min(circles[a, 2], circles[b, 2]) ** 2
                    overlap = shared_area(apart, circles[a, 2], circles[b, 2]) / least
                    if overlap > best:
                        best, keep, drop = overlap, a, b
            if keep < 0:
                break
            for piece in range(first, last):
                if joined[piece] == drop:
                    joined[piece] = keep
            _describe_circle(_gather(positions, offsets, joined, first, last, keep), smallest, threshold, circles[keep])
    return joined


@jit
def _describe_circle(points: F8, smallest: int, threshold: float, circle: F8) -> None:
    """Write centre, radius and direction of a track; direction 0 keeps it from being joined."""
    x, y = points[0].copy(), points[1].copy()
    circle[0], circle[1], circle[2] = fit_circle(x, y)
    large = math.isfinite(circle[2]) and circle[2] >= SMALLEST_RADIUS_MM and len(x) >= smallest
    circle[3] = turning_direction(x, y, points[2].copy(), threshold) if large else 0
