"""The fit of a track to its points: Levenberg-Marquardt steps with weights that follow the track, within bounds."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.tpc.fit_errors import find_mixed, weigh_points
from penstock.tpc.fit_normal import Task, bounded, equations, free_parameters, solve, squares
from penstock.tpc.fit_places import ALONG, BRHO, N_PARAMETERS, PLACE_COLUMNS, POLAR, find_places
from penstock.tpc.fit_quality import ITERATIONS, RESULT_COLUMNS, describe
from penstock.tpc.fit_scatter import find_kinks, known_end
from penstock.tpc.mesh import interpolate_track
from penstock.tpc.nuclei import MEV_PER_TM
from penstock.tpc.schemas import MESH_SAMPLES

__all__ = ["fit_clusters"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

FIRST_DAMPING, LEAST_DAMPING, GREATEST_DAMPING = 1e-3, 1e-7, 1e8
SMALL_GAIN = 1e-3
"""A step that lowers the sum of squares by less ends the fit: it moves no parameter by more than 3 % of its error."""
SURE_GAIN = 0.1
"""Smaller steps are taken unseen: directions across the track turn with it, which the derivatives leave out."""
FOLLOWING_STEPS = 12
"""Steps in which the weights follow the track; then they stay, so that the fit ends."""
SORTING_STEPS = 3
"""Steps in which points are sorted along the track anew."""
SPARE_SAMPLES = 10


@jit
def fit_clusters(points: F8, charge: F8, side: F8, spans: I8, starts: F8, task: Task) -> F8:
    """Fit the track of one particle to each of several clusters.

    Parameters
    ----------
    points, charge, side
        Points of all clusters in mm, (points, 3), their charges in ADC·bucket, and the sides of their pads in mm.
    spans
        Points ``spans[i, 0]:spans[i, 1]`` belong to cluster i, (clusters, 2).
    starts
        First guess of each track: vertex in mm, rigidity in T·m, polar and azimuthal angle in rad, (clusters, 6).
    task
        Mesh, errors, randomness, bounds.

    Returns
    -------
    results
        (clusters, `penstock.tpc.fit_quality.RESULT_COLUMNS`).
    """
    results = np.empty((len(starts), RESULT_COLUMNS))
    for i in range(len(starts)):
        first, stop = spans[i]
        _fit_one(points[first:stop], charge[first:stop], side[first:stop], starts[i].copy(), task, results[i])
    return results


@jit
def _follow(points: F8, delay: F8, start: F8, count: int, task: Task, hints: F8, places: F8) -> tuple[F8, float]:
    """Fill the places of the points on the track of some parameters.

    Returns the first samples of the track, and the path from sample to sample.
    """
    unit = task.medium.charge * MEV_PER_TM
    momentum = start[BRHO] * unit
    energy = math.hypot(momentum, task.medium.mass_mev)
    ke = momentum * momentum / (energy + task.medium.mass_mev)
    track, by_ke, by_polar, length = interpolate_track(task.samples[:, :, :count], task.lengths, task.axes, ke, start[POLAR])
    by_ke *= momentum * unit / energy
    find_places(points, delay, track, by_ke, by_polar, start, hints, places)
    return track, length / (MESH_SAMPLES - 1)


@jit
def _gain(charge: F8, places: F8, track: F8) -> float:
    """Charge of the points over the energy that the particle lost along them, ADC·bucket/MeV."""
    low, high = len(track) - 1.0, 0.0
    for i in range(len(charge)):
        low, high = min(low, places[i, ALONG]), max(high, places[i, ALONG])
    last = min(int(high) + 1, len(track) - 1)
    return float(np.sum(charge) / max(track[int(low), 3] - track[last, 3], 1e-3))


@jit
def _fit_one(points: F8, charge: F8, side: F8, start: F8, task: Task, result: F8) -> None:
    """Fit one track and fill its row of the results.

    Each step solves the normal equations with the weights at the place where it begins, and is taken if it lowers the
    sum of squares under the same weights; else it is shortened by damping. Where the track scatters, the sum says
    nothing without its kinks; there steps are halved when they do not get smaller.
    """
    n = len(points)
    delay, bulge, weights, mixed = np.zeros(n), np.zeros(n), np.zeros((n, 2)), np.zeros(n, np.bool_)
    places, trial_places, hints = np.empty((n, PLACE_COLUMNS)), np.empty((n, PLACE_COLUMNS)), np.full(n, -1.0)
    random = task.medium.scattering or task.medium.straggling
    start = bounded(start, task.limits)
    track, mm_per_sample = _follow(points, delay, start, MESH_SAMPLES, task, hints, places)
    damping, caution, before, steps = FIRST_DAMPING, 1.0, math.inf, 0
    while True:
        if steps < SORTING_STEPS:
            mixed = find_mixed(places, charge, side, mm_per_sample)
        furthest = np.max(places[:, ALONG])
        end = known_end(track, mm_per_sample, task.medium) if random else MESH_SAMPLES - 1.0
        if steps < FOLLOWING_STEPS:
            gain = _gain(charge, places, track)
            weigh_points(points, charge, side, places, mixed, gain, end, task.conditions, task.delays, delay, bulge, weights)
        kinks = find_kinks(track, mm_per_sample, min(furthest, end), task.medium)
        normal = equations(places, bulge, weights, track, start, mm_per_sample, kinks, task.limits)
        matrix, right = normal.matrix[-N_PARAMETERS:, -N_PARAMETERS:], normal.right[-N_PARAMETERS:]
        free = free_parameters(start, right, task.limits)
        sum_before = squares(places, bulge, weights, start, task.limits)
        taken = converged = False
        while not taken and damping < GREATEST_DAMPING and steps < task.limits.max_iterations:
            steps += 1
            step = solve(matrix, right, damping, free)
            gained = float(np.sum(step * right))
            if not math.isfinite(gained):
                damping *= 10.0
                continue
            if random and gained > 0.5 * before:
                caution = max(0.5 * caution, 0.1)
            trial, trial_hints = bounded(start + caution * step, task.limits), hints.copy()
            count = min(MESH_SAMPLES, int(furthest) + SPARE_SAMPLES)
            trial_track, trial_mm = _follow(points, delay, trial, count, task, trial_hints, trial_places)
            taken = random or gained < SURE_GAIN or squares(trial_places, bulge, weights, trial, task.limits) <= sum_before
            if not taken:
                damping *= 10.0
                continue
            converged = gained < SMALL_GAIN and damping <= FIRST_DAMPING
            start, hints, track, mm_per_sample, before = trial, trial_hints, trial_track, trial_mm, gained
            places, trial_places = trial_places, places
            damping = max(0.1 * damping, LEAST_DAMPING)
        if converged or not taken:
            break
    describe(start, places, bulge, weights, track, mm_per_sample, kinks, normal, free, task.limits, converged, result)
    result[ITERATIONS] = steps
