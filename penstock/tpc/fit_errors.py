"""How well each point fixes a track: weights of points that share the charge of one stretch of it.

`docs/explanation/fits.md` derives the model and says how its constants were measured.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.tpc.fit_places import ALONG, BEND, COSINE, DEPTH, IN_PLANE, LOSS, OFF_PLANE, SINE
from penstock.tpc.pads import SMALL_SIDE_MM

__all__ = ["BLIND_MARGIN_MM", "Conditions", "find_mixed", "peak_delays", "weigh_points"]

F8 = NDArray[np.float64]

ELECTRON_NOISE = 3.5
"""Variance of an electron's place that counts in the plane: 1.5 by the spread of the gain, the rest by pads below threshold."""
ELECTRON_NOISE_Z = 1.9
"""The same off the plane, where lost pads do less harm."""
SMALL_GRAIN, BIG_GRAIN = 0.012, 0.016
"""Error by the size of the pads where no diffusion smooths it, for a unit of path, over their side cubed ..."""
SMOOTHING = 24.0
"""... and how fast it falls with the variance of the diffusion over the side squared."""
GRAIN_Z = 0.003
"""The same for the time of a pulse on a pad that an inclined track crosses."""
PADS_PER_MM = 1.33
"""Pulses a unit of path whose times are averaged."""
USUAL_ELECTRONS = 10.0
"""Electrons of the pulse whose time error is a parameter."""
GAIN_SPREAD = 1.5
"""Mean square of the gain over its squared mean, for Polya's distribution with θ = 1."""
DELAY_SHARE = 0.95
"""Part of the calculated delay of peaks that simulated traces show."""
DELAY_STEP, DELAY_NODES = 0.05, 41
"""Grid of `peak_delays`, in units of the shaping time."""
PAD_VARIANCE = 5.0 / 96.0
"""Variance of places on a triangle about its mid height, mean of x and y, over its side squared."""
BIG_SIDE_MM = 2.0 * SMALL_SIDE_MM
CAUCHY2 = 2.385**2
"""Cauchy's constant squared, for 95 % efficiency."""
FAR_IN_PLANE, FAR_OFF_PLANE = 5.0, 6.0
"""Farther from the track than so many standard deviations of a point, it does not belong to it."""
MIXED_REACH_MM = 12.0
"""Where pads of both sizes lie so near along the track, the error is that of big pads."""
MIXED_SHARE = 0.02
"""Less charge on pads of the other size does not matter."""
BLIND_MARGIN_MM = 4.0
"""So near to pads that give no points, the others see only a part of the charge."""
LEAST_DEPTH_MM = 10.0
LEAST_LOSS_MEV_PER_MM = 1e-5


class Conditions(NamedTuple):
    """What the errors of points depend on. Lengths in mm, times in time buckets."""

    detector_length: float
    mm_per_bucket: float
    transverse: float
    longitudinal: float
    time_error: float
    shaping: float
    electron_mev: float
    blind_radius: float
    robust: bool


@lru_cache(maxsize=16)
def peak_delays(shaping_buckets: float) -> F8:
    """How much later than its mean charge a pulse peaks, over the shaping time.

    The response of the GET electronics exp(-3x) x³ sin x, x = time over shaping time (Giovinazzo et al., NIM A 840
    (2016) 15), rises faster than it falls: spread-out charge peaks late. The parabola through five samples, by which
    `tpc.points` finds the peak, adds to that.

    Parameters
    ----------
    shaping_buckets
        Shaping time in time buckets.

    Returns
    -------
    delays
        float64 (41,), for Gaussian spreads of the charge in time of 0, 0.05, ... 2 shaping times; zeros without shaping.
    """
    if shaping_buckets == 0.0:
        return np.zeros(DELAY_NODES)
    x = np.linspace(0.0, np.pi, 2001)
    curve = np.exp(-3.0 * x) * x**3 * np.sin(x)
    time = (x - x[np.argmax(curve)]) * shaping_buckets
    deviates = np.linspace(-4.0, 4.0, 65)
    share = np.exp(-0.5 * deviates**2) / np.exp(-0.5 * deviates**2).sum()
    reach = int(8.0 * shaping_buckets) + 4
    buckets = np.arange(-reach, reach + 1)
    delays = np.empty(DELAY_NODES)
    for node in range(DELAY_NODES):
        spread = node * DELAY_STEP * shaping_buckets
        shifts = []
        for phase in np.arange(0.0, 1.0, 0.125):
            arrivals = buckets[:, None] - phase - spread * deviates
            pulse = np.interp(arrivals, time, curve, left=0.0, right=0.0) @ share
            top = int(np.argmax(pulse))
            a, b, c, d, e = pulse[top - 2 : top + 3]
            shifts.append(buckets[top] - phase - (2 * (e - a) + d - b) / 10 / ((2 * (a + e) - b - d - 2 * c) / 7))
        delays[node] = np.mean(shifts) / shaping_buckets
    return delays


@jit
def find_mixed(places: F8, charge: F8, side: F8, mm_per_sample: float) -> NDArray[np.bool_]:
    """Which points lie where pads of both sizes collect charge of the track.

    The border cuts the charge of the track unevenly, because the centre of a big pad lies far from what it collects.

    Parameters
    ----------
    places
        Of `penstock.tpc.fit_places.find_places`.
    charge, side
        Charges of the points, and sides of their pads in mm.
    mm_per_sample
        Path from sample to sample of the track.
    """
    order = np.argsort(places[:, ALONG])
    mixed = np.zeros(len(order), np.bool_)
    reach = MIXED_REACH_MM / mm_per_sample
    first = last = 0
    total = big = 0.0
    for i in order:
        while last < len(order) and places[order[last], ALONG] <= places[i, ALONG] + reach:
            total += charge[order[last]]
            big += charge[order[last]] * (side[order[last]] > 1.5 * SMALL_SIDE_MM)
            last += 1
        while places[order[first], ALONG] < places[i, ALONG] - reach:
            total -= charge[order[first]]
            big -= charge[order[first]] * (side[order[first]] > 1.5 * SMALL_SIDE_MM)
            first += 1
        mixed[i] = MIXED_SHARE * total < big < (1.0 - MIXED_SHARE) * total
    return mixed


