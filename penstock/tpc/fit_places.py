"""Where on a track each point belongs: the nearest place, the distances from it, and how they change with the fit.

The track is a mesh track, turned by the azimuth and moved to the vertex. Distances are measured across it in two
directions: in the pad plane (to the right of the motion, outwards for positive ions) and off the plane.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit

__all__ = [
    "ALONG",
    "BEND",
    "BRHO",
    "BY_IN_PLANE",
    "BY_OFF_PLANE",
    "COSINE",
    "DEPTH",
    "IN_PLANE",
    "LOSS",
    "N_PARAMETERS",
    "OFF_PLANE",
    "PLACE_COLUMNS",
    "SINE",
    "VX",
    "find_places",
]

F8 = NDArray[np.float64]

N_PARAMETERS = 6
VX, VY, VZ, BRHO, POLAR, AZIMUTHAL = range(N_PARAMETERS)
"""Parameters of a fit: vertex in mm, rigidity in T·m, angles in rad."""

ALONG, IN_PLANE, OFF_PLANE, BEND, LOSS, SINE, COSINE, DEPTH = range(8)
"""Columns of a place: sample of the track (fractional), distances in mm, curvature in the plane in 1/mm, energy loss in
MeV/mm, sine and cosine of the angle to +z, z in mm ..."""
BY_IN_PLANE, BY_OFF_PLANE = 8, 8 + N_PARAMETERS
"""... and first of the derivatives of both distances by the parameters."""
PLACE_COLUMNS = 8 + 2 * N_PARAMETERS

NEWTON_STEPS = 4
NEWTON_END = 1e-5


@jit
def find_places(points: F8, delay: F8, track: F8, d_brho: F8, d_polar: F8, start: F8, hints: F8, places: F8) -> None:
    """The nearest place of each point.

    Derivatives are those of the distances along fixed directions across the track: the nearest place does not move to
    first order. A shift of the start along the track therefore changes nothing, as it must.

    Parameters
    ----------
    points
        Points in mm, (points, 3).
    delay
        What is to be added to their z, mm.
    track, d_brho, d_polar
        Of `penstock.tpc.mesh.interpolate_track`, (samples, 4), with derivatives by rigidity and polar angle.
    start
        Parameters of the fit, (6,).
    hints
        Place of each point on a track like this one, negative where it must be sought all along; overwritten.
    places
        Overwritten, (points, `PLACE_COLUMNS`).
    """
    cosine, sine = math.cos(start[AZIMUTHAL]), math.sin(start[AZIMUTHAL])
    here, slope, bend = np.empty(4), np.empty(4), np.empty(4)
    point = np.empty(3)
    for i in range(len(points)):
        dx, dy = points[i, 0] - start[VX], points[i, 1] - start[VY]
        point[0], point[1], point[2] = cosine * dx + sine * dy, cosine * dy - sine * dx, points[i, 2] + delay[i] - start[VZ]
        near = _nearest_sample(point, track) if hints[i] < 0.0 else _walk_to_nearest(point, track, int(hints[i] + 0.5))
        along = _nearest_place(point, track, float(near), here, slope, bend)
        hints[i] = along
        _measure(point, along, here, slope, bend, places[i])
        places[i, DEPTH] = here[2] + start[VZ]
        _differentiate(along, here, slope, d_brho, d_polar, cosine, sine, places[i])


@jit
def _distance2(point: F8, sample: F8) -> float:
    return float((point[0] - sample[0]) ** 2 + (point[1] - sample[1]) ** 2 + (point[2] - sample[2]) ** 2)


@jit
def _nearest_sample(point: F8, track: F8) -> int:
    best, nearest = math.inf, 0
    for j in range(len(track)):
        distance = _distance2(point, track[j])
        if distance < best:
            best, nearest = distance, j
    return nearest


@jit
def _walk_to_nearest(point: F8, track: F8, sample: int) -> int:
    """The nearest sample, downhill from a given one."""
    sample = min(max(sample, 0), len(track) - 1)
    distance = _distance2(point, track[sample])
    for step in (1, -1):
        while 0 <= sample + step < len(track):
            following = _distance2(point, track[sample + step])
            if following >= distance:
                break
            distance = following
            sample += step
    return sample


@jit
def cubic_weights(along: float, count: int, weights: F8) -> int:
    """First of the four samples about a place and their Lagrange weights."""
    low = min(max(int(along), 1), count - 3)
    f = along - low
    weights[0] = -f * (f - 1.0) * (f - 2.0) / 6.0
    weights[1] = (f + 1.0) * (f - 1.0) * (f - 2.0) / 2.0
    weights[2] = -(f + 1.0) * f * (f - 2.0) / 2.0
    weights[3] = (f + 1.0) * f * (f - 1.0) / 6.0
    return low - 1


@jit
def _curve(track: F8, along: float, here: F8, slope: F8, bend: F8) -> None:
    """Cubic through the four samples about a place: value, first and second derivative by the sample number."""
    count = len(track)
    low = min(max(int(along), 1), count - 3)
    f = along - low
    w0, w1 = -f * (f - 1.0) * (f - 2.0) / 6.0, (f + 1.0) * (f - 1.0) * (f - 2.0) / 2.0
    w2, w3 = -(f + 1.0) * f * (f - 2.0) / 2.0, (f + 1.0) * f * (f - 1.0) / 6.0
    d0, d1 = -(3.0 * f * f - 6.0 * f + 2.0) / 6.0, (3.0 * f * f - 4.0 * f - 1.0) / 2.0
    d2, d3 = -(3.0 * f * f - 2.0 * f - 2.0) / 2.0, (3.0 * f * f - 1.0) / 6.0
    for k in range(4):
        a, b, c, d = track[low - 1, k], track[low, k], track[low + 1, k], track[low + 2, k]
        here[k] = w0 * a + w1 * b + w2 * c + w3 * d
        slope[k] = d0 * a + d1 * b + d2 * c + d3 * d
        bend[k] = (1.0 - f) * a + (3.0 * f - 2.0) * b + (1.0 - 3.0 * f) * c + f * d


@jit
def _nearest_place(point: F8, track: F8, along: float, here: F8, slope: F8, bend: F8) -> float:
    """The nearest place within a sample of the given one by Newton's method; the curve there is left in the arrays."""
    last = len(track) - 1.0
    for _ in range(NEWTON_STEPS):
        _curve(track, along, here, slope, bend)
        ahead = speed2 = turn = 0.0
        for k in range(3):
            ahead += (point[k] - here[k]) * slope[k]
            speed2 += slope[k] * slope[k]
            turn += (point[k] - here[k]) * bend[k]
        step = min(max(ahead / max(speed2 - turn, 0.3 * speed2), -1.0), 1.0)
        along = min(max(along + step, 0.0), last)
        if abs(step) < NEWTON_END:
            break
    _curve(track, along, here, slope, bend)
    return along


