from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import make_smoothing_spline
from toytracks import BEAM_RADIUS_MM, FIELD_T, ToyTrack

from penstock.core.schema import Rejection
from penstock.tpc.estimates import estimate_tracks
from penstock.tpc.params import EstimateParams
from penstock.tpc.schemas import Clusters, Estimates

F8 = NDArray[np.float64]


def clusters_of(events: list[list[F8]], directions: list[int], charges: F8 | float = 100.0) -> Clusters:
    """Clusters of the given points (x, y, z), with a charge a point."""
    groups = [group for event in events for group in event]
    points = np.concatenate([np.zeros((0, 3)), *groups]).astype(np.float32)
    columns = {name: dict(table) for name, table in Clusters.empty(len(events)).columns.items()}
    columns["events"]["event"] = np.arange(len(events)) + 10
    columns["events"]["ic_amplitude"] = np.arange(len(events), dtype=np.float32) + 900
    columns["clusters"] = {"label": np.arange(len(groups), dtype=np.int32) + 3, "direction": np.array(directions, dtype=np.int32)}
    columns["points"] = {column.name: np.zeros(len(points), column.dtype) for column in Clusters.table("points").columns}
    for axis, name in enumerate("xyz"):
        columns["points"][name] = points[:, axis].copy()
    columns["points"]["integral"] += np.asarray(charges, dtype=np.float32)
    offsets = {"clusters": np.cumsum([0, *map(len, events)]), "points": np.cumsum([0, *map(len, groups)])}
    return Clusters(n_events=len(events), columns=columns, offsets=offsets)


def estimate(points: F8, direction: int = 1, **changes: Any) -> dict[str, float]:
    """The only row of the estimates of one cluster; empty where it was refused."""
    rows = estimate_tracks(clusters_of([[points]], [direction]), EstimateParams(**changes))["estimates"]
    return {name: float(values[0]) for name, values in rows.items()} if len(rows["event"]) else {}


FORWARD = ToyTrack()
BACKWARD = ToyTrack(polar_rad=2.1, vertex_z_mm=800.0)


@pytest.mark.parametrize("polar_deg", [25, 45, 60, 75, 82, 98, 120, 150], ids=str)
@pytest.mark.parametrize("azimuth_deg", [1, 100, 179, 181, 359], ids=str)
def test_truth_of_a_track_is_found(polar_deg: float, azimuth_deg: float) -> None:
    forward = polar_deg < 90
    track = ToyTrack(polar_rad=np.radians(polar_deg), azimuthal_rad=np.radians(azimuth_deg), vertex_z_mm=200.0 if forward else 800.0)

    row = estimate(track.points(3), 1 if forward else -1)

    assert row["polar"] == pytest.approx(track.polar_rad, abs=np.radians(0.5))
    assert row["brho"] == pytest.approx(track.brho, rel=0.03)
    assert abs(np.angle(np.exp(1j * (row["azimuthal"] - track.azimuthal_rad)))) < np.radians(3.0)
    assert 0.0 <= row["azimuthal"] < 2.0 * np.pi
    assert np.hypot(row["vertex_x"], row["vertex_y"]) < 3.0
    assert row["vertex_z"] == pytest.approx(track.vertex_z_mm, abs=3.0)
    assert row["direction"] == (0 if forward else 1)


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05, 0.07], ids=str)
def test_rigidity_is_that_of_the_vertex_whatever_the_loss(loss: float) -> None:
    rows = [estimate(ToyTrack(loss=loss).points(seed)) for seed in range(20)]

    assert np.mean([row["brho"] for row in rows]) == pytest.approx(ToyTrack().brho, rel=0.01)


def test_short_arcs_are_not_biased() -> None:
    rows = [estimate(ToyTrack(loss=0.03, polar_rad=0.6).points(seed, turns=0.45)) for seed in range(60)]

    assert np.median([row["brho"] for row in rows]) == pytest.approx(ToyTrack(polar_rad=0.6).brho, rel=0.02)
    assert np.median([row["polar"] for row in rows]) == pytest.approx(0.6, abs=np.radians(0.5))


def test_vertex_and_centre_lie_on_a_circle_of_the_rigidity() -> None:
    row = estimate(FORWARD.points(1))

    radius = np.hypot(row["vertex_x"] - row["center_x"], row["vertex_y"] - row["center_y"])
    assert row["brho"] == pytest.approx(FIELD_T * radius * 1e-3 / np.sin(row["polar"]))
    assert row["center_z"] == row["vertex_z"]


def test_rigidity_goes_with_the_field() -> None:
    points = FORWARD.points(1)

    assert estimate(points, magnetic_field_t=5.7)["brho"] == pytest.approx(2.0 * estimate(points)["brho"])


