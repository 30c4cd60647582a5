"""The way of an ion through gas, magnetic and electric field: compiled, in path length, with energy loss.

Fields lie along -z, as the AT-TPC group has them: positive ions turn counter-clockwise in (x, y) and are pushed to the
window. Detector walls do not matter here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.tpc.nuclei import Nucleus
from penstock.tpc.schemas import MESH_SAMPLES
from penstock.tpc.stopping import GRID_PER_DECADE, LOG10_FIRST_MEV, StoppingCurve

__all__ = ["REST_MEV_PER_U", "follow_ion", "sample_track"]

F8 = NDArray[np.float64]
Ion = tuple[float, float, float, float]
"""Charge number, mass in MeV, and the fields in MeV/(c mm) and MeV/mm, for one elementary charge."""

REST_MEV_PER_U = 1e-3
"""An ion slower than 1 keV/u counts as at rest: it moves by less than a millimetre then."""
TURN_PER_STEP = 0.2
"""Greatest angle of a step: with the phase as a variable of its own, the error is below 10⁻⁶ of the radius."""
LOSS_PER_STEP = 0.08
"""Greatest fraction of the energy that a step takes."""
COAST = 1.15
"""Within this factor of rest one last step ends the track."""
LN10 = math.log(10.0)
LEAST_DECAY = 3e-4
"""Above the energy at which the momentum falls by this fraction a radian, the spiral counts as regular."""
WHOLE_FRACTION = 0.6
"""Tracks with a range below this fraction of the longest path are followed to their end."""
SOFTNESS = 0.5


@jit
def _loss_at(ke: float, loss: F8) -> float:
    place = (math.log(ke) / LN10 - LOG10_FIRST_MEV) * GRID_PER_DECADE
    place = min(max(place, 0.0), loss.size - 1.001)
    low = int(place)
    return float(loss[low] + (place - low) * (loss[low + 1] - loss[low]))


@jit
def _slopes(state: F8, slope: F8, ion: Ion, loss: F8) -> None:
    """d(x, y, z, phase, uz, T)/ds; the phase is the azimuth of the motion."""
    charge, mass, magnetic, electric = ion
    ke = max(state[5], 1e-5)
    momentum = math.sqrt(ke * (ke + 2.0 * mass))
    uz = min(max(state[4], -1.0), 1.0)
    across = math.sqrt(1.0 - uz * uz)
    force = charge * electric
    slope[0] = across * math.cos(state[3])
    slope[1] = across * math.sin(state[3])
    slope[2] = uz
    slope[3] = charge * magnetic / momentum
    slope[4] = force * (uz * uz - 1.0) * (ke + mass) / (momentum * momentum)
    slope[5] = -_loss_at(ke, loss) - force * uz


@jit
def _step_length(state: F8, slope: F8, ion: Ion) -> float:
    """Shortest of the steps that turning, energy and electric field allow."""
    ke = state[5]
    step: float = TURN_PER_STEP / slope[3]
    if slope[5] != 0.0:
        step = min(step, LOSS_PER_STEP * ke / abs(slope[5]))
    push = ion[0] * ion[3]
    if push > 0.0:
        step = min(step, TURN_PER_STEP * ke / push)
    return step


@jit
def _track(start: F8, ion: Ion, loss: F8, rest_mev: float, path_max: float) -> tuple[F8, F8]:
    """Steps of a track until rest or until `path_max`: states (steps, 7), with path; slopes (steps, 6)."""
    states, slopes = np.empty((256, 7)), np.empty((256, 6))
    state, trial, k = start.copy(), np.empty(6), np.empty((4, 6))
    path, count = 0.0, 0
    while True:
        if count == len(states):
            longer = np.empty((2 * count, 7))
            longer[:count] = states
            states = longer
            steeper = np.empty((2 * count, 6))
            steeper[:count] = slopes
            slopes = steeper
        _slopes(state, k[0], ion, loss)
        states[count, :6], states[count, 6], slopes[count] = state, path, k[0]
        count += 1
        if path >= path_max or state[5] <= rest_mev:
            return states[:count], slopes[:count]
        step = _step_length(state, k[0], ion)
        last = state[5] <= COAST * rest_mev and k[0, 5] < 0.0
        if last:
            step = (state[5] - rest_mev) / -k[0, 5]
        step = min(step, path_max - path)
        for stage in range(1, 4):
            reach = step if stage == 3 else 0.5 * step
            for i in range(6):
                trial[i] = state[i] + reach * k[stage - 1, i]
            _slopes(trial, k[stage], ion, loss)
        for i in range(6):
            state[i] += step / 6.0 * (k[0, i] + 2.0 * k[1, i] + 2.0 * k[2, i] + k[3, i])
        if last:
            state[5] = min(state[5], rest_mev)
        path += step
        if path_max - path < 1e-9 * path_max:
            path = path_max


@jit
def _followed_length(free_range: float, whole: float, true_range: float) -> float:
    """Path along which a track is sampled: all of it up to the range `whole`, then smoothly less, at most 1.5 × `whole`.

    A sharp limit would put a kink into the mesh. `free_range` is the range without fields, `true_range` that with them.
    """
    if free_range <= whole:
        return true_range
    beyond = (free_range / whole - 1.0) / SOFTNESS
    length = whole * (1.0 + SOFTNESS * math.tanh(beyond))
    fade = min(max((free_range / whole - 1.25) / 1.25, 0.0), 1.0)
    share = 1.0 - fade * fade * fade * (10.0 + fade * (6.0 * fade - 15.0))
    if share > 0.0:
        length *= 1.0 + share * (true_range / free_range - 1.0)
    return min(length, true_range)


@jit
def _hermite(u: float, step: float, low: float, high: float, slope_low: float, slope_high: float) -> float:
    v = 1.0 - u
    return v * v * ((1.0 + 2.0 * u) * low + u * step * slope_low) + u * u * ((3.0 - 2.0 * u) * high - v * step * slope_high)


@jit
def follow_ion(
    ke: float,
    polar: float,
    ion: Ion,
    tables: tuple[F8, F8],
    limits: tuple[float, float, float],
    samples: NDArray[np.float32],
) -> float:
    """Sample one track at equal steps of path, in the form of `penstock.tpc.schemas.TrackMesh`.

    Fourth-order Runge-Kutta steps, cubic between them. The circle of a sample is given by `spiral_arms`: its centre does not
    move, but for the electric field.

    Parameters
    ----------
    ke, polar
        Kinetic energy in MeV and angle to +z at the start; the start is the origin, the azimuth 0.
    ion
        Charge number, mass in MeV, magnetic field in MeV/(c mm), electric field in MeV/mm.
    tables
        On the grid of `StoppingCurve`: energy loss in MeV/mm, and `spiral_arms`.
    limits
        Range without fields in mm, kinetic energy in MeV at which the track ends, longest path in mm.
    samples
        float32 (samples, 6), overwritten: centre x and y, radius, phase, z, kinetic energy.

    Returns
    -------
    length
        Path from the start to the last sample, mm.
    """
    loss, arms = tables
    free_range, rest_mev, path_max = limits
    whole = WHOLE_FRACTION * path_max
    start = np.array([0.0, 0.0, 0.0, 0.0, math.cos(polar), ke])
    furthest = 2.0 * path_max if free_range < 2.5 * whole else _followed_length(free_range, whole, free_range)
    states, slopes = _track(start, ion, loss, rest_mev, furthest)
    end = states[-1, 6]
    length = min(_followed_length(free_range, whole, end), path_max)
    here, low, count = np.empty(6), 0, samples.shape[0]
    for place in range(count):
        path = end if place == count - 1 and length == end else length * place / (count - 1)
        while low < len(states) - 2 and states[low + 1, 6] < path:
            low += 1
        if len(states) == 1:
            here[:] = states[0, :6]
        else:
            step = states[low + 1, 6] - states[low, 6]
            u = min(max((path - states[low, 6]) / step, 0.0), 1.0)
            for i in range(6):
                here[i] = _hermite(u, step, states[low, i], states[low + 1, i], slopes[low, i], slopes[low + 1, i])
        _to_circle(here, loss, arms, rest_mev, samples[place])
    return length


@jit
def _to_circle(state: F8, loss: F8, arms: F8, rest_mev: float, sample: NDArray[np.float32]) -> None:
    """x, y, z, phase, uz, T as circle, z and T."""
    ke = max(state[5], rest_mev)
    place = (math.log(ke) / LN10 - LOG10_FIRST_MEV) * GRID_PER_DECADE
    low = int(min(max(place, 0.0), loss.size - 1.001))
    share = place - low
    radius = arms[0, low] + share * (arms[0, low + 1] - arms[0, low])
    radius *= math.sqrt(max(1.0 - state[4] * state[4], 0.0))
    phase = state[3] + arms[1, low] + share * (arms[1, low + 1] - arms[1, low])
    sample[0] = state[0] - radius * math.cos(phase)
    sample[1] = state[1] - radius * math.sin(phase)
    sample[2] = radius
    sample[3] = phase
    sample[4] = state[2]
    sample[5] = ke


@jit
def spiral_arms(ion: Ion, loss: F8) -> F8:
    """Where the ion stands, seen from the middle of the spiral on which it slows down across the magnetic field.

    Without electric field all tracks are pieces of one curve, r exp(i phase) integrated over the phase, with the radius
    of curvature r. The vector from its middle to the ion, in the frame of the motion, is a function of the energy alone:
    r/(i - k) where the momentum falls as exp(-k phase) with a small k, and the integral from there on for all lower
    energies.

    Returns
    -------
    arms
        float64 (2, energies): length in mm for a motion at right angles to the field, and angle to the motion in rad, on
        the grid of `StoppingCurve`.
    """
    charge, mass, magnetic, _ = ion
    bend = charge * magnetic
    arms = np.empty((2, loss.size))
    inner, phase, integrating = complex(0.0, 0.0), 0.0, False
    for place in range(loss.size - 1, -1, -1):
        ke = 10.0 ** (LOG10_FIRST_MEV + place / GRID_PER_DECADE)
        momentum = math.sqrt(ke * (ke + 2.0 * mass))
        decay = loss[place] * (ke + mass) / (momentum * bend)
        if not integrating:
            vector = momentum / bend / complex(-decay, 1.0)
            integrating = decay > LEAST_DECAY
            inner, phase = vector, 0.0
            arms[1, place] = math.atan2(vector.imag, vector.real)
        else:
            above = 10.0 ** (LOG10_FIRST_MEV + (place + 1) / GRID_PER_DECADE)
            inner, phase = _turn(inner, phase, above, ke, mass, bend, loss)
            vector = inner * complex(math.cos(phase), -math.sin(phase))
            change = math.atan2(vector.imag, vector.real) - arms[1, place + 1]
            arms[1, place] = arms[1, place + 1] + change - 2.0 * math.pi * round(change / (2.0 * math.pi))
        arms[0, place] = abs(vector)
    return arms


@jit
def _turn(inner: complex, phase: float, high: float, low: float, mass: float, bend: float, loss: F8) -> tuple[complex, float]:
    """Go on with ∫ r exp(i phase) d(phase) and with the phase while the energy falls from `high` to `low`: Simpson's rule."""
    steps = 2 + int((high - low) * bend / (_loss_at(low, loss) * math.sqrt(low * (low + 2.0 * mass))) / TURN_PER_STEP)
    width = (high - low) / steps
    for step in range(steps):
        rates, radii = np.empty(5), np.empty(5)
        for i in range(5):
            ke = high - (step + 0.25 * i) * width
            momentum = math.sqrt(ke * (ke + 2.0 * mass))
            rates[i] = bend / (_loss_at(ke, loss) * momentum)
            radii[i] = momentum / bend
        middle = phase + width / 12.0 * (rates[0] + 4.0 * rates[1] + rates[2])
        end = middle + width / 12.0 * (rates[2] + 4.0 * rates[3] + rates[4])
        total = complex(0.0, 0.0)
        for i, angle, weight in ((0, phase, 1.0), (2, middle, 4.0), (4, end, 1.0)):
            total += weight * rates[i] * radii[i] * complex(math.cos(angle), math.sin(angle))
        inner += width / 6.0 * total
        phase = end
    return inner, phase