@jit
def _measure(point: F8, along: float, here: F8, slope: F8, bend: F8, place: F8) -> None:
    """Distances across the track, and the track at the place."""
    across = math.hypot(slope[0], slope[1])
    speed = math.hypot(across, slope[2])
    right_x, right_y = slope[1] / across, -slope[0] / across
    sine, cosine = across / speed, slope[2] / speed
    rx, ry, rz = point[0] - here[0], point[1] - here[1], point[2] - here[2]
    place[ALONG] = along
    place[IN_PLANE] = right_x * rx + right_y * ry
    place[OFF_PLANE] = cosine * (right_y * rx - right_x * ry) + sine * rz
    place[BEND] = (slope[0] * bend[1] - slope[1] * bend[0]) / across**3
    place[LOSS] = -slope[3] / speed
    place[SINE], place[COSINE] = sine, cosine


@jit
def _differentiate(along: float, here: F8, slope: F8, d_brho: F8, d_polar: F8, cosine: float, sine: float, place: F8) -> None:
    """Derivatives of the distances by the parameters."""
    across = math.hypot(slope[0], slope[1])
    right_x, right_y = slope[1] / across, -slope[0] / across
    weights = np.empty(4)
    first = cubic_weights(along, len(d_brho), weights)
    for direction in range(2):
        if direction == 0:
            x, y, z = right_x, right_y, 0.0
        else:
            x, y, z = place[COSINE] * right_y, -place[COSINE] * right_x, place[SINE]
        by_brho = by_polar = 0.0
        for j in range(4):
            by_brho += weights[j] * (x * d_brho[first + j, 0] + y * d_brho[first + j, 1] + z * d_brho[first + j, 2])
            by_polar += weights[j] * (x * d_polar[first + j, 0] + y * d_polar[first + j, 1] + z * d_polar[first + j, 2])
        base = BY_IN_PLANE if direction == 0 else BY_OFF_PLANE
        place[base + VX] = -(x * cosine - y * sine)
        place[base + VY] = -(x * sine + y * cosine)
        place[base + VZ] = -z
        place[base + BRHO] = -by_brho
        place[base + POLAR] = -by_polar
        place[base + AZIMUTHAL] = x * here[1] - y * here[0]
