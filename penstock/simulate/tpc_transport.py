"""The flight of ions through gas, magnetic and electric field: compiled Runge-Kutta steps in path length."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit

__all__ = ["ENDS", "End", "follow_random_tracks", "follow_tracks", "most_steps"]

End = Literal["stopped", "zedge", "redge", "maxpath"]
ENDS: tuple[End, ...] = ("stopped", "zedge", "redge", "maxpath")
"""How a track ends: at rest, at the window or micromegas, at the chamber's wall, or at the longest path."""

STOP_MEV = 1e-3
MEV_PER_T_MM = 0.299792458
FRACTION_PER_STEP = 0.1
SHORTEST_STEP_MM = 0.02
EXTRA_POINTS = 400
"""Room for the shorter steps near the end of the range."""
HIGHLAND_MEV, HIGHLAND_LOG = 13.6, 0.038
USUAL_PATH_MM = 500.0
"""The logarithm of Highland's formula is that of this path, so that it does not depend on the steps."""


@jit
def _derivative(
    state: NDArray[np.float64], slope: NDArray[np.float64], ion: tuple[float, float], fields: tuple[float, float], loss: NDArray[np.float64]
) -> None:
    """d(x, y, z, ux, uy, uz, T)/ds, fields along -z: the Lorentz force in units of the momentum, and the stopping power."""
    charge, mass = ion
    field_mev_mm = fields[1] * 1e-9
    ke = max(state[6], 1e-4)
    momentum = np.sqrt(ke * (ke + 2.0 * mass))
    beta = momentum / (ke + mass)
    place = min(max((np.log10(ke) + 4.0) / 7.0 * (loss.size - 1), 0.0), loss.size - 1.001)
    low = int(place)
    stopping = loss[low] + (place - low) * (loss[low + 1] - loss[low])
    ux, uy, uz = state[3], state[4], state[5]
    bend = charge * MEV_PER_T_MM * fields[0] / momentum
    push = charge * field_mev_mm / (beta * momentum)
    slope[0], slope[1], slope[2] = ux, uy, uz
    slope[3] = -bend * uy + push * uz * ux
    slope[4] = bend * ux + push * uz * uy
    slope[5] = push * (uz * uz - 1.0)
    slope[6] = -stopping - charge * field_mev_mm * uz


@jit
def _advance(
    state: NDArray[np.float64],
    slopes: NDArray[np.float64],
    step: float,
    ion: tuple[float, float],
    fields: tuple[float, float],
    loss: NDArray[np.float64],
) -> None:
    """One step of the classical Runge-Kutta method, in place; ``slopes[0]`` holds the derivative at its start."""
    for stage in range(1, 4):
        reach = step if stage == 3 else 0.5 * step
        _derivative(state + reach * slopes[stage - 1], slopes[stage], ion, fields, loss)
    state += step / 6.0 * (slopes[0] + 2.0 * slopes[1] + 2.0 * slopes[2] + slopes[3])
    state[3:6] /= np.sqrt(state[3] ** 2 + state[4] ** 2 + state[5] ** 2)


@jit
def _scatter(state: NDArray[np.float64], sigma: float, deviates: NDArray[np.float64]) -> None:
    """Turn the direction by two angles at right angles to it, of standard deviation `sigma` each."""
    ux, uy, uz = state[3], state[4], state[5]
    across = np.sqrt(ux * ux + uy * uy)
    if across < 1e-9:
        ax, ay = 1.0, 0.0
    else:
        ax, ay = -uy / across, ux / across
    bx, by, bz = -uz * ay, uz * ax, ux * ay - uy * ax
    state[3] += sigma * (deviates[0] * ax + deviates[1] * bx)
    state[4] += sigma * (deviates[0] * ay + deviates[1] * by)
    state[5] += sigma * deviates[1] * bz
    state[3:6] /= np.sqrt(state[3] ** 2 + state[4] ** 2 + state[5] ** 2)


@jit
def _highland(ke: float, charge: float, mass: float, step: float, radiation_length: float) -> float:
    """Standard deviation of the scattering angle in a plane (Highland; Lynch and Dahl, NIM B 58 (1991) 6)."""
    ke = max(ke, STOP_MEV)
    energy = ke + mass
    beta_p = ke * (ke + 2.0 * mass) / energy
    beta2 = beta_p / energy
    log_factor = 1.0 + HIGHLAND_LOG * np.log(USUAL_PATH_MM * charge**2 / (radiation_length * beta2))
    return float(HIGHLAND_MEV * charge / beta_p * np.sqrt(step / radiation_length) * log_factor)


