"""Baseline of digitised traces: pulses are cut out, then a low-pass filter gives what the trace does without them.

The filter multiplies the spectrum with ``sinc(k / scale)``: a running mean over ``n / scale`` samples. Here it is a
short circular convolution, so that each trace is filtered by itself, in the same bits in any company.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit

__all__ = ["LowPass", "flatten_trace", "load_trace", "low_pass", "subtract_baseline"]

F8 = NDArray[np.float64]
F4 = NDArray[np.float32]
I4 = NDArray[np.int32]

PULSE_SIGMAS = 1.5
"""Samples this many standard deviations above the mean of their trace belong to pulses."""
RIPPLE = 1e-3
"""Greatest RMS error of the convolution's transfer function."""


@dataclass(frozen=True, eq=False)
class LowPass:
    """A symmetric circular filter of traces: flat near its middle, then single taps.

    Attributes
    ----------
    half_width
        The inner part is flat over the offsets -half_width to +half_width; -1 where there is no flat part.
    flat
        Weight of each of these offsets.
    taps
        Weights of the offsets ±(half_width + 1), ±(half_width + 2), ...; float32. Weights add up to 1.
    overshoot
        How far below the least sample of a trace the filtered trace can fall, over the range of the samples.
    """

    half_width: int
    flat: float
    taps: F4
    overshoot: float


