"""One turn of a track: a helix whose radius shrinks as the particle loses energy, fitted robustly.

By the rule of Bragg and Kleeman (Phil. Mag. 10 (1905) 318) the range of an ion goes with E^1.75, so its momentum, and
with it the radius r, with the 0.286th power of what is left of the range. Over the turning φ that makes r^2.5 linear:
r(φ) = r₀ (1 - loss·φ)^0.4. To second order in r'/r the centre stays where it is. Along the axis z goes with the arc.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.tpc.circle import fit_circle
from penstock.tpc.helix import fit_line, turning_angles, wrap_angle

__all__ = ["FULL_TURN", "LEAST_REST", "POWER", "arc_length", "fit_pitch", "fit_spiral", "nearest_to_axis", "spiral_radius"]

F8 = NDArray[np.float64]

FULL_TURN = 2.0 * math.pi

FEWEST_POINTS = 10
"""At least so many points are fitted, however far they reach."""

ROUNDS = 10
"""Rounds of reweighting. Each costs less than a millisecond for a thousand points, and most change nothing any more."""

TUKEY = 4.685
"""Residuals beyond so many standard deviations count nothing (Tukey's biweight, 95 % efficiency)."""

LEAST_SPREAD_MM = 0.3
"""The spread is not taken smaller, so that perfect data are not thinned out."""

USUAL_LOSS, LOSS_SPREAD = 0.03, 0.1
"""Loss that is expected, and its standard deviation: they steady arcs of less than a turn, and do little to longer ones."""

GREATEST_CHANGE = 0.1
"""The loss changes by no more in one step: far from the solution the first derivative leads astray."""

LEAST_REST = 0.1
"""The power law is not followed nearer to the end of the range than this, where ions become atoms."""

POWER = 0.4
"""Of the rest of the range, as far as the radius goes."""


@jit
def spiral_radius(radius: float, loss: float, turning: float) -> float:
    """Distance from the centre after turning by so many rad, counter-clockwise: as time goes on."""
    return float(radius * max(1.0 - loss * turning, LEAST_REST) ** POWER)


@jit
def arc_length(radius: float, loss: float, turning: float) -> float:
    """Signed length of way in the pad plane from the first point: the integral of the distance over the turning."""
    if abs(loss * turning) < 1e-5:
        return radius * turning
    rest = max(1.0 - loss * turning, LEAST_REST)
    return float(radius * (1.0 - rest ** (1.0 + POWER)) / ((1.0 + POWER) * loss))


@jit
def fit_spiral(x: F8, y: F8) -> tuple[float, float, float, float, F8]:
    """Spiral about a centre through the first turn of the points.

    Minimises the distances from the spiral with Tukey's weights by the Gauss-Newton method. All results are NaN where
    no circle can be found.

    Parameters
    ----------
    x, y
        Points in mm in the order in which the particle passed them or in the opposite order, (points,).

    Returns
    -------
    center_x, center_y, radius, loss
        Centre in mm, distance from it at the first point in mm, and loss in 1/rad.
    turning
        Angle of each point about the centre from that of the first, rad, positive counter-clockwise, (points,).
    """
    center_x, center_y, radius = fit_circle(x, y)
    for _ in range(2):
        if not math.isfinite(radius):
            break
        first = _first_turn(turning_angles(x, y, center_x, center_y))
        center_x, center_y, radius = fit_circle(x[:first], y[:first])
    if not math.isfinite(radius):
        return math.nan, math.nan, math.nan, math.nan, np.full(len(x), math.nan)
    spiral = np.array([center_x, center_y, radius, USUAL_LOSS])
    for step in range(ROUNDS):
        angles = turning_angles(x, y, spiral[0], spiral[1])
        first = _first_turn(angles)
        change = _spiral_step(x[:first], y[:first], angles[:first], spiral, step > 0)
        change[3] = min(max(change[3], -GREATEST_CHANGE), GREATEST_CHANGE)
        spiral += change
        if step > 1 and np.max(np.abs(change[:3])) < 1e-4 * spiral[2] and abs(change[3]) < 1e-4:
            break
    angles = turning_angles(x, y, spiral[0], spiral[1])
    return spiral[0], spiral[1], spiral[2], spiral[3], angles - angles[0]


@jit
def _first_turn(angles: F8) -> int:
    """How many of the first points lie within one turn from the first."""
    count = min(FEWEST_POINTS, len(angles))
    while count < len(angles) and abs(angles[count] - angles[0]) <= FULL_TURN:
        count += 1
    return count


@jit
def _spiral_step(x: F8, y: F8, angles: F8, spiral: F8, robust: bool) -> F8:
    """Change of centre, radius and loss in one Gauss-Newton step."""
    n = len(x)
    center_x, center_y, radius, loss = spiral
    residual, shrunk = np.empty(n), np.empty(n)
    for i in range(n):
        shrunk[i] = spiral_radius(radius, loss, angles[i] - angles[0])
        residual[i] = math.hypot(x[i] - center_x, y[i] - center_y) - shrunk[i]
    spread = _spread(residual)
    normal, right = np.zeros((4, 4)), np.zeros(4)
    row = np.empty(4)
    for i in range(n):
        weight = _tukey(residual[i], spread) if robust else 1.0
        turning = angles[i] - angles[0]
        row[0], row[1] = math.cos(angles[i]), math.sin(angles[i])
        row[2], row[3] = shrunk[i] / radius, -POWER * turning * shrunk[i] / max(1.0 - loss * turning, LEAST_REST)
        for j in range(4):
            right[j] += weight * row[j] * residual[i]
            for k in range(4):
                normal[j, k] += weight * row[j] * row[k]
    expected = (spread / LOSS_SPREAD) ** 2
    normal[3, 3] += expected
    right[3] += expected * (USUAL_LOSS - loss)
    return _solve_symmetric(normal, right)


@jit
def _solve_symmetric(matrix: F8, right: F8) -> F8:
    """Solution for a positive definite matrix, by Cholesky's factors; zeros where it is not."""
    n = len(right)
    lower = np.zeros_like(matrix)
    for i in range(n):
        for j in range(i + 1):
            value = matrix[i, j]
            for k in range(j):
                value -= lower[i, k] * lower[j, k]
            if i == j:
                if value <= 1e-12 * matrix[i, i]:
                    return np.zeros(n)
                lower[i, i] = math.sqrt(value)
            else:
                lower[i, j] = value / lower[j, j]
    solution = right.copy()
    for i in range(n):
        for k in range(i):
            solution[i] -= lower[i, k] * solution[k]
        solution[i] /= lower[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            solution[i] -= lower[k, i] * solution[k]
        solution[i] /= lower[i, i]
    return solution


@jit
def _spread(residual: F8) -> float:
    """Standard deviation of residuals, by the median of their absolute values."""
    return max(1.4826 * float(np.median(np.abs(residual))), LEAST_SPREAD_MM)


@jit
def _tukey(residual: float, spread: float) -> float:
    """Tukey's biweight of a residual."""
    ratio = residual / (TUKEY * spread)
    return (1.0 - ratio * ratio) ** 2 if abs(ratio) < 1.0 else 0.0


@jit
def nearest_to_axis(center_x: float, center_y: float, start_angle: float) -> float:
    """Turning from the first point to where the spiral passes nearest to the beam axis, rad, -π to π.

    Parameters
    ----------
    center_x, center_y
        Centre of the spiral, mm from the axis.
    start_angle
        Polar angle of the first point about it, rad.
    """
    return wrap_angle(math.atan2(-center_y, -center_x) - start_angle)


@jit
def fit_pitch(arc: F8, z: F8) -> tuple[float, float]:
    """Robust straight line z = start + slope · arc, by Tukey's weights: (start, slope).

    Parameters
    ----------
    arc
        Length of way in the pad plane, mm, (points,).
    z
        mm, (points,).
    """
    offset, slope = fit_line(arc, z)
    start = offset - slope * float(np.mean(arc))
    for _ in range(ROUNDS):
        spread = _spread(z - start - slope * arc)
        sw = swx = swy = 0.0
        for i in range(len(arc)):
            weight = _tukey(z[i] - start - slope * arc[i], spread)
            sw += weight
            swx += weight * arc[i]
            swy += weight * z[i]
        mean_x, mean_y = swx / sw, swy / sw
        sxx = sxy = 0.0
        for i in range(len(arc)):
            weight = _tukey(z[i] - start - slope * arc[i], spread)
            sxx += weight * (arc[i] - mean_x) ** 2
            sxy += weight * (arc[i] - mean_x) * (z[i] - mean_y)
        if sxx == 0.0:
            break
        before = slope
        slope = sxy / sxx
        start = mean_y - slope * mean_x
        if abs(slope - before) <= 1e-9 * (1.0 + abs(slope)):
            break
    return start, slope
