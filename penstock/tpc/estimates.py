"""The stage ``tpc.estimates``: vertex, angles, rigidity and energy loss of each track, read off its points."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from penstock.kernels import jit
from penstock.kernels.spline import evaluate_splines, smooth_splines
from penstock.tpc.params import EstimateParams
from penstock.tpc.schemas import Clusters, Estimates
from penstock.tpc.spiral import FULL_TURN, LEAST_REST, POWER, arc_length, fit_pitch, fit_spiral, nearest_to_axis, spiral_radius

__all__ = ["estimate_tracks", "explain_tracks"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

COMPUTED: tuple[str, ...] = (
    *("vertex_x", "vertex_y", "vertex_z", "center_x", "center_y", "center_z", "polar", "azimuthal", "brho"),
    *("dEdx", "sqrt_dEdx", "dE", "arclength"),
)
"""Columns that the kernel fills, in its order."""

ARC_SAMPLES = 1000
"""Pieces of the polyline that measures the length of way."""

MM_PER_M = 1000.0

TRACK, FEW_POINTS, NO_DIRECTION, NO_SPIRAL, FAR_VERTEX, WRONG_WAY, NO_LENGTH = range(7)
"""What becomes of a cluster: a row, or why not."""


def estimate_tracks(clusters: Clusters, params: EstimateParams) -> Estimates:
    """First physics of each cluster that is a track.

    Parameters
    ----------
    clusters
        Points by cluster, ascending in z, mm.
    params
        What counts as a track, and the magnetic field.

    Returns
    -------
    estimates
        One row a cluster that has enough points, a direction, and a vertex near to the beam axis.
    """
    values, outcomes = _judge_clusters(clusters, params)
    accepted = outcomes == TRACK
    directions = clusters["clusters"]["direction"]
    of_event = np.repeat(np.arange(clusters.n_events), np.diff(clusters.offsets["clusters"]))[accepted]
    events = clusters["events"]
    columns = {name: events[name][of_event] for name in ("event", "orig_run", "orig_event")}
    columns["cluster_index"] = np.flatnonzero(accepted) - clusters.offsets["clusters"][of_event]
    columns["cluster_label"] = clusters["clusters"]["label"][accepted]
    columns |= {name: events[name][of_event] for name in ("ic_amplitude", "ic_integral", "ic_centroid", "ic_multiplicity")}
    columns |= dict(zip(COMPUTED, values[accepted].T, strict=True))
    columns["direction"] = np.where(directions[accepted] > 0, 0, 1)
    declared = Estimates.table("estimates").columns
    return Estimates(
        n_events=clusters.n_events,
        columns={"estimates": {c.name: np.ascontiguousarray(columns[c.name], dtype=c.dtype) for c in declared}},
        offsets={"estimates": np.searchsorted(of_event, np.arange(clusters.n_events + 1)).astype(np.int64)},
        rejections=clusters.rejections,
    )


def explain_tracks(clusters: Clusters, params: EstimateParams) -> list[str]:
    """Why each cluster gives no row of `estimate_tracks`, in words; nothing where it gives one.

    Parameters
    ----------
    clusters, params
        As for `estimate_tracks`.

    Returns
    -------
    reasons
        One text a cluster.
    """
    values, outcomes = _judge_clusters(clusters, params)
    sizes, directions = np.diff(clusters.offsets["points"]), clusters["clusters"]["direction"]
    reasons = []
    for i, (x, y, polar) in enumerate(values[:, [0, 1, 6]].tolist()):
        ways = ("micromegas", "window") if directions[i] > 0 else ("window", "micromegas")
        reasons.append(
            {
                TRACK: "",
                FEW_POINTS: f"{sizes[i]} points, fewer than min_total_trajectory_points ({params.min_total_trajectory_points})",
                NO_DIRECTION: "its direction is undecided",
                NO_SPIRAL: "no spiral fits its first turn",
                FAR_VERTEX: f"its vertex lies {math.hypot(x, y):.1f} mm from the axis, beyond beam_region_radius_mm ({params.beam_region_radius_mm:g})",
                WRONG_WAY: f"it turns as a particle that runs to the {ways[0]}, but its slope (polar {math.degrees(polar):.1f}°) runs to the {ways[1]}",
                NO_LENGTH: f"it has no length within small_pad_radius_mm ({params.small_pad_radius_mm:g})",
            }[int(outcomes[i])]
        )
    return reasons


def _judge_clusters(clusters: Clusters, params: EstimateParams) -> tuple[F8, I8]:
    """Values of each cluster, (clusters, 13), and what becomes of it."""
    points = clusters["points"]
    values, outcomes = _estimate_all(
        np.stack([points[name].astype(np.float64) for name in ("x", "y", "z", "integral")]),
        clusters.offsets["points"],
        clusters["clusters"]["direction"].astype(np.int64),
        params.min_total_trajectory_points,
        params.smoothing_factor,
        params.magnetic_field_t,
        params.beam_region_radius_mm,
        params.small_pad_radius_mm,
    )
    return values, outcomes


@jit
def _estimate_all(
    rows: F8, offsets: I8, directions: I8, fewest: int, smoothing: float, field: float, beam_radius: float, small_radius: float
) -> tuple[F8, I8]:
    """Values of each cluster as far as it was followed, (clusters, 13), and what becomes of it, (clusters,)."""
    n = len(offsets) - 1
    values, outcomes = np.zeros((n, 13)), np.zeros(n, np.int64)
    for i in range(n):
        if offsets[i + 1] - offsets[i] < fewest:
            outcomes[i] = FEW_POINTS
            continue
        if directions[i] == 0:
            outcomes[i] = NO_DIRECTION
            continue
        x, y, z, charge = rows[:, offsets[i] : offsets[i + 1]]
        knots, heights, curvatures = smooth_splines(z.copy(), np.stack((x, y, charge)), smoothing)
        smooth = _in_time_order(z, knots, heights, directions[i])
        shape, farthest = _estimate_shape(smooth[0], smooth[1], smooth[2], field)
        values[i, :9] = shape
        outcomes[i] = _judge_shape(shape, directions[i], beam_radius)
        if outcomes[i] != TRACK:
            continue
        values[i, 9:] = _estimate_loss(smooth, farthest, small_radius, knots, heights[:2], curvatures[:2])
        if not values[i, 12] > 0.0:
            outcomes[i] = NO_LENGTH
    return values, outcomes


@jit
def _in_time_order(z: F8, knots: F8, heights: F8, direction: int) -> F8:
    """Smoothed points in the order in which the particle passed them: rows x, y, z, charge."""
    n = len(z)
    smooth = np.empty((4, n))
    knot = 0
    for i in range(n):
        while knot + 1 < len(knots) and knots[knot + 1] <= z[i]:
            knot += 1
        at = i if direction > 0 else n - 1 - i
        smooth[0, at], smooth[1, at], smooth[2, at], smooth[3, at] = heights[0, knot], heights[1, knot], z[i], heights[2, knot]
    return smooth


@jit
def _estimate_shape(x: F8, y: F8, z: F8, field: float) -> tuple[F8, int]:
    """Vertex, centre, angles and rigidity of a track.

    Parameters
    ----------
    x, y, z
        Points in mm, in time order.
    field
        Magnetic field, T.

    Returns
    -------
    shape
        Vertex x, y, z and centre x, y, z in mm, polar and azimuthal angle in rad, rigidity in T·m; NaN where no
        spiral fits.
    farthest
        Last point of the first arc: the one of the first turn that is farthest from the vertex.
    """
    shape = np.full(9, math.nan)
    center_x, center_y, radius, loss, turning = fit_spiral(x, y)
    if not (math.isfinite(radius) and radius > 0.0):
        return shape, 0
    start_angle = math.atan2(y[0] - center_y, x[0] - center_x)
    vertex_at = nearest_to_axis(center_x, center_y, start_angle)
    distance = spiral_radius(radius, loss, vertex_at)
    out_x, out_y = math.cos(start_angle + vertex_at), math.sin(start_angle + vertex_at)
    vertex_x, vertex_y = center_x + distance * out_x, center_y + distance * out_y
    first = 1
    while first < len(x) and abs(turning[first]) <= FULL_TURN:
        first += 1
    arc = np.empty(first)
    for i in range(first):
        arc[i] = arc_length(radius, loss, turning[i]) - arc_length(radius, loss, vertex_at)
    vertex_z, slope = fit_pitch(arc, z[:first])
    polar = math.atan2(1.0, slope)
    # The spiral leans inwards by the angle by which its radius falls a radian.
    lean = math.atan(POWER * loss / max(1.0 - loss * vertex_at, LEAST_REST))
    azimuthal = start_angle + vertex_at + 0.5 * math.pi + lean
    shape[0], shape[1], shape[2] = vertex_x, vertex_y, vertex_z
    shape[3], shape[4], shape[5] = vertex_x - distance * math.sin(azimuthal), vertex_y + distance * math.cos(azimuthal), vertex_z
    shape[6], shape[7] = polar, azimuthal % FULL_TURN
    shape[8] = field * distance / MM_PER_M / math.sin(polar)
    farthest = np.argmax(np.hypot(x[:first] - vertex_x, y[:first] - vertex_y))
    return shape, int(farthest)


@jit
def _judge_shape(shape: F8, direction: int, beam_radius: float) -> int:
    """Whether a track starts in the beam region and runs the way that it turns."""
    if not np.all(np.isfinite(shape)) or shape[8] <= 0.0:
        return NO_SPIRAL
    if math.hypot(shape[0], shape[1]) > beam_radius:
        return FAR_VERTEX
    forward = bool(shape[6] < math.pi / 2.0)
    return TRACK if forward == (direction > 0) else WRONG_WAY


@jit
def _estimate_loss(smooth: F8, farthest: int, small_radius: float, knots: F8, heights: F8, curvatures: F8) -> F8:
    """Energy loss on the first arc within the small pads: dE/dx, its square root, dE and length of way.

    All are zero where nothing but the first point lies there.
    """
    loss = np.zeros(4)
    last = 1
    while last <= farthest and math.hypot(smooth[0, last], smooth[1, last]) <= small_radius:
        last += 1
    if last == 1:
        return loss
    # The way ends at the first point outside, where there is one.
    samples = np.linspace(smooth[2, 0], smooth[2, min(last, farthest)], ARC_SAMPLES)
    way = evaluate_splines(knots, heights, curvatures, samples)
    step_z = (samples[-1] - samples[0]) / (ARC_SAMPLES - 1)
    for i in range(1, ARC_SAMPLES):
        loss[3] += math.sqrt((way[0, i] - way[0, i - 1]) ** 2 + (way[1, i] - way[1, i - 1]) ** 2 + step_z**2)
    loss[2] = np.sum(smooth[3, :last])
    loss[0] = loss[2] / loss[3] if loss[3] > 0.0 else 0.0
    loss[1] = math.sqrt(abs(loss[0]))
    return loss
