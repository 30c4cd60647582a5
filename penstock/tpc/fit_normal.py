"""The normal equations of a fit: weighted distances, derivatives, the beam as a measurement of the vertex; their solution."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.tpc.fit_errors import Conditions
from penstock.tpc.fit_places import AZIMUTHAL, BRHO, BY_IN_PLANE, BY_OFF_PLANE, IN_PLANE, N_PARAMETERS, OFF_PLANE, POLAR, VX, VY, VZ
from penstock.tpc.fit_scatter import PER_KINK, Kinks, Medium, add_kinks, eliminate, kink_sizes
from penstock.tpc.mesh import Axes

__all__ = ["Equations", "Limits", "Task", "bounded", "covariance", "equations", "free_parameters", "solve", "squares"]

F8 = NDArray[np.float64]
F4 = NDArray[np.float32]
Bools = NDArray[np.bool_]


class Limits(NamedTuple):
    """Bounds of the parameters, and what is fitted. Lengths in mm, rigidities in T·m, angles in rad."""

    beam_spread: float
    vertex_radius: float
    detector_length: float
    least_brho: float
    greatest_brho: float
    least_polar: float
    greatest_polar: float
    fit_xy: bool
    fit_azimuthal: bool
    max_iterations: int


class Task(NamedTuple):
    """What the fits of one particle have in common: mesh, errors, randomness, bounds."""

    samples: F4
    lengths: F8
    axes: Axes
    conditions: Conditions
    delays: F8
    medium: Medium
    limits: Limits


class Equations(NamedTuple):
    """Normal equations after the elimination of the kinks: kinks first, then the parameters; lower triangle."""

    matrix: F8
    right: F8


@jit
def equations(places: F8, bulge: F8, weights: F8, track: F8, start: F8, mm_per_sample: float, kinks: Kinks, limits: Limits) -> Equations:
    """Normal equations of a step.

    Parameters
    ----------
    places
        Of `penstock.tpc.fit_places.find_places`.
    bulge, weights
        Of `penstock.tpc.fit_errors.weigh_points`.
    track, start, mm_per_sample, kinks
        The track, its parameters, the path from sample to sample, and where it scatters.
    limits
        The beam, and what is fitted.
    """
    size = PER_KINK * len(kinks.places) + N_PARAMETERS
    matrix, right = np.zeros((size, size)), np.zeros(size)
    _add_parameters(places, bulge, weights, start, limits, matrix, right)
    add_kinks(places, bulge, weights, track, start, mm_per_sample, kinks, matrix, right)
    eliminate(matrix, right, size - N_PARAMETERS)
    return Equations(matrix, right)


@jit
def _add_parameters(places: F8, bulge: F8, weights: F8, start: F8, limits: Limits, matrix: F8, right: F8) -> None:
    """Fill the part of the normal equations that belongs to the parameters: the last rows and columns, lower triangle."""
    many = len(right) - N_PARAMETERS
    for i in range(len(places)):
        if weights[i, 0] == 0.0:
            continue
        for direction in range(2):
            base = BY_IN_PLANE if direction == 0 else BY_OFF_PLANE
            distance = places[i, IN_PLANE] - bulge[i] if direction == 0 else places[i, OFF_PLANE]
            for a in range(N_PARAMETERS):
                scaled = weights[i, direction] * places[i, base + a]
                right[many + a] -= scaled * distance
                for b in range(a + 1):
                    matrix[many + a, many + b] += scaled * places[i, base + b]
    if limits.fit_xy:
        for a in (VX, VY):
            matrix[many + a, many + a] += 1.0 / limits.beam_spread**2
            right[many + a] -= start[a] / limits.beam_spread**2


@jit
def squares(places: F8, bulge: F8, weights: F8, start: F8, limits: Limits) -> float:
    """Weighted sum of the squared distances, and of that of the vertex from the axis."""
    total = 0.0
    for i in range(len(places)):
        total += weights[i, 0] * (places[i, IN_PLANE] - bulge[i]) ** 2 + weights[i, 1] * places[i, OFF_PLANE] ** 2
    if limits.fit_xy:
        total += (start[VX] ** 2 + start[VY] ** 2) / limits.beam_spread**2
    return total


@jit
def solve(matrix: F8, right: F8, damping: float, free: Bools) -> F8:
    """Damped step of the free parameters from the lower triangle; NaN where the matrix is not positive definite."""
    damped = np.eye(N_PARAMETERS)
    wanted = np.zeros(N_PARAMETERS)
    for a in range(N_PARAMETERS):
        if free[a]:
            wanted[a] = right[a]
            for b in range(a + 1):
                if free[b]:
                    damped[a, b] = matrix[a, b] * (1.0 + damping) if a == b else matrix[a, b]
    for k in range(N_PARAMETERS):
        if not damped[k, k] > 0.0:
            return np.full(N_PARAMETERS, math.nan)
        lowered = eliminate(damped[k:, k:], wanted[k:], 1)
        if not math.isfinite(lowered):
            return np.full(N_PARAMETERS, math.nan)
    return kink_sizes(damped, wanted, N_PARAMETERS)


@jit
def covariance(matrix: F8, free: Bools) -> F8:
    """Inverse of the free part of the normal matrix; zeros for what is not fitted, NaN where there is none."""
    inverse = np.zeros((N_PARAMETERS, N_PARAMETERS))
    for a in range(N_PARAMETERS):
        unit = np.zeros(N_PARAMETERS)
        unit[a] = 1.0
        if free[a]:
            inverse[a] = solve(matrix, unit, 0.0, free)
    return inverse


@jit
def bounded(start: F8, limits: Limits) -> F8:
    """The nearest allowed parameters."""
    inside = start.copy()
    radius = math.hypot(inside[VX], inside[VY])
    if limits.fit_xy and radius > limits.vertex_radius:
        inside[VX] *= limits.vertex_radius / radius
        inside[VY] *= limits.vertex_radius / radius
    inside[VZ] = min(max(inside[VZ], 0.0), limits.detector_length)
    inside[BRHO] = min(max(inside[BRHO], limits.least_brho), limits.greatest_brho)
    inside[POLAR] = min(max(inside[POLAR], limits.least_polar), limits.greatest_polar)
    return inside


@jit
def free_parameters(start: F8, right: F8, limits: Limits) -> Bools:
    """Which parameters may move: those that are fitted and do not push against a bound."""
    free = np.ones(N_PARAMETERS, np.bool_)
    free[VX] = free[VY] = limits.fit_xy
    free[AZIMUTHAL] = limits.fit_azimuthal
    bounds = (
        (VZ, 0.0, limits.detector_length),
        (BRHO, limits.least_brho, limits.greatest_brho),
        (POLAR, limits.least_polar, limits.greatest_polar),
    )
    for which, least, greatest in bounds:
        if (start[which] <= least and right[which] < 0.0) or (start[which] >= greatest and right[which] > 0.0):
            free[which] = False
    return free
