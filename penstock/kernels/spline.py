"""Cubic smoothing splines, compiled: the curve that is near to the points and bends little.

Minimises Σ w (y - f(x))² + λ ∫ f''² dx (Reinsch, Numer. Math. 10 (1967) 177; Green and Silverman, "Nonparametric
Regression and Generalized Linear Models", 1994, section 2.3), like ``scipy.interpolate.make_smoothing_spline``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit

__all__ = ["evaluate_splines", "smooth_splines"]

F8 = NDArray[np.float64]

EQUAL = 1e-7
"""Abscissae nearer than this part of their range count as equal: divided differences over less lose all digits."""


@jit
def smooth_splines(x: F8, values: F8, smoothing: float) -> tuple[F8, F8, F8]:
    """Smoothing splines through one or more quantities over the same abscissa.

    Values at equal abscissae (to a ten-millionth of the range) count as their mean with as many times the weight, so
    the spline exists always.

    Parameters
    ----------
    x
        Abscissae, ascending, (points,), at least one.
    values
        One row a quantity, (quantities, points).
    smoothing
        Weight λ of the curvature, in the cube of the unit of `x`; 0 interpolates.

    Returns
    -------
    knots, heights, curvatures
        Distinct abscissae, (knots,); value and second derivative there, (quantities, knots). The curvature vanishes
        at both ends: a natural spline.
    """
    knots, weights, means = _merge_equal(x, values)
    n = len(knots)
    heights, curvatures = means.copy(), np.zeros_like(means)
    if n < 3:
        return knots, heights, curvatures
    step = np.diff(knots)
    diagonal, above, above2 = _factor(step, weights, smoothing)
    for row in range(len(values)):
        slope = np.diff(means[row]) / step
        bend = curvatures[row, 1:-1]
        bend[:] = np.diff(slope)
        _solve(diagonal, above, above2, bend)
        jump = np.diff(curvatures[row]) / step
        heights[row, 0] -= smoothing / weights[0] * jump[0]
        heights[row, -1] += smoothing / weights[-1] * jump[-1]
        for i in range(1, n - 1):
            heights[row, i] -= smoothing / weights[i] * (jump[i] - jump[i - 1])
    return knots, heights, curvatures


@jit
def evaluate_splines(knots: F8, heights: F8, curvatures: F8, x: F8) -> F8:
    """Values of the splines at `x`, which ascends or descends and lies within the knots; (quantities, len(x))."""
    out = np.empty((len(heights), len(x)))
    last = max(len(knots) - 2, 0)
    i = 0
    for j in range(len(x)):
        while i < last and x[j] > knots[i + 1]:
            i += 1
        while i > 0 and x[j] < knots[i]:
            i -= 1
        if len(knots) == 1:
            out[:, j] = heights[:, 0]
            continue
        step = knots[i + 1] - knots[i]
        right = (x[j] - knots[i]) / step
        left = 1.0 - right
        for row in range(len(heights)):
            bend = (left**3 - left) * curvatures[row, i] + (right**3 - right) * curvatures[row, i + 1]
            out[row, j] = left * heights[row, i] + right * heights[row, i + 1] + bend * step * step / 6.0
    return out


@jit
def _merge_equal(x: F8, values: F8) -> tuple[F8, F8, F8]:
    """Distinct abscissae (the first of each), how many points each has, and their mean values."""
    n = len(x)
    apart = EQUAL * (x[-1] - x[0])
    knots, weights, means = np.empty(n), np.zeros(n), np.zeros((len(values), n))
    last = -1
    for i in range(n):
        if i == 0 or x[i] - knots[last] > apart:
            last += 1
            knots[last] = x[i]
        weights[last] += 1.0
        for row in range(len(values)):
            means[row, last] += (values[row, i] - means[row, last]) / weights[last]
    return knots[: last + 1].copy(), weights[: last + 1].copy(), means[:, : last + 1].copy()


@jit
def _factor(step: F8, weights: F8, smoothing: float) -> tuple[F8, F8, F8]:
    """L D Lᵀ of R + λ Qᵀ W⁻¹ Q: the diagonal D and the two bands of Lᵀ above it."""
    n = len(step) - 1
    diagonal, above, above2 = np.empty(n), np.zeros(n), np.zeros(n)
    for i in range(n):
        p, q = 1.0 / step[i], 1.0 / step[i + 1]
        centre = p + q
        main = (step[i] + step[i + 1]) / 3.0
        main += smoothing * (p * p / weights[i] + centre * centre / weights[i + 1] + q * q / weights[i + 2])
        next1 = next2 = 0.0
        if i + 1 < n:
            r = 1.0 / step[i + 2]
            next1 = step[i + 1] / 6.0 - smoothing * q * (centre / weights[i + 1] + (q + r) / weights[i + 2])
        if i + 2 < n:
            next2 = smoothing / (step[i + 1] * step[i + 2] * weights[i + 2])
        if i >= 1:
            main -= diagonal[i - 1] * above[i - 1] ** 2
            next1 -= diagonal[i - 1] * above[i - 1] * above2[i - 1]
        if i >= 2:
            main -= diagonal[i - 2] * above2[i - 2] ** 2
        diagonal[i], above[i], above2[i] = main, next1 / main, next2 / main
    return diagonal, above, above2


@jit
def _solve(diagonal: F8, above: F8, above2: F8, right: F8) -> None:
    """Solve with the factors of `_factor`, in place of the right-hand side."""
    n = len(right)
    for i in range(1, n):
        right[i] -= above[i - 1] * right[i - 1]
        if i >= 2:
            right[i] -= above2[i - 2] * right[i - 2]
    for i in range(n - 1, -1, -1):
        right[i] /= diagonal[i]
        if i + 1 < n:
            right[i] -= above[i] * right[i + 1]
        if i + 2 < n:
            right[i] -= above2[i] * right[i + 2]
