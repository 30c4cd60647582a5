"""From electrons in the gas to traces: pads, time buckets, shaped pulses, digitisation."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.tpc.pads import SMALL_SIDE_MM

__all__ = ["BINS_PER_BUCKET", "N_SAMPLES", "count_electrons", "digitise", "find_pads", "hardware_ids", "shape_pulses", "shaper_response"]

N_SAMPLES = 512
BINS_PER_BUCKET = 4
"""Arrival times are counted this finely."""
ADC_MAX = 4095
FPN_CHANNELS = (11, 22, 45, 56)
LATTICE_HEIGHT_MM = SMALL_SIDE_MM * np.sqrt(3.0) / 2


@jit
def find_pads(x: NDArray[np.float32], y: NDArray[np.float32], lattice: NDArray[np.int16]) -> NDArray[np.int16]:
    """Pad under each place of the plane, -1 where there is none.

    Parameters
    ----------
    x, y
        Places in mm.
    lattice
        Table of `penstock.tpc.pads.lattice_pads`.
    """
    pads = np.empty(x.size, dtype=np.int16)
    for i in range(x.size):
        v = y[i] / LATTICE_HEIGHT_MM + 64.0
        u = x[i] / (SMALL_SIDE_MM / 2.0) + 112.0
        row, column = int(np.floor(v)), int(np.floor(u))
        points_up = (row + column) % 2 == 1
        half_width = 1.0 - (v - row) if points_up else v - row
        if u - column > half_width:
            column += 1
        inside = 0 <= row < lattice.shape[0] and 0 <= column < lattice.shape[1]
        pads[i] = lattice[row, column] if inside else -1
    return pads


@jit
def count_electrons(
    slots: NDArray[np.int64], bins: NDArray[np.int64], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Electrons of each (slot, bin) that has any, in ascending order; entries outside `shape` are left out.

    Returns
    -------
    slot, bin, count
        int64, one entry a filled bin.
    """
    counts = np.zeros(shape, dtype=np.int32)
    first = np.full(shape[0], shape[1], dtype=np.int64)
    last = np.full(shape[0], -1, dtype=np.int64)
    filled = 0
    for i in range(slots.size):
        s, b = slots[i], bins[i]
        if s < 0 or s >= shape[0] or b < 0 or b >= shape[1]:
            continue
        filled += counts[s, b] == 0
        counts[s, b] += 1
        first[s] = min(first[s], b)
        last[s] = max(last[s], b)
    out = np.empty((3, filled), dtype=np.int64)
    k = 0
    for s in range(shape[0]):
        for b in range(first[s], last[s] + 1):
            if counts[s, b] > 0:
                out[0, k], out[1, k], out[2, k] = s, b, counts[s, b]
                k += 1
    return out[0], out[1], out[2]


@cache
def shaper_response(shaping_buckets: float) -> tuple[NDArray[np.float32], int]:
    """Response of the GET shaper to one charge, its maximum 1 and at the time of the charge.

    exp(-3x) x³ sin x, x = time over shaping time, up to x = π (Giovinazzo et al., NIM A 840 (2016) 15).

    Parameters
    ----------
    shaping_buckets
        Shaping time in time buckets.

    Returns
    -------
    response
        float32 (`BINS_PER_BUCKET`, length): ``response[p, j]`` at bucket ``first + j`` for a charge that came at p /
        `BINS_PER_BUCKET` of bucket 0. Read-only.
    first
        Bucket of the first column, negative.
    """
    x = np.linspace(0, np.pi, 100_001)
    curve = np.exp(-3 * x) * x**3 * np.sin(x)
    peak = x[np.argmax(curve)]
    first = -int(np.ceil(peak * shaping_buckets))
    length = int(np.ceil(np.pi * shaping_buckets)) + 2
    buckets = first + np.arange(length)[None, :] - np.arange(BINS_PER_BUCKET)[:, None] / BINS_PER_BUCKET
    response = np.interp(buckets / shaping_buckets + peak, x, curve / curve.max(), left=0, right=0).astype(np.float32)
    response.setflags(write=False)
    return response, first


@jit
def shape_pulses(
    slots: NDArray[np.int64],
    bins: NDArray[np.int64],
    charges: NDArray[np.float32],
    n_slots: int,
    response: NDArray[np.float32],
    first: int,
    first_bucket: int,
) -> NDArray[np.float32]:
    """Sum of the shaped pulses of all charges: float32 (slots, 512) in ADC counts.

    Parameters
    ----------
    slots, bins
        Row of the output, and time of each charge in bins since bucket `first_bucket`.
    charges
        Pulse height of each charge, ADC counts.
    n_slots
        Rows of the output.
    response, first
        From `shaper_response`.
    first_bucket
        Time bucket of bin 0.
    """
    phases, length = response.shape
    out = np.zeros((n_slots, N_SAMPLES), dtype=np.float32)
    for i in range(slots.size):
        phase = bins[i] % phases
        begin = bins[i] // phases + first_bucket + first
        row = out[slots[i]]
        for j in range(max(0, -begin), min(length, N_SAMPLES - begin)):
            row[begin + j] += charges[i] * response[phase, j]
    return out


@jit
def digitise(
    pulses: NDArray[np.float32],
    baseline: NDArray[np.float32],
    noise: NDArray[np.float32],
    common: NDArray[np.float32],
    chips: NDArray[np.int64],
    glitches: NDArray[np.float32],
) -> NDArray[np.int16]:
    """ADC samples: the sum of all parts, rounded and kept within 0 to 4095.

    Parameters
    ----------
    pulses, baseline, noise
        (rows, 512), ADC counts.
    common
        (chips, 512), ADC counts.
    chips
        Chip of each row.
    glitches
        (rows, 2): offset of the first and of the last sample.
    """
    out = np.empty(pulses.shape, dtype=np.int16)
    last = pulses.shape[1] - 1
    for row in range(pulses.shape[0]):
        shared = common[chips[row]]
        for s in range(last + 1):
            value = pulses[row, s] + baseline[row, s] + noise[row, s] + shared[s]
            if s == 0:
                value += glitches[row, 0]
            elif s == last:
                value += glitches[row, 1]
            out[row, s] = np.int16(min(max(np.rint(value), np.float32(0)), np.float32(ADC_MAX)))
    return out


def hardware_ids(pads: NDArray[np.int64]) -> NDArray[np.int16]:
    """CoBo, AsAd, AGET and channel of pads: int16 (pads, 4).

    A map of our own: 64 consecutive pads an AGET, 4 AGETs an AsAd, 4 AsAds a CoBo; channels of fixed-pattern noise are left out.
    """
    channels = np.array([c for c in range(68) if c not in FPN_CHANNELS])
    chip = pads // 64
    return np.stack([chip // 16, chip // 4 % 4, chip % 4, channels[pads % 64]], axis=1).astype(np.int16)