@lru_cache(maxsize=64)
def low_pass(n: int, scale: float) -> LowPass:
    """The filter with transfer function ``sinc(k / scale)``, sinc(u) = sin(πu)/(πu), for traces of `n` samples.

    Least-squares fit of the transfer function at the frequencies k = 0 ... n/2 (cycles a trace), exact at k = 0, with
    as many taps around the edge of the running mean as bring the RMS error below `RIPPLE`. For the usual windows
    that is 12 on either side of the edge.

    Parameters
    ----------
    n
        Samples of a trace, at least 4.
    scale
        Length of the trace over the width of the running mean.
    """
    wanted = np.sinc(np.arange(n // 2 + 1) / scale)
    edge = min(int(n / scale / 2), n // 2)
    reach = 12
    while True:
        first = edge - reach + 1 if edge >= reach + 8 else 0
        last = min(edge + reach, n // 2)
        flat, taps, error = _fit(n, wanted, first, last)
        if error < RIPPLE or (first == 0 and last == n // 2):
            break
        reach *= 2
    undershoot = 2 * taps[taps < 0].sum() + (2 * first - 1) * min(flat, 0.0)
    return LowPass(half_width=first - 1, flat=flat, taps=taps.astype(np.float32), overshoot=-float(undershoot))


def _fit(n: int, wanted: F8, first: int, last: int) -> tuple[float, F8, float]:
    """Flat weight, taps at the offsets `first` to `last`, and RMS error of the transfer function."""
    waves = 2 * np.cos(2 * np.pi * np.arange(n // 2 + 1)[:, None] * np.arange(last + 1) / n)
    # The flat part holds offset 0 once, the taps come in pairs.
    columns = np.column_stack([waves[:, :first].sum(axis=1) - 1, waves[:, first:]]) if first > 0 else waves
    # One weight is eliminated, so that a constant trace passes unchanged.
    pivot = columns[:, :1] / columns[0, 0]
    free = np.linalg.lstsq(columns[:, 1:] - pivot * columns[0, 1:], wanted - pivot[:, 0], rcond=None)[0]
    weights = np.concatenate([[(1 - columns[0, 1:] @ free) / columns[0, 0]], free])
    error = float(np.sqrt(np.mean((columns @ weights - wanted) ** 2)))
    return (float(weights[0]), weights[1:], error) if first > 0 else (0.0, weights, error)


def subtract_baseline(traces: NDArray[np.integer[Any]], scale: float) -> F4:
    """Traces without their baseline.

    Parameters
    ----------
    traces
        Integer ADC counts, (traces, samples), at least 4 samples.
    scale
        Length of a trace over the width of the running mean.

    Returns
    -------
    flat traces
        float32 ADC counts, (traces, samples). The first and the last sample repeat their neighbours.
    """
    n = traces.shape[1]
    window = low_pass(n, scale)
    return _flatten_all(traces, window.half_width, window.flat, window.taps)


@jit
def _flatten_all(traces: NDArray[np.integer[Any]], half_width: int, flat: float, taps: F4) -> F4:
    rows, n = traces.shape
    samples = np.empty(n, np.int32)
    padded = np.empty(n + 2 * (half_width + len(taps)), np.float32)
    out = np.empty((rows, n), np.float32)
    for row in range(rows):
        load_trace(traces[row], samples)
        flatten_trace(samples, half_width, flat, taps, padded, out[row])
    return out


@jit
def load_trace(trace: NDArray[np.integer[Any]], samples: I4) -> int:
    """Copy a trace; its first and last sample, which glitch, repeat their neighbours. Returns greatest - least sample."""
    n = len(samples)
    for i in range(n):
        samples[i] = trace[i]
    samples[0] = samples[1]
    samples[n - 1] = samples[n - 2]
    least = greatest = samples[0]
    for i in range(n):
        least = min(least, samples[i])
        greatest = max(greatest, samples[i])
    spread: int = greatest - least
    return spread


@jit
def flatten_trace(samples: I4, half_width: int, flat: float, taps: F4, padded: F4, out: F4) -> None:
    """Subtract the baseline of one trace.

    Parameters
    ----------
    samples
        The trace as `load_trace` gives it.
    half_width, flat, taps
        The filter, see `LowPass`.
    padded
        Scratch of ``len(samples) + 2 * (half_width + len(taps))`` elements.
    out
        Takes the result, ADC counts.
    """
    n = len(samples)
    bounds = _pulse_ceiling(samples)
    ceiling, level = np.int32(bounds[0]), np.int32(bounds[1])
    reach = half_width + len(taps)
    middle = padded[reach : reach + n]
    for i in range(n):
        value = samples[i] - level
        middle[i] = np.float32(value if samples[i] <= ceiling else 0)
        out[i] = np.float32(value)
    padded[:reach] = padded[n : n + reach]
    padded[n + reach :] = padded[reach : 2 * reach]
    if half_width >= 0:
        _subtract_flat_part(padded, reach, half_width, np.float32(flat), out)
    for t in range(0, len(taps) - 1, 2):
        a, b = half_width + 1 + t, half_width + 2 + t
        left_a, right_a = padded[reach - a : reach - a + n], padded[reach + a : reach + a + n]
        left_b, right_b = padded[reach - b : reach - b + n], padded[reach + b : reach + b + n]
        weight_a, weight_b = taps[t], taps[t + 1]
        for i in range(n):
            out[i] -= weight_a * (left_a[i] + right_a[i]) + weight_b * (left_b[i] + right_b[i])
    if len(taps) % 2:
        left, right = padded[:n], padded[2 * reach : 2 * reach + n]
        for i in range(n):
            out[i] -= taps[-1] * (left[i] + right[i])


@jit
def _pulse_ceiling(samples: I4) -> tuple[int, int]:
    """The greatest sample that is no pulse, and the mean of those up to it, truncated towards zero."""
    n = len(samples)
    total = 0
    squares = 0
    for i in range(n):
        value = int(samples[i])
        total += value
        squares += value * value
    ceiling = math.floor((total + PULSE_SIGMAS * math.sqrt(n * squares - total * total)) / n)
    quietest = np.int32(ceiling)
    rest = 0
    count = 0
    for i in range(n):
        quiet = samples[i] <= quietest
        rest += samples[i] if quiet else 0
        count += 1 if quiet else 0
    # Spyral keeps the baseline in the integer type of the trace, which truncates this mean.
    return ceiling, int(rest / count)


@jit
def _subtract_flat_part(padded: F4, reach: int, half_width: int, weight: np.float32, out: F4) -> None:
    """Subtract `weight` times the running sum over the offsets up to `half_width`; sums of integers are exact."""
    n = len(out)
    total = np.int32(0)
    for i in range(reach - half_width, reach + half_width):
        total += np.int32(padded[i])
    entering, leaving = padded[reach + half_width : reach + half_width + n], padded[reach - half_width : reach - half_width + n]
    for i in range(n):
        total += np.int32(entering[i])
        out[i] -= weight * np.float32(total)
        total -= np.int32(leaving[i])