@jit
def weigh_points(
    points: F8,
    charge: F8,
    side: F8,
    places: F8,
    mixed: NDArray[np.bool_],
    gain: float,
    last: float,
    conditions: Conditions,
    delays: F8,
    delay: F8,
    bulge: F8,
    weights: F8,
) -> None:
    """Weights of the points by the errors of their stretch of track, and what their residuals are on average.

    Parameters
    ----------
    points, charge, side
        Points in mm, (points, 3), their charges in ADC·bucket, and the sides of their pads in mm.
    places
        Of `penstock.tpc.fit_places.find_places`; the distances off the plane follow the delay.
    mixed
        Of `find_mixed`.
    gain
        Charge that an energy loss of 1 MeV gives.
    last
        Place of the end of the track.
    conditions
        Drift, diffusion and electronics.
    delays
        Of `peak_delays`.
    delay, bulge
        Overwritten: by how much z of each point is too small, mm; and its distance in the plane if the track is right.
    weights
        Overwritten: (points, 2), inverse variances of the distances in and off the plane, 1/mm².
    """
    for i in range(len(points)):
        depth = max(conditions.detector_length - places[i, DEPTH], LEAST_DEPTH_MM) / 1000.0
        across2 = PAD_VARIANCE * side[i] ** 2 + conditions.transverse**2 * depth
        along2 = conditions.longitudinal**2 * depth
        loss = max(places[i, LOSS], LEAST_LOSS_MEV_PER_MM)
        bulge[i] = 0.5 * places[i, BEND] * across2
        if conditions.shaping > 0.0:
            later = _delay(places[i], across2, along2, charge[i] / (gain * conditions.electron_mev), conditions, delays)
            places[i, OFF_PLANE] += places[i, SINE] * (later - delay[i])
            delay[i] = later
        in_plane, off_plane = _errors(places[i], side[i], mixed[i], across2, along2, conditions.electron_mev / loss, conditions)
        length = charge[i] / (gain * loss)
        beyond = places[i, ALONG] <= 0.0 or places[i, ALONG] >= last
        if beyond or math.hypot(points[i, 0], points[i, 1]) < conditions.blind_radius:
            length = 0.0
        length *= _belonging(places[i], places[i, IN_PLANE] - bulge[i], across2, along2, conditions)
        weights[i, 0], weights[i, 1] = length / in_plane, length / off_plane


@jit
def _delay(place: F8, across2: float, along2: float, electrons: float, conditions: Conditions, delays: F8) -> float:
    """Distance that the charge of a pulse drifts in the time by which its peak comes late, mm."""
    spread2 = along2 + (place[COSINE] / place[SINE]) ** 2 * across2
    spread2 *= 1.0 - min(GAIN_SPREAD / max(electrons, 1e-3), 0.7)
    shaping = conditions.mm_per_bucket * conditions.shaping
    at = min(math.sqrt(spread2) / (shaping * DELAY_STEP), len(delays) - 1.001)
    low = int(at)
    return float(DELAY_SHARE * shaping * (delays[low] + (at - low) * (delays[low + 1] - delays[low])))


@jit
def _errors(
    place: F8, side: float, mixed: bool, across2: float, along2: float, per_electron: float, conditions: Conditions
) -> tuple[float, float]:
    """Variances of the place of a stretch of track in and off the plane times its length, mm³."""
    sine2, cosine2 = place[SINE] ** 2, place[COSINE] ** 2
    grain = BIG_SIDE_MM if mixed else side
    diffusion2 = across2 - PAD_VARIANCE * side**2
    share = BIG_GRAIN if mixed or side > 1.5 * SMALL_SIDE_MM else SMALL_GRAIN
    in_plane = ELECTRON_NOISE * per_electron * across2 + share * grain**3 * math.exp(-SMOOTHING * diffusion2 / grain**2)
    off_plane = ELECTRON_NOISE_Z * per_electron * (sine2 * along2 + cosine2 * across2)
    timing = USUAL_ELECTRONS * conditions.time_error * conditions.mm_per_bucket * per_electron
    return in_plane, off_plane + PADS_PER_MM * timing**2 * sine2 + GRAIN_Z * cosine2 * side**3


@jit
def _belonging(place: F8, in_plane: float, across2: float, along2: float, conditions: Conditions) -> float:
    """Factor of the weight of a point by its distance from the track, over the spread of such points.

    Robust: Cauchy's 1/(1 + r²/c²), by which far points pull less and less, but all count. Else Tukey's biweight.
    """
    sine2, cosine2 = place[SINE] ** 2, place[COSINE] ** 2
    timing = 0.6 * conditions.time_error * conditions.mm_per_bucket
    off2 = 0.1 * cosine2 * across2 + sine2 * (0.2 * along2 + timing**2)
    if conditions.robust:
        return float(CAUCHY2 / (CAUCHY2 + in_plane**2 / across2 + place[OFF_PLANE] ** 2 / off2))
    far = max(in_plane**2 / (FAR_IN_PLANE**2 * across2), place[OFF_PLANE] ** 2 / (FAR_OFF_PLANE**2 * off2))
    return (1.0 - far) ** 2 if far < 1.0 else 0.0