def most_steps(steps: tuple[float, float]) -> int:
    """Greatest number of points of a track, for the longest step and path."""
    return int(steps[1] / steps[0]) + EXTRA_POINTS


@jit
def follow_tracks(
    start: NDArray[np.float64],
    charge: NDArray[np.float64],
    mass_mev: NDArray[np.float64],
    loss_mev_per_mm: NDArray[np.float64],
    fields: tuple[float, float],
    bounds: tuple[float, float],
    steps: tuple[float, float],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Places and energies along tracks that neither scatter nor straggle, up to where each ends.

    Fourth-order Runge-Kutta in path length; a step takes at most a tenth of the energy that is left. The last point is
    the first one at rest or outside.

    Parameters
    ----------
    start
        (tracks, 7): x, y, z in mm, direction (unit vector), kinetic energy in MeV.
    charge, mass_mev
        (tracks,): charge number, mass in MeV.
    loss_mev_per_mm
        (tracks, energies): energy loss, on the grid of `penstock.simulate.tpc_ions.StoppingTable`.
    fields
        Magnetic field in T and electric field in V/m, both along -z.
    bounds
        Length and radius of the chamber in mm.
    steps
        Longest step and longest path in mm.

    Returns
    -------
    points
        (tracks, points, 5): x, y, z in mm, kinetic energy in MeV, path in mm.
    n_points
        (tracks,): points of each track.
    ends
        (tracks,): how each ended, index into `ENDS`.
    """
    still = np.zeros((start.shape[0], 0, 3))
    return follow_random_tracks(start, charge, mass_mev, loss_mev_per_mm, fields, bounds, steps, still, np.inf, np.zeros(start.shape[0]))


@jit
def follow_random_tracks(
    start: NDArray[np.float64],
    charge: NDArray[np.float64],
    mass_mev: NDArray[np.float64],
    loss_mev_per_mm: NDArray[np.float64],
    fields: tuple[float, float],
    bounds: tuple[float, float],
    steps: tuple[float, float],
    deviates: NDArray[np.float64],
    radiation_length_mm: float,
    straggling_mev2_per_mm: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """`follow_tracks` with multiple scattering and straggling at each step.

    Parameters
    ----------
    start, charge, mass_mev, loss_mev_per_mm, fields, bounds, steps
        As there.
    deviates
        (tracks, `most_steps`, 3): standard normal deviates, two for the angles and one for the energy; (tracks, 0, 3) for none.
    radiation_length_mm
        Radiation length of the gas; infinite for no scattering.
    straggling_mev2_per_mm
        (tracks,): Bohr's variance of the energy loss; 0 for no straggling.

    Returns
    -------
    points, n_points, ends
        As there.
    """
    step_max, path_max = steps
    capacity = int(path_max / step_max) + EXTRA_POINTS
    points = np.zeros((start.shape[0], capacity, 5))
    n_points = np.zeros(start.shape[0], dtype=np.int64)
    ends = np.full(start.shape[0], 3, dtype=np.int64)
    slopes = np.zeros((4, 7))
    for track in range(start.shape[0]):
        loss, ion = loss_mev_per_mm[track], (charge[track], mass_mev[track])
        state = start[track].copy()
        path = 0.0
        for count in range(capacity):
            points[track, count, :3] = state[:3]
            points[track, count, 3] = max(state[6], 0.0)
            points[track, count, 4] = path
            n_points[track] = count + 1
            if state[6] <= STOP_MEV:
                ends[track] = 0
            elif state[2] < 0.0 or state[2] > bounds[0]:
                ends[track] = 1
            elif state[0] ** 2 + state[1] ** 2 > bounds[1] ** 2:
                ends[track] = 2
            if ends[track] != 3 or path >= path_max:
                break
            _derivative(state, slopes[0], ion, fields, loss)
            step = min(step_max, path_max - path)
            if slopes[0, 6] < 0.0:
                step = min(step, max(-FRACTION_PER_STEP * state[6] / slopes[0, 6], SHORTEST_STEP_MM))
            _advance(state, slopes, step, ion, fields, loss)
            if deviates.shape[1] > 0:
                if radiation_length_mm < np.inf:
                    _scatter(state, _highland(state[6], ion[0], ion[1], step, radiation_length_mm), deviates[track, count])
                state[6] += np.sqrt(straggling_mev2_per_mm[track] * step) * deviates[track, count, 2]
            path += step
    return points, n_points, ends
