"""Stage body of ``tpc.points``: traces become points in space, with charge.

Each pulse on a pad is one point: the pad says where in the plane, the time of the pulse how far the charge drifted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.schema import Rejection
from penstock.formats.traces import SIS3300
from penstock.kernels import jit
from penstock.kernels.baseline import LowPass, flatten_trace, load_trace, low_pass
from penstock.kernels.peaks import find_pulses
from penstock.tpc.assets import FieldMap, PadMap
from penstock.tpc.field import undo_drift
from penstock.tpc.params import IonChamberParams, PointParams, PulseParams
from penstock.tpc.schemas import PointCloud, Traces

__all__ = ["find_points"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

PAD_WIDTH = (1.0, 0.95)
ION_CHAMBER_WIDTH = (0.0, 0.85)
"""Least width of a pulse in samples, and how far below its top, over its prominence, widths and integrals are taken."""

ION_CHAMBER_CHANNEL = 0
DOWNSCALE = 2
"""V977 register of an event that only the down-scaled ion-chamber trigger took."""
UNMAPPED = "no trace belongs to a pad: put tpc.merge, with a map of the electronics, before tpc.points"
"""Why an event is rejected that has traces, none of them of a known pad."""
FEWEST_SAMPLES = 4

SAMPLE, SHIFT, AMPLITUDE, INTEGRAL = range(4)
"""What is kept of a pulse: highest sample, from there to the vertex, height and sum above the baseline."""


def find_points(traces: Traces, params: PointParams, pads: PadMap, field: FieldMap | None = None) -> PointCloud:
    """The point cloud of each event, and its ion-chamber pulse.

    Traces of unknown pads, of pads in the beam, without a pulse or with too many give no point. Points stand in
    ascending z, then pad, then time. Nothing is cut on z, on the radius or on the ion chamber.

    Parameters
    ----------
    traces
        Events as recorded.
    params
        How pulses are found and placed.
    pads
        Where pads are, what is added to the time of their pulses, and by what their charge is multiplied.
    field
        Where electrons land in the real electric field; points go back to where they started. Without, or without rows,
        electrons drift straight along the axis.

    Returns
    -------
    PointCloud
        A row of the events table for every event, also for rejected ones. Rejections are those of `traces` and, where
        the parameters exclude them, events of the down-scaled trigger.
    """
    events = traces["events"]
    rejections = _rejections(traces, params)
    rejected = np.zeros(traces.n_events, np.bool_)
    rejected[[r.index for r in rejections]] = True
    points, offsets = _place(traces, params, pads, field, rejected)
    columns = {
        "events": {
            **{name: np.array(events[name]) for name in ("event", "orig_run", "orig_event", "timestamp")},
            "trigger": np.array(events["coincidence"]),
            **_ion_chamber(traces, params.ion_chamber),
        },
        "points": points,
    }
    for table in PointCloud.tables:
        columns[table.name] = {c.name: columns[table.name][c.name].astype(c.dtype, copy=False) for c in table.columns}
    return PointCloud(n_events=traces.n_events, columns=columns, offsets={"points": offsets}, rejections=rejections)


def _without_pads(traces: Traces) -> list[int]:
    """Events that have traces, none of them of a known pad."""
    offsets = traces.offsets["pads"]
    known = np.concatenate([[0], np.cumsum(traces["pads"]["pad"] >= 0)])[offsets]
    return np.flatnonzero((np.diff(offsets) > 0) & (np.diff(known) == 0)).tolist()


def _rejections(traces: Traces, params: PointParams) -> list[Rejection]:
    """Those of the reader, and one for each event that the parameters leave out."""
    rejections = list(traces.rejections)
    if params.exclude_downscale:
        bad = {r.index for r in rejections}
        downscaled = np.flatnonzero(traces["events"]["coincidence"] == DOWNSCALE)
        rejections += [Rejection(int(i), "ion-chamber down-scale trigger", excluded=True) for i in downscaled if int(i) not in bad]
    bad = {r.index for r in rejections}
    rejections += [Rejection(i, UNMAPPED) for i in _without_pads(traces) if i not in bad]
    return sorted(rejections, key=lambda r: r.index)


def _place(
    traces: Traces, params: PointParams, pads: PadMap, field: FieldMap | None, rejected: NDArray[np.bool_]
) -> tuple[dict[str, NDArray[Any]], I8]:
    """Columns of all points in order, and the offsets of the events."""
    plane, offsets = pads["pads"], traces.offsets["pads"]
    usable = np.hypot(plane["x"], plane["y"]) >= params.beam_pad_radius_mm
    numbers = traces["pads"]["pad"].astype(np.int64)
    wanted = (numbers >= 0) & (numbers < len(usable)) & np.repeat(~rejected, np.diff(offsets))
    wanted[wanted] = usable[numbers[wanted]]
    counts, pulses = _pulses(traces.pad_samples, wanted, params.pads, params.max_pulses, PAD_WIDTH)
    counts[counts > params.max_pulses] = 0
    found = pulses[np.arange(pulses.shape[1]) < counts[:, None]]
    pad = np.repeat(numbers, counts)
    time = found[:, SAMPLE] + found[:, SHIFT] + plane["time_offset"][pad]
    drift = (params.window_time_bucket - time) / (params.window_time_bucket - params.micromegas_time_bucket)
    x, y, z = plane["x"][pad], plane["y"][pad], drift * params.detector_length_mm
    if field is not None and field.n_events:
        x, y, z = undo_drift(x, y, z, field, params.detector_length_mm)
    point_offsets = np.concatenate([[0], np.cumsum(counts)])[offsets].astype(np.int64)
    order = _order(z, pad, time, point_offsets)
    pad = pad[order]
    columns = {
        "x": x[order],
        "y": y[order],
        "z": z[order],
        "amplitude": found[order, AMPLITUDE] * plane["gain"][pad],
        "integral": found[order, INTEGRAL] * plane["gain"][pad],
        "time": time[order],
        "pad": pad,
        "scale": plane["scale"][pad],
    }
    return columns, point_offsets


def _ion_chamber(traces: Traces, params: IonChamberParams) -> dict[str, F8]:
    """The first pulse after the delay, and how many there are, for each event."""
    columns = {name: np.full(traces.n_events, -1.0) for name in ("ic_amplitude", "ic_integral", "ic_centroid", "ic_multiplicity")}
    frib, offsets = traces["frib"], traces.offsets["frib"]
    event = np.repeat(np.arange(traces.n_events), np.diff(offsets))
    lengths = traces.frib_lengths
    chosen = (frib["module"] == SIS3300) & (frib["channel"] == ION_CHAMBER_CHANNEL)
    for length in np.unique(lengths[chosen]):
        rows = np.flatnonzero(chosen & (lengths == length))
        counts, pulses = _pulses(traces.frib_traces(rows), np.ones(len(rows), np.bool_), params, int(length), ION_CHAMBER_WIDTH)
        late = (np.arange(pulses.shape[1]) < counts[:, None]) & (pulses[..., SAMPLE] > params.delay_time_bucket)
        columns["ic_multiplicity"][event[rows]] = late.sum(axis=1)
        some = np.flatnonzero(late.any(axis=1))
        first = pulses[some, late[some].argmax(axis=1)]
        for k, name in ((SAMPLE, "ic_centroid"), (AMPLITUDE, "ic_amplitude"), (INTEGRAL, "ic_integral")):
            columns[name][event[rows[some]]] = first[:, k]
    return columns


def _pulses(samples: NDArray[Any], wanted: NDArray[np.bool_], params: PulseParams, most: int, width: tuple[float, float]) -> tuple[I8, F8]:
    """Pulses of the wanted traces: their number, (traces,), and what is kept of the first `most` of each."""
    rows, n = samples.shape
    room = min(most, n // 2 + 1)
    counts = np.zeros(rows, np.int64)
    pulses = np.empty((rows, room, 4))
    if n >= FEWEST_SAMPLES:
        window = low_pass(n, params.baseline_window_scale)
        limits = (params.peak_threshold_adc, params.peak_separation_samples, params.peak_prominence_adc)
        _pulses_of_rows(samples, wanted, *_filter(window), *limits, width[0], params.peak_max_width_samples, width[1], counts, pulses)
    return counts, pulses


def _filter(window: LowPass) -> tuple[int, float, F4, float]:
    return window.half_width, window.flat, window.taps, window.overshoot


@jit
def _pulses_of_rows(
    samples: NDArray[np.integer[Any]],
    wanted: NDArray[np.bool_],
    half_width: int,
    flat: float,
    taps: F4,
    overshoot: float,
    threshold: float,
    distance: float,
    prominence: float,
    least_width: float,
    greatest_width: float,
    rel_height: float,
    counts: I8,
    pulses: F8,
) -> None:
    rows, n = samples.shape
    trace = np.empty(n, np.int32)
    level = np.empty(n, np.float32)
    padded = np.empty(n + 2 * (half_width + len(taps)), np.float32)
    scratch = np.empty((3, n // 2 + 1), np.int32)
    found = np.empty((n // 2 + 1, 3), np.int64)
    for row in range(rows):
        if not wanted[row]:
            continue
        spread = load_trace(samples[row], trace)
        # No sample can stand higher above the baseline; the margin covers rounding.
        if spread * (1.0 + overshoot) + 0.01 <= threshold:
            continue
        flatten_trace(trace, half_width, flat, taps, padded, level)
        for i in range(n):
            trace[i] = np.int32(level[i])
        counts[row] = find_pulses(trace, threshold, distance, prominence, least_width, greatest_width, rel_height, scratch, found)
        for k in range(min(counts[row], pulses.shape[1])):
            peak = found[k, 0]
            total = 0
            for i in range(found[k, 1], found[k, 2]):
                total += abs(trace[i])
            pulses[row, k, SAMPLE] = peak
            pulses[row, k, SHIFT] = _vertex_shift(level, peak)
            pulses[row, k, AMPLITUDE] = trace[peak]
            pulses[row, k, INTEGRAL] = total


@jit
def _vertex_shift(level: F4, peak: int) -> float:
    """From the highest sample to the vertex of the least-squares parabola through it and two samples on either side.

    Savitzky and Golay, Anal. Chem. 36 (1964) 1627: slope and curvature of five points. At most one sample; 0 where the
    parabola opens upwards or the samples are not there.
    """
    if peak < 2 or peak > len(level) - 3:
        return 0.0
    a, b, c, d, e = level[peak - 2], level[peak - 1], level[peak], level[peak + 1], level[peak + 2]
    slope = (2.0 * (e - a) + (d - b)) / 10.0
    curvature = (2.0 * (a + e) - (b + d) - 2.0 * c) / 7.0
    if curvature >= 0.0:
        return 0.0
    shift: float = min(max(-slope / curvature, -1.0), 1.0)
    return shift


@jit
def _order(z: F8, pad: I8, time: F8, offsets: I8) -> I8:
    """Points of each event in ascending z, then pad, then time."""
    order = np.empty(len(z), np.int64)
    for event in range(len(offsets) - 1):
        start, stop = offsets[event], offsets[event + 1]
        order[start:stop] = start + np.argsort(z[start:stop], kind="mergesort")
        for i in range(start + 1, stop):
            this = order[i]
            k = i
            while k > start and z[order[k - 1]] == z[this]:
                before = order[k - 1]
                if pad[before] < pad[this] or (pad[before] == pad[this] and time[before] <= time[this]):
                    break
                order[k] = before
                k -= 1
            order[k] = this
    return order
