"""Stage body of ``tpc.merge``: channels of the GET electronics become pads and silicon channels, noise that they share goes.

What a separate merger does besides, decoding and event building, is the reader's: see `penstock.formats.get`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.tpc.assets import Electronics
from penstock.tpc.params import MergeParams
from penstock.tpc.schemas import Traces

__all__ = ["FPN_CHANNELS", "merge_traces", "subtract_noise"]

FPN_CHANNELS = (11, 22, 45, 56)
"""Channels of each AGET chip that hang on no pad: they see the fixed-pattern noise alone."""
ADDRESS = ("cobo", "asad", "aget", "channel")
ADC_MAX = 4095
UNMAPPED = -2
"""Set of a channel that the map does not know."""

I2 = NDArray[np.int16]
I8 = NDArray[np.int64]


def merge_traces(traces: Traces, params: MergeParams, electronics: Electronics) -> Traces:
    """Events as a merger hands them on: traces by pad and by silicon channel.

    Without a map (no rows), traces keep the pad that the run file gives them, and only noise channels are dropped, once
    they have been subtracted.

    Parameters
    ----------
    traces
        Events as recorded.
    params
        What is done with noise and with channels that the map does not know.
    electronics
        Pad or silicon channel by hardware address.

    Returns
    -------
    Traces
        The same events in the same order, traces of an event in the order of `traces`; silicon channels that the file
        has already stand before those of the map.
    """
    pads = dict(traces["pads"])
    sets, numbers = _look_up(pads, electronics)
    if params.fixed_pattern_noise != "keep":
        noise = np.isin(pads["channel"], FPN_CHANNELS)
        pads["samples"] = subtract_noise(pads, traces.offsets["pads"], noise, median=params.fixed_pattern_noise == "median")
        sets[noise & (numbers < 0)] = UNMAPPED
    if params.unmapped == "keep":
        sets[sets == UNMAPPED] = -1
    pads["pad"] = numbers
    event = np.repeat(np.arange(traces.n_events), np.diff(traces.offsets["pads"]))
    silicon, silicon_offsets = _silicon(traces, pads, sets, event)
    kept = sets == -1
    if not kept.all():
        pads = {name: values[kept] for name, values in pads.items()}
    counts = np.bincount(event[kept], minlength=traces.n_events)
    return Traces(
        n_events=traces.n_events,
        columns={**traces.columns, "pads": pads, "silicon": silicon},
        offsets={**traces.offsets, "pads": _offsets(counts), "silicon": silicon_offsets},
        rejections=list(traces.rejections),
    )


def subtract_noise(pads: dict[str, NDArray[Any]], offsets: I8, noise: NDArray[np.bool_], *, median: bool) -> I2:
    """Samples less what the noise channels of their chip have in common, rounded, within 0 to 4095.

    Each noise channel is freed of its own mean over all buckets, d_c(t) = s_c(t) - <s_c>; the chip's noise is the mean
    or median of d_c(t) over its noise channels that were read out. Chips without any keep their samples; so do samples
    of 0, which were not read out.

    Parameters
    ----------
    pads
        ``cobo``, ``asad``, ``aget``, int16 (rows,), and ``samples``, int16 (rows, 512), ADC counts.
    offsets
        (events + 1,): rows of each event.
    noise
        (rows,): which rows are noise channels.
    """
    event = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    chip = event << 34 | pads["cobo"].astype(np.int64) << 18 | pads["asad"].astype(np.int64) << 2 | pads["aget"]
    _, chip = np.unique(chip, return_inverse=True)
    order = np.flatnonzero(noise)[np.argsort(chip[noise], kind="stable")]
    first = np.searchsorted(chip[order], np.arange(int(chip.max(initial=-1)) + 2))
    return _subtract(pads["samples"], chip, order, first, median)


@jit
def _median(values: NDArray[np.float64]) -> float:
    """Median of a few values, which it puts in order."""
    for i in range(1, values.size):
        value, j = values[i], i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    return float(0.5 * (values[(values.size - 1) // 2] + values[values.size // 2]))


@jit
def _subtract(samples: I2, chip: I8, order: I8, first: I8, median: bool) -> I2:
    """Rows ``order[first[k]:first[k + 1]]`` are the noise channels of chip k."""
    n_rows, n_buckets = samples.shape
    shared = np.zeros((first.size - 1, n_buckets))
    for k in range(first.size - 1):
        n = first[k + 1] - first[k]
        if n == 0:
            continue
        deviations = np.empty((n_buckets, n))
        for j in range(n):
            row = samples[order[first[k] + j]]
            mean = row.sum() / n_buckets
            for t in range(n_buckets):
                deviations[t, j] = row[t] - mean
        for t in range(n_buckets):
            shared[k, t] = _median(deviations[t]) if median else deviations[t].sum() / n
    out = samples.copy()
    for i in range(n_rows):
        for t in range(n_buckets):
            if samples[i, t] != 0:
                out[i, t] = np.int16(min(max(np.rint(samples[i, t] - shared[chip[i], t]), 0.0), float(ADC_MAX)))
    return out


def _look_up(pads: dict[str, NDArray[Any]], electronics: Electronics) -> tuple[I2, I2]:
    """Set (-1 the pad plane, `UNMAPPED`) and number of each row."""
    if electronics.n_events == 0:
        return np.full(len(pads["pad"]), -1, np.int16), pads["pad"].copy()
    channels = electronics["channels"]
    known, wanted = _codes(channels), _codes(pads)
    order = np.argsort(known)
    place = order[np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)]
    found = known[place] == wanted
    sets = np.where(found, channels["set"][place], UNMAPPED).astype(np.int16)
    return sets, np.where(found, channels["number"][place], -1).astype(np.int16)


def _codes(table: Any) -> I8:
    cobo, asad, aget, channel = (np.asarray(table[name], np.int64) for name in ADDRESS)
    return cobo << 24 | asad << 16 | aget << 8 | channel


def _silicon(traces: Traces, pads: dict[str, NDArray[Any]], sets: I2, event: I8) -> tuple[dict[str, NDArray[Any]], I8]:
    """Rows of the silicon detectors: those of the file, then those that the map finds among the pads."""
    there, moved = traces["silicon"], np.flatnonzero(sets >= 0)
    if not len(moved):
        return dict(there), traces.offsets["silicon"]
    found = {"set": sets[moved], **{name: pads[name][moved] for name in (*ADDRESS, "samples")}, "strip": pads["pad"][moved]}
    owner = np.concatenate([np.repeat(np.arange(traces.n_events), np.diff(traces.offsets["silicon"])), event[moved]])
    order = np.argsort(owner, kind="stable")
    rows = {name: np.concatenate([values, found[name]])[order] for name, values in there.items()}
    return rows, _offsets(np.bincount(owner, minlength=traces.n_events))


def _offsets(counts: NDArray[Any]) -> I8:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
