"""Circles in the pad plane: a fit without bias on short arcs, and the area that two circles share."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit

__all__ = ["fit_circle", "shared_area"]

F8 = NDArray[np.float64]

NEWTON_STEPS = 50
"""More than ever needed: the iteration starts at 0 and converges to the wanted root monotonically and quadratically."""


@jit
def fit_circle(x: F8, y: F8) -> tuple[float, float, float]:
    """Centre and radius of the circle nearest to the points; three NaN where they lie on a line or are too few.

    The hyper-accurate algebraic fit, free of the essential bias that draws Kåsa's fit of short arcs to small radii
    (Al-Sharadqah and Chernov, Electron. J. Statist. 3 (2009) 886, section 7; Newton's method on the characteristic
    polynomial as in Chernov, "Circular and Linear Regression", 2010, section 5.7).

    Parameters
    ----------
    x, y
        Points in one unit of length, (points,).

    Returns
    -------
    center_x, center_y, radius
        In the same unit.
    """
    n = len(x)
    if n < 3:
        return math.nan, math.nan, math.nan
    mean_x, mean_y = float(np.mean(x)), float(np.mean(y))
    mxx = myy = mxy = mxz = myz = mzz = 0.0
    for i in range(n):
        u, v = x[i] - mean_x, y[i] - mean_y
        w = u * u + v * v
        mxx += u * u
        myy += v * v
        mxy += u * v
        mxz += u * w
        myz += v * w
        mzz += w * w
    mxx, myy, mxy, mxz, myz, mzz = mxx / n, myy / n, mxy / n, mxz / n, myz / n, mzz / n
    mz = mxx + myy
    determinant = mxx * myy - mxy * mxy
    variance = mzz - mz * mz
    a2 = 4.0 * determinant - 3.0 * mz * mz - mzz
    a1 = variance * mz + 4.0 * determinant * mz - mxz * mxz - myz * myz
    a0 = mxz * (mxz * myy - myz * mxy) + myz * (myz * mxx - mxz * mxy) - variance * determinant
    root = _smallest_root(a0, a1, a2)
    scale = root * root - root * mz + determinant
    if abs(scale) <= 1e-12 * mz * mz:
        return math.nan, math.nan, math.nan
    u = (mxz * (myy - root) - myz * mxy) / scale / 2.0
    v = (myz * (mxx - root) - mxz * mxy) / scale / 2.0
    return u + mean_x, v + mean_y, math.sqrt(u * u + v * v + mz - 2.0 * root)


@jit
def _smallest_root(a0: float, a1: float, a2: float) -> float:
    """Root nearest to 0 of a0 + a1 t + a2 t² + 4 t⁴, by Newton's method from 0."""
    root, value = 0.0, a0
    for _ in range(NEWTON_STEPS):
        slope = a1 + root * (2.0 * a2 + 16.0 * root * root)
        if slope == 0.0:
            break
        following = root - value / slope
        if following == root or not math.isfinite(following):
            break
        value_there = a0 + following * (a1 + following * (a2 + 4.0 * following * following))
        if abs(value_there) >= abs(value):
            break
        root, value = following, value_there
    return root


@jit
def shared_area(distance: float, radius_a: float, radius_b: float) -> float:
    """Area that two circles share whose centres lie `distance` apart."""
    if distance >= radius_a + radius_b:
        return 0.0
    smaller, greater = min(radius_a, radius_b), max(radius_a, radius_b)
    if distance <= greater - smaller:
        return math.pi * smaller * smaller
    # Two circular segments, each a sector less a triangle.
    to_chord = (distance * distance + greater * greater - smaller * smaller) / (2.0 * distance)
    beyond = distance - to_chord
    half_chord = math.sqrt(max(greater * greater - to_chord * to_chord, 0.0))
    sector = greater * greater * math.atan2(half_chord, to_chord) + smaller * smaller * math.atan2(half_chord, beyond)
    return sector - distance * half_chord
