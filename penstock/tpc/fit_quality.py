"""What is reported of a fit: parameters, covariance, chi square, status."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.tpc.fit_normal import Equations, Limits, covariance
from penstock.tpc.fit_places import (
    ALONG,
    AZIMUTHAL,
    BRHO,
    BY_IN_PLANE,
    BY_OFF_PLANE,
    IN_PLANE,
    N_PARAMETERS,
    OFF_PLANE,
    POLAR,
    VX,
    VY,
    VZ,
)
from penstock.tpc.fit_scatter import PER_KINK, Kinks, kink_sizes, row_of_kinks

__all__ = [
    "COVARIANCES",
    "FEWEST_POINTS",
    "ITERATIONS",
    "RESULT_COLUMNS",
    "SIGMAS",
    "STATUS",
    "TOO_FEW",
    "describe",
]

F8 = NDArray[np.float64]

CONVERGED, NOT_CONVERGED, AT_BOUND, NO_COVARIANCE, LEFT_MESH, TOO_FEW = range(6)
"""Status of a fit; that of too few points is never written."""
FEWEST_POINTS = 12
"""Fewer points that belong to the track give no fit."""
STRETCH_MM = 30.0
"""Pieces of track whose mean distances enter chi square."""

SIGMAS = N_PARAMETERS
COVARIANCES = 2 * N_PARAMETERS
CHI2, USED, RMS, LENGTH, ITERATIONS, STATUS = (COVARIANCES + 15 + i for i in range(6))
RESULT_COLUMNS = STATUS + 1
"""Parameters, their errors, the 15 covariances of pairs, then reduced chi square, points, rms, length, steps, status."""


@jit
def describe(
    start: F8,
    places: F8,
    bulge: F8,
    weights: F8,
    track: F8,
    mm_per_sample: float,
    kinks: Kinks,
    normal: Equations,
    free: NDArray[np.bool_],
    limits: Limits,
    converged: bool,
    result: F8,
) -> None:
    """Fill the row of a fit.

    Parameters
    ----------
    start
        Parameters at the end of the fit.
    places, bulge, weights, track, mm_per_sample, kinks, normal
        As in `penstock.tpc.fit_normal.equations`.
    free
        What was fitted and lies at no bound.
    limits
        Bounds.
    converged
        Whether the steps came to an end.
    result
        Overwritten, (`RESULT_COLUMNS`,), but for the number of steps.
    """
    many = len(normal.right) - N_PARAMETERS
    result[:N_PARAMETERS] = start
    result[AZIMUTHAL] = start[AZIMUTHAL] % (2.0 * math.pi)
    inverse = covariance(normal.matrix[many:, many:], free)
    pair = COVARIANCES
    for a in range(N_PARAMETERS):
        result[SIGMAS + a] = math.sqrt(inverse[a, a]) if inverse[a, a] >= 0.0 else math.nan
        for b in range(a + 1, N_PARAMETERS):
            result[pair] = inverse[a, b]
            pair += 1
    result[CHI2] = _reduced_chi2(places, bulge, weights, track, start, mm_per_sample, kinks, normal, int(np.sum(free)))
    used, total, furthest = 0, 0.0, 0.0
    for i in range(len(places)):
        if weights[i, 0] > 0.0:
            used += 1
            total += places[i, IN_PLANE] ** 2 + places[i, OFF_PLANE] ** 2
            furthest = max(furthest, places[i, ALONG])
    result[USED] = used
    result[RMS] = math.sqrt(total / used) if used > 0 else math.nan
    result[LENGTH] = furthest * mm_per_sample
    result[STATUS] = _judge(start, result, limits, converged)


@jit
def _judge(start: F8, result: F8, limits: Limits, converged: bool) -> int:
    if result[USED] < FEWEST_POINTS:
        return TOO_FEW
    at_energy = start[BRHO] <= limits.least_brho or start[BRHO] >= limits.greatest_brho
    if at_energy or start[POLAR] <= limits.least_polar or start[POLAR] >= limits.greatest_polar:
        return LEFT_MESH
    if not np.all(np.isfinite(result[SIGMAS:COVARIANCES])):
        return NO_COVARIANCE
    if start[VZ] <= 0.0 or start[VZ] >= limits.detector_length:
        return AT_BOUND
    if limits.fit_xy and math.hypot(start[VX], start[VY]) >= limits.vertex_radius * (1.0 - 1e-9):
        return AT_BOUND
    return CONVERGED if converged else NOT_CONVERGED


@jit
def _reduced_chi2(
    places: F8,
    bulge: F8,
    weights: F8,
    track: F8,
    start: F8,
    mm_per_sample: float,
    kinks: Kinks,
    normal: Equations,
    fitted: int,
) -> float:
    """Chi square of the mean distances of stretches of track, whose errors are the model's, over degrees of freedom.

    Kinks enter with their most probable sizes and what these cost.
    """
    many = len(normal.right) - N_PARAMETERS
    sizes = kink_sizes(normal.matrix, normal.right, many)
    stretches = int(np.max(places[:, ALONG]) * mm_per_sample / STRETCH_MM) + 1
    sums = np.zeros((stretches, 2, 2))
    row = np.empty(many)
    for i in range(len(places)):
        stretch = int(places[i, ALONG] * mm_per_sample / STRETCH_MM)
        for direction in range(2):
            base = BY_IN_PLANE if direction == 0 else BY_OFF_PLANE
            distance = places[i, IN_PLANE] - bulge[i] if direction == 0 else places[i, OFF_PLANE]
            if many > 0 and weights[i, 0] > 0.0:
                filled = row_of_kinks(places[i], base, track, start, mm_per_sample, kinks, row)
                for a in range(filled):
                    distance += row[a] * sizes[a]
            sums[stretch, direction, 0] += weights[i, direction]
            sums[stretch, direction, 1] += weights[i, direction] * distance
    squares, terms = 0.0, 0
    for stretch in range(stretches):
        for direction in range(2):
            if sums[stretch, direction, 0] > 0.0:
                squares += sums[stretch, direction, 1] ** 2 / sums[stretch, direction, 0]
                terms += 1
    for a in range(many):
        squares += (sizes[a] / kinks.sigma[a // PER_KINK, a % PER_KINK]) ** 2
    return squares / max(terms - fitted, 1)
