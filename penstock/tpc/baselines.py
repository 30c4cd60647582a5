"""Stage body of ``tpc.baselines``: the traces of pads without their baseline, on a device or on a CPU.

The arithmetic is that of `penstock.kernels.baseline`, for all traces at once instead of one after another: sums of integers
are exact, and single-precision terms are added in the same order, so that both agree to the last bit where `xp` rounds as IEEE 754 says.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.kernels.arrays import DeviceArray, Namespace, to_host
from penstock.kernels.baseline import PULSE_SIGMAS, LowPass, low_pass
from penstock.tpc.params import BaselineParams
from penstock.tpc.schemas import FlatTraces, Traces

__all__ = ["flatten", "subtract_baselines"]


def subtract_baselines(traces: Traces, params: BaselineParams, xp: Namespace = np) -> FlatTraces:
    """The traces of all pads without their baseline, as `find_points` sees them before it looks for pulses.

    Traces of unknown pads are kept. Traces of silicon detectors and of the FRIB crate are left out.

    Parameters
    ----------
    traces
        Events as recorded.
    params
        How the baseline is found.
    xp
        Array namespace to compute with.

    Returns
    -------
    FlatTraces
        A row for each row of the ``pads`` table; rejections are those of `traces`.
    """
    pads = traces["pads"]
    events = traces["events"]
    columns: dict[str, dict[str, NDArray[Any]]] = {
        "events": {name: np.array(events[name]) for name in ("event", "orig_run", "orig_event")},
        "pads": {name: np.array(pads[name]) for name in ("cobo", "asad", "aget", "channel", "pad")},
    }
    columns["pads"]["samples"] = to_host(flatten(xp.asarray(traces.pad_samples), params.baseline_window_scale, xp))
    return FlatTraces(
        n_events=traces.n_events, columns=columns, offsets={"pads": traces.offsets["pads"].copy()}, rejections=list(traces.rejections)
    )


def flatten(samples: DeviceArray, scale: float, xp: Namespace) -> DeviceArray:
    """Traces without their baseline.

    Parameters
    ----------
    samples
        Integer ADC counts, (traces, samples), at least 4 samples, in the memory of `xp`.
    scale
        Length of a trace over the width of the running mean.
    xp
        Array namespace.

    Returns
    -------
    flat traces
        float32 ADC counts, (traces, samples), in the memory of `xp`. The first and the last sample repeat their neighbours.
    """
    n = samples.shape[1]
    values = samples.astype(xp.int32)
    values[:, 0] = values[:, 1]
    values[:, -1] = values[:, -2]
    quiet = values <= _ceiling(values, xp)
    values -= _level(values, quiet, xp)
    quiet_values = xp.where(quiet, values, xp.int32(0))
    flat = values.astype(xp.float32)
    _subtract_filtered(flat, quiet_values, low_pass(n, scale), xp)
    return flat


def _ceiling(values: DeviceArray, xp: Namespace) -> DeviceArray:
    """The greatest sample of each trace that is no pulse, (traces, 1)."""
    n = values.shape[1]
    wide = values.astype(xp.int64)
    total, squares = wide.sum(axis=1), (wide * wide).sum(axis=1)
    spread = xp.sqrt((n * squares - total * total).astype(xp.float64))
    return xp.floor((total + PULSE_SIGMAS * spread) / n).astype(xp.int32)[:, None]


def _level(values: DeviceArray, quiet: DeviceArray, xp: Namespace) -> DeviceArray:
    """The mean of the quiet samples of each trace, truncated towards zero, (traces, 1)."""
    rest = xp.where(quiet, values, xp.int32(0)).sum(axis=1, dtype=xp.int64)
    return xp.trunc(rest / quiet.sum(axis=1, dtype=xp.int64)).astype(xp.int32)[:, None]


def _subtract_filtered(flat: DeviceArray, quiet_values: DeviceArray, window: LowPass, xp: Namespace) -> None:
    """Subtract the circular convolution of the quiet samples with the filter, in place."""
    n = flat.shape[1]
    reach = window.half_width + len(window.taps)
    padded = xp.concatenate([quiet_values[:, n - reach :], quiet_values, quiet_values[:, :reach]], axis=1)
    if window.half_width >= 0:
        flat -= xp.float32(window.flat) * _running_sum(padded, reach, window.half_width, n, xp).astype(xp.float32)
    single = padded.astype(xp.float32)
    taps = [(xp.float32(weight), window.half_width + 1 + k) for k, weight in enumerate(window.taps)]
    for first, second in zip(taps[::2], taps[1::2], strict=False):
        flat -= _pair(single, reach, n, *first) + _pair(single, reach, n, *second)
    if len(taps) % 2:
        flat -= _pair(single, reach, n, *taps[-1])


def _running_sum(padded: DeviceArray, reach: int, half_width: int, n: int, xp: Namespace) -> DeviceArray:
    """Sums over the offsets -half_width to +half_width around each sample; exact, because they are sums of integers."""
    sums = xp.cumsum(padded, axis=1, dtype=xp.int64)
    last, before = reach + half_width, reach - half_width - 1
    return sums[:, last : last + n] - sums[:, before : before + n]


def _pair(single: DeviceArray, reach: int, n: int, weight: Any, offset: int) -> DeviceArray:
    """Both samples at an offset from each sample, weighted."""
    return weight * (single[:, reach - offset : reach - offset + n] + single[:, reach + offset : reach + offset + n])
