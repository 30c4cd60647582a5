"""Helices around the magnetic field: the turning of a track about its centre, and which way along the axis it runs.

The field points to -z, so positive ions turn counter-clockwise in (x, y) as time goes on.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.kernels.spline import smooth_splines
from penstock.tpc.circle import fit_circle

__all__ = ["fit_line", "turning_angles", "turning_direction", "wrap_angle"]

F8 = NDArray[np.float64]

DIRECTION_SMOOTHING = 10.0
"""Smoothing of x(z) and y(z), in mm³, before steps are counted; little, so that no turn of a steep track is lost."""

FEWEST_TO_SMOOTH = 6
"""Fewer points are left as they are."""


@jit
def wrap_angle(angle: float) -> float:
    """The same angle within -π to π."""
    return angle - 2.0 * math.pi * math.floor((angle + math.pi) / (2.0 * math.pi))


@jit
def turning_angles(x: F8, y: F8, center_x: float, center_y: float) -> F8:
    """Polar angle of successive points about a centre in rad, continued over ±π: each step turns by less than π."""
    angles = np.empty(len(x))
    before = 0.0
    for i in range(len(x)):
        angle = math.atan2(y[i] - center_y, x[i] - center_x)
        angles[i] = angle if i == 0 else angles[i - 1] + wrap_angle(angle - before)
        before = angle
    return angles


@jit
def fit_line(x: F8, y: F8) -> tuple[float, float]:
    """Least-squares line y = offset + slope · (x - mean of x); slope 0 where all x are equal. (offset, slope)."""
    mean_x, mean_y = float(np.mean(x)), float(np.mean(y))
    sxx = sxy = 0.0
    for i in range(len(x)):
        sxx += (x[i] - mean_x) ** 2
        sxy += (x[i] - mean_x) * (y[i] - mean_y)
    return mean_y, sxy / sxx if sxx > 0.0 else 0.0


@jit
def turning_direction(x: F8, y: F8, z: F8, threshold: float) -> int:
    """Whether a particle runs to +z (1), to -z (-1), or cannot be told (0).

    It runs to +z where its points turn counter-clockwise with growing z.

    Parameters
    ----------
    x, y, z
        Points in mm, ascending in z, (points,).
    threshold
        More than this fraction of all turning must be one way.
    """
    if len(x) >= FEWEST_TO_SMOOTH:
        _, heights, _ = smooth_splines(z, np.stack((x, y)), DIRECTION_SMOOTHING)
        x, y = heights[0].copy(), heights[1].copy()
    center_x, center_y, radius = fit_circle(x, y)
    if not math.isfinite(radius):
        return 0
    steps = np.diff(turning_angles(x, y, center_x, center_y))
    left = right = 0.0
    for step in steps:
        left += max(step, 0.0)
        right += max(-step, 0.0)
    if left > threshold * (left + right) and left > right:
        return 1
    if right > threshold * (left + right) and right > left:
        return -1
    return 0