def test_energy_loss_follows_from_its_definition() -> None:
    points = FORWARD.points(1).astype(np.float32).astype(float)
    charge = np.random.default_rng(1).uniform(50.0, 150.0, len(points)).astype(np.float32)
    x, y, z = points.T
    spline_x, spline_y, spline_charge = (make_smoothing_spline(z, values, lam=100.0) for values in (x, y, charge.astype(float)))

    row = {name: v[0] for name, v in estimate_tracks(clusters_of([[points]], [1], charge), EstimateParams())["estimates"].items()}

    far = np.hypot(spline_x(z) - row["vertex_x"], spline_y(z) - row["vertex_y"])
    last = int(np.argmax(far[z < z[0] + 2.0 * np.pi * 80.0 / np.tan(1.0) * 0.9]))
    outside = np.flatnonzero(np.hypot(spline_x(z), spline_y(z))[1 : last + 1] > 152.0) + 1
    end = int(outside[0]) if len(outside) else last + 1
    way = np.linspace(z[0], z[min(end, last)], 1000)
    length = np.sum(np.sqrt(np.diff(spline_x(way)) ** 2 + np.diff(spline_y(way)) ** 2 + np.diff(way) ** 2))
    assert row["dE"] == pytest.approx(np.sum(spline_charge(z[:end])), rel=1e-5)
    assert row["arclength"] == pytest.approx(length, rel=1e-5)
    assert row["dEdx"] == pytest.approx(row["dE"] / row["arclength"])
    assert row["sqrt_dEdx"] == pytest.approx(np.sqrt(row["dEdx"]))


def test_energy_loss_ends_at_the_small_pads() -> None:
    points = FORWARD.points(1)

    near, far = estimate(points, small_pad_radius_mm=80.0), estimate(points, small_pad_radius_mm=152.0)

    assert near["dE"] < far["dE"]
    assert near["arclength"] < far["arclength"]


def test_track_that_leaves_the_small_pads_at_once_gives_no_estimate() -> None:
    assert not estimate(FORWARD.points(1), small_pad_radius_mm=BEAM_RADIUS_MM)


def test_small_cluster_gives_no_estimate() -> None:
    points = FORWARD.points(1)[:40]

    assert estimate(points, min_total_trajectory_points=40)
    assert not estimate(points, min_total_trajectory_points=41)


def test_cluster_without_direction_gives_no_estimate() -> None:
    assert not estimate(FORWARD.points(1), direction=0)


def test_track_that_starts_outside_the_beam_region_gives_no_estimate() -> None:
    points = FORWARD.points(1) + np.array([30.0, 0.0, 0.0])

    assert estimate(points, beam_region_radius_mm=40.0)
    assert not estimate(points, beam_region_radius_mm=5.0)


def test_direction_against_the_sense_of_turning_gives_no_estimate() -> None:
    assert not estimate(BACKWARD.points(1), direction=1)


def test_points_on_a_line_give_no_estimate() -> None:
    assert not estimate(np.arange(60.0)[:, None] * [1.0, 1.0, 1.0])


def test_more_smoothing_changes_the_result() -> None:
    points = FORWARD.points(1)

    assert estimate(points, smoothing_factor=1e5)["brho"] != estimate(points, smoothing_factor=100.0)["brho"]


@pytest.mark.parametrize("smoothing", [0.0, 100.0], ids=str)
def test_equal_z_does_no_harm(smoothing: float) -> None:
    points = FORWARD.points(1)
    points[:, 2] = np.round(points[:, 2] / 2.0) * 2.0

    row = estimate(points, smoothing_factor=smoothing)

    assert row["brho"] == pytest.approx(FORWARD.brho, rel=0.03)
    assert row["polar"] == pytest.approx(FORWARD.polar_rad, abs=np.radians(1.0))


def test_cluster_at_a_single_z_gives_no_estimate() -> None:
    assert not estimate(FORWARD.points(1) * [1.0, 1.0, 0.0])


def test_rows_carry_their_event_and_cluster() -> None:
    good, bad = FORWARD.points(1), FORWARD.points(2)[:10]
    clusters = clusters_of([[bad, good], [], [good]], [1, 1, 1])
    clusters.rejections = (Rejection(1, "down-scale trigger", excluded=True),)

    estimates = estimate_tracks(clusters, EstimateParams())

    rows = estimates["estimates"]
    assert rows["event"].tolist() == [10, 12]
    assert rows["cluster_index"].tolist() == [1, 0]
    assert rows["cluster_label"].tolist() == [4, 5]
    assert rows["ic_amplitude"].tolist() == [900.0, 902.0]
    assert estimates.offsets["estimates"].tolist() == [0, 1, 1, 2]
    assert estimates.rejections == clusters.rejections


def test_tables_have_the_declared_columns_and_types_even_when_empty() -> None:
    for events, directions in (([[FORWARD.points(1)]], [1]), ([[]], [])):
        rows = estimate_tracks(clusters_of(events, directions), EstimateParams())["estimates"]

        declared = Estimates.table("estimates").columns
        assert [(name, values.dtype.str[1:]) for name, values in rows.items()] == [(c.name, c.dtype) for c in declared]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.4, 1.4))
def test_cluster_has_the_same_estimate_alone_and_in_a_block(seed: int, polar_rad: float) -> None:
    events = [[ToyTrack(polar_rad=polar_rad).points(seed)], [FORWARD.points(seed), BACKWARD.points(seed)]]

    block = estimate_tracks(clusters_of(events, [1, 1, -1]), EstimateParams())["estimates"]

    alone = [estimate(points, direction) for points, direction in zip((*events[0], *events[1]), (1, 1, -1), strict=True)]
    for name in ("vertex_x", "vertex_z", "polar", "azimuthal", "brho", "dEdx", "arclength"):
        np.testing.assert_array_equal(block[name], [row[name] for row in alone if row])
