"""What a track does at random: it scatters on the gas and its energy loss fluctuates. Marginalised, not fitted.

The track gets kinks in the middle of equal pieces, each with a change of the polar angle, of the azimuth and of the
energy that is known to be zero within its standard deviation. They enter the normal equations as parameters and are
eliminated, which is the same as a covariance of all distances (Woodbury), at a cost that grows with the points alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.tpc.fit_places import ALONG, AZIMUTHAL, BY_IN_PLANE, BY_OFF_PLANE, N_PARAMETERS, VX, VY, VZ

__all__ = ["PER_KINK", "Kinks", "Medium", "add_kinks", "eliminate", "find_kinks", "kink_sizes", "known_end", "row_of_kinks"]

F8 = NDArray[np.float64]

HIGHLAND_MEV, HIGHLAND_LOG = 13.6, 0.038
LEAST_LOG_FACTOR = 0.3
MM_PER_KINK, FEWEST_KINKS, MOST_KINKS = 30.0, 5, 16
PER_KINK = 3
"""Polar angle, azimuth, energy."""
NEVER = 1e-12
"""Standard deviation of what is switched off."""
UNKNOWN_ENERGY, UNKNOWN_ANGLE = 0.1, 0.2
"""Behind the place where its energy (relative) or angle (rad) is known no better, a track is not followed."""

AT, X, Y, COTANGENT, SINE, LOSS, TURN, MOMENT_X, MOMENT_Y = range(9)
"""Columns of kinks: sample of the track, place in mm in the frame of the mesh, cotangent and sine of the angle to +z,
energy loss in MeV/mm, and the sums up to here of `_turns`."""


class Medium(NamedTuple):
    """Particle and gas: MeV, charge number, mm, MeV²/mm."""

    mass_mev: float
    charge: float
    radiation_length_mm: float
    straggling_mev2_per_mm: float
    scattering: bool
    straggling: bool


class Kinks(NamedTuple):
    """Where a track may bend at random, and by how much.

    ``places`` (kinks, 9), one row a kink, in the columns above; ``sigma`` (kinks, 3): standard deviations of the changes of
    polar angle and azimuth in rad, and of energy in MeV; ``turns`` (samples, 4), of `_turns`.
    """

    places: F8
    sigma: F8
    turns: F8


@jit
def find_kinks(track: F8, mm_per_sample: float, last: float, medium: Medium) -> Kinks:
    """Kinks of a track up to its last point; none where it does nothing at random.

    Highland's formula (Lynch and Dahl, NIM B 58 (1991) 6) holds for the whole path, and its square is shared evenly:
    the logarithm does not know how the path is cut.

    Parameters
    ----------
    track
        (samples, 4), as in `penstock.tpc.fit_places`.
    mm_per_sample
        Path from sample to sample.
    last
        Place of the last point.
    medium
        Particle and gas.
    """
    if not (medium.scattering or medium.straggling):
        return Kinks(np.empty((0, 9)), np.empty((0, PER_KINK)), np.empty((0, 4)))
    turns = _turns(track, mm_per_sample, medium.mass_mev)
    path = last * mm_per_sample
    count = min(max(int(path / MM_PER_KINK), FEWEST_KINKS), MOST_KINKS)
    kinks, sigma = np.empty((count, 9)), np.full((count, PER_KINK), NEVER)
    for k in range(count):
        at = (k + 0.5) * last / count
        low = min(int(at), len(track) - 2)
        f = at - low
        dx, dy, dz = track[low + 1, 0] - track[low, 0], track[low + 1, 1] - track[low, 1], track[low + 1, 2] - track[low, 2]
        sine = max(math.hypot(dx, dy) / math.sqrt(dx * dx + dy * dy + dz * dz), 1e-3)
        kinks[k, AT] = at
        kinks[k, X], kinks[k, Y] = track[low, 0] + f * dx, track[low, 1] + f * dy
        kinks[k, SINE], kinks[k, COTANGENT] = sine, dz / math.hypot(dx, dy)
        for j in range(4):
            kinks[k, LOSS + j] = turns[low, j] + f * (turns[low + 1, j] - turns[low, j])
        ke = max(track[low, 3] + f * (track[low + 1, 3] - track[low, 3]), 1e-3)
        if medium.scattering:
            sigma[k, 0] = _highland(ke, path, path / count, medium)
            sigma[k, 1] = sigma[k, 0] / sine
        if medium.straggling:
            sigma[k, 2] = math.sqrt(medium.straggling_mev2_per_mm * path / count)
    return Kinks(kinks, sigma, turns)


@jit
def known_end(track: F8, mm_per_sample: float, medium: Medium) -> float:
    """Place up to which a track that starts as given can be followed in spite of what it does at random.

    Changes of energy grow along the track as the energy loss does.
    """
    energy2 = angle2 = 0.0
    before = 0.0
    for j in range(1, len(track)):
        ke = max(track[j, 3], 1e-3)
        loss = max((track[j - 1, 3] - track[j, 3]) / mm_per_sample, 1e-6)
        if medium.straggling:
            growth = (loss / before) ** 2 if before > 0.0 else 1.0
            energy2 = energy2 * growth + medium.straggling_mev2_per_mm * mm_per_sample
        if medium.scattering:
            angle2 += _highland(ke, j * mm_per_sample, mm_per_sample, medium) ** 2
        if energy2 > (UNKNOWN_ENERGY * ke) ** 2 or angle2 > UNKNOWN_ANGLE**2:
            return float(j)
        before = loss
    return len(track) - 1.0


@jit
def _highland(ke: float, path: float, piece: float, medium: Medium) -> float:
    """Standard deviation of the angle in a plane after a piece of the path."""
    energy = ke + medium.mass_mev
    beta_p = ke * (ke + 2.0 * medium.mass_mev) / energy
    thickness = path / medium.radiation_length_mm
    beta2 = beta_p / energy
    log_factor = 1.0 + HIGHLAND_LOG * math.log(thickness * medium.charge**2 / beta2)
    scale = HIGHLAND_MEV * medium.charge / beta_p * math.sqrt(piece / medium.radiation_length_mm)
    return float(scale * max(log_factor, LEAST_LOG_FACTOR))


@jit
def _turns(track: F8, mm_per_sample: float, mass: float) -> F8:
    """Energy loss S, and the sums over the path of w, w x and w y, w the turning by a change of energy over S.

    A change of energy grows along the track as S does; the curvature goes with the inverse rigidity.
    """
    count = len(track)
    turns = np.zeros((count, 4))
    before = 0.0
    for j in range(count):
        low, high = max(j - 1, 0), min(j + 1, count - 1)
        turns[j, 0] = max((track[low, 3] - track[high, 3]) / ((high - low) * mm_per_sample), 1e-6)
    for j in range(1, count - 1):
        ax, ay = track[j, 0] - track[j - 1, 0], track[j, 1] - track[j - 1, 1]
        bx, by = track[j + 1, 0] - track[j, 0], track[j + 1, 1] - track[j, 1]
        turning = math.atan2(ax * by - ay * bx, ax * bx + ay * by) / mm_per_sample
        ke = max(track[j, 3], 1e-3)
        w = -turning * (ke + mass) / (ke * (ke + 2.0 * mass)) * turns[j, 0]
        if j == 1:
            before = w
        step = 0.5 * (before + w) * mm_per_sample
        turns[j, 1] = turns[j - 1, 1] + step
        turns[j, 2] = turns[j - 1, 2] + step * 0.5 * (track[j - 1, 0] + track[j, 0])
        turns[j, 3] = turns[j - 1, 3] + step * 0.5 * (track[j - 1, 1] + track[j, 1])
        before = w
    turns[count - 1, 1:] = turns[count - 2, 1:]
    return turns


@jit
def row_of_kinks(place: F8, base: int, track: F8, start: F8, mm_per_sample: float, kinks: Kinks, row: F8) -> int:
    """Derivatives of one distance by the kinks before its place; returns how many entries they fill.

    Behind a kink the track turns about the kink by the change of azimuth. A change of the polar angle stretches it in the
    plane and tilts it, but turns it by nothing: the turning goes with the path.
    """
    cosine, sine = math.cos(start[AZIMUTHAL]), math.sin(start[AZIMUTHAL])
    nx, ny = -place[base + VX], -place[base + VY]
    nx, ny, nz = cosine * nx + sine * ny, cosine * ny - sine * nx, -place[base + VZ]
    low = min(int(place[ALONG]), len(track) - 2)
    f = place[ALONG] - low
    x, y = track[low, 0] + f * (track[low + 1, 0] - track[low, 0]), track[low, 1] + f * (track[low + 1, 1] - track[low, 1])
    turn = kinks.turns[low, 1] + f * (kinks.turns[low + 1, 1] - kinks.turns[low, 1])
    mx = kinks.turns[low, 2] + f * (kinks.turns[low + 1, 2] - kinks.turns[low, 2])
    my = kinks.turns[low, 3] + f * (kinks.turns[low + 1, 3] - kinks.turns[low, 3])
    filled = 0
    for k in range(len(kinks.places)):
        if kinks.places[k, AT] >= place[ALONG]:
            break
        dx, dy = x - kinks.places[k, X], y - kinks.places[k, Y]
        path = (place[ALONG] - kinks.places[k, AT]) * mm_per_sample
        row[filled] = -(kinks.places[k, COTANGENT] * (nx * dx + ny * dy) - nz * kinks.places[k, SINE] * path)
        row[filled + 1] = nx * dy - ny * dx
        a, bx, by = turn - kinks.places[k, TURN], mx - kinks.places[k, MOMENT_X], my - kinks.places[k, MOMENT_Y]
        row[filled + 2] = (nx * (y * a - by) - ny * (x * a - bx)) / kinks.places[k, LOSS]
        filled += PER_KINK
    return filled


@jit
def add_kinks(
    places: F8,
    bulge: F8,
    weights: F8,
    track: F8,
    start: F8,
    mm_per_sample: float,
    kinks: Kinks,
    matrix: F8,
    right: F8,
) -> None:
    """Fill the part of the normal equations that has to do with kinks: the first rows and columns.

    Parameters
    ----------
    places, bulge, weights
        Distances with derivatives, their expectation in the plane, their weights.
    track, start, mm_per_sample
        The track, its parameters, and the path from sample to sample.
    kinks
        Of `find_kinks`.
    matrix, right
        Normal equations: kinks first, then the parameters; the lower triangle is filled.
    """
    many = PER_KINK * len(kinks.places)
    row = np.empty(many)
    for i in range(len(places)):
        if weights[i, 0] == 0.0:
            continue
        for direction in range(2):
            base = BY_IN_PLANE if direction == 0 else BY_OFF_PLANE
            distance = places[i, 1 + direction] - (bulge[i] if direction == 0 else 0.0)
            filled = row_of_kinks(places[i], base, track, start, mm_per_sample, kinks, row)
            for a in range(filled):
                scaled = weights[i, direction] * row[a]
                right[a] -= scaled * distance
                for b in range(a + 1):
                    matrix[a, b] += scaled * row[b]
                for b in range(N_PARAMETERS):
                    matrix[many + b, a] += scaled * places[i, base + b]
    for a in range(many):
        matrix[a, a] += 1.0 / kinks.sigma[a // PER_KINK, a % PER_KINK] ** 2


@jit
def eliminate(matrix: F8, right: F8, many: int) -> float:
    """Cholesky's elimination of the first unknowns, in place; returns by how much it lowers the sum of squares.

    The rest of the lower triangle and of the right side is then that of the other unknowns alone.
    """
    size = len(right)
    lowered = 0.0
    for k in range(many):
        root = math.sqrt(matrix[k, k])
        matrix[k, k] = root
        right[k] /= root
        lowered += right[k] * right[k]
        for i in range(k + 1, size):
            matrix[i, k] /= root
        for i in range(k + 1, size):
            right[i] -= matrix[i, k] * right[k]
            for j in range(k + 1, i + 1):
                matrix[i, j] -= matrix[i, k] * matrix[j, k]
    return lowered


@jit
def kink_sizes(matrix: F8, right: F8, many: int) -> F8:
    """The most probable kinks, after `eliminate`, where the parameters are at their best."""
    sizes = right[:many].copy()
    for k in range(many - 1, -1, -1):
        for i in range(k + 1, many):
            sizes[k] -= matrix[i, k] * sizes[i]
        sizes[k] /= matrix[k, k]
    return sizes