def sample_track(
    nucleus: Nucleus, curve: StoppingCurve, ke_mev: float, polar_rad: float, fields: tuple[float, float], path_max_mm: float
) -> tuple[F8, float]:
    """One track by direct integration, for tests and figures.

    Parameters
    ----------
    nucleus
        The ion, stripped of its electrons.
    curve
        Its energy loss in the gas.
    ke_mev, polar_rad
        Kinetic energy and angle to +z at the start.
    fields
        Magnetic field in T and electric field in V/m, along -z.
    path_max_mm
        Longest path.

    Returns
    -------
    track
        float64 (samples, 4): x, y, z in mm from the start, kinetic energy in MeV, at equal steps of path.
    length
        Path from the first to the last sample, mm.
    """
    circles = np.empty((MESH_SAMPLES, 6), dtype=np.float32)
    ion = ion_in_fields(nucleus, fields)
    limits = float(curve.path_to_rest(ke_mev)), REST_MEV_PER_U * nucleus.A, path_max_mm
    length = follow_ion(ke_mev, polar_rad, ion, (curve.mev_per_mm, spiral_arms(ion, curve.mev_per_mm)), limits, circles)
    return circles_to_track(circles), length


def ion_in_fields(nucleus: Nucleus, fields: tuple[float, float]) -> Ion:
    """Charge, mass and fields in the units of the integrator, from T and V/m."""
    return float(nucleus.Z), nucleus.mass_mev, 0.299792458 * fields[0], fields[1] * 1e-9


def circles_to_track(circles: NDArray[np.float32]) -> F8:
    """x, y, z in mm and kinetic energy in MeV, (..., 4), of samples as a mesh stores them, (..., 6)."""
    center_x, center_y, radius, phase, z, ke = np.moveaxis(circles.astype(np.float64), -1, 0)
    return np.stack([center_x + radius * np.cos(phase), center_y + radius * np.sin(phase), z, ke], axis=-1)
