from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar
from toyfits import Track, grid, way

from penstock.tpc.fit_places import ALONG, BY_IN_PLANE, BY_OFF_PLANE, IN_PLANE, OFF_PLANE, PLACE_COLUMNS, find_places

F8 = NDArray[np.float64]
RNG = np.random.default_rng(3)
TRACK = Track(ke=4.0, polar=1.2)


def places_of(points: F8, start: F8, hints: F8 | None = None) -> F8:
    proton = grid().nucleus
    ke = float(proton.ke_mev(start[3]))
    track, by_ke, by_polar, _ = grid().track(ke, start[4])
    step = 1e-6
    by_brho = by_ke * float((proton.ke_mev(start[3] + step) - proton.ke_mev(start[3] - step)) / (2 * step))
    places = np.empty((len(points), PLACE_COLUMNS))
    hints = np.full(len(points), -1.0) if hints is None else hints
    find_places(points, np.zeros(len(points)), track, by_brho, by_polar, start, hints, places)
    return places


def cloud() -> F8:
    along = way(TRACK, step_mm=7.0)[5:150, :3]
    return along + RNG.normal(0.0, 3.0, along.shape)


def reference(points: F8) -> tuple[F8, F8, F8]:
    """Place and distances by SciPy's minimiser on a spline through the samples."""
    samples, _, _, _ = grid().track(TRACK.ke, TRACK.polar)
    cosine, sine = np.cos(TRACK.azimuthal), np.sin(TRACK.azimuthal)
    turned = np.stack([cosine * samples[:, 0] - sine * samples[:, 1], sine * samples[:, 0] + cosine * samples[:, 1], samples[:, 2]], axis=1)
    curve = CubicSpline(np.arange(len(samples)), turned + np.array(TRACK.vertex))
    along, in_plane, off_plane = [], [], []
    for point in points:
        near = int(np.argmin(np.linalg.norm(curve(np.arange(len(samples))) - point, axis=1)))
        bounds = (max(near - 1, 0), min(near + 1, len(samples) - 1))
        found = minimize_scalar(
            lambda t, p=point: float(np.sum((curve(t) - p) ** 2)), bounds=bounds, method="bounded", options={"xatol": 1e-9}
        )
        ahead = curve(found.x, 1) / np.linalg.norm(curve(found.x, 1))
        right = np.array([ahead[1], -ahead[0], 0.0]) / np.hypot(ahead[0], ahead[1])
        rest = point - curve(found.x)
        along.append(found.x)
        in_plane.append(rest @ right)
        off_plane.append(rest @ np.cross(right, ahead))
    return np.array(along), np.array(in_plane), np.array(off_plane)


def test_places_are_those_of_a_general_minimiser() -> None:
    points = cloud()

    found, (along, in_plane, off_plane) = places_of(points, TRACK.start), reference(points)

    assert found[:, ALONG] == pytest.approx(along, abs=2e-4)
    assert found[:, IN_PLANE] == pytest.approx(in_plane, abs=2e-3)
    assert found[:, OFF_PLANE] == pytest.approx(off_plane, abs=2e-3)


def test_hints_lead_to_the_same_places() -> None:
    points = cloud()
    moved = TRACK.start + np.array([1.0, 0.5, 2.0, 0.002, 0.004, 0.01])
    hints = places_of(points, TRACK.start)[:, ALONG].copy()

    assert places_of(points, moved, hints) == pytest.approx(places_of(points, moved), abs=1e-6)


@pytest.mark.parametrize("parameter", range(6), ids=["vx", "vy", "vz", "brho", "polar", "azimuthal"])
def test_derivatives_are_those_of_points_on_the_track(parameter: int) -> None:
    points = way(TRACK, step_mm=11.0)[3:90, :3]
    step = np.zeros(6)
    step[parameter] = (1e-3, 1e-3, 1e-3, 1e-6, 1e-6, 1e-6)[parameter]

    here = places_of(points, TRACK.start)
    change = (places_of(points, TRACK.start + step) - places_of(points, TRACK.start - step)) / (2 * step[parameter])

    for column, base in ((IN_PLANE, BY_IN_PLANE), (OFF_PLANE, BY_OFF_PLANE)):
        scale = max(1.0, float(np.abs(change[:, column]).max()))
        assert here[:, base + parameter] / scale == pytest.approx(change[:, column] / scale, abs=2e-3)


def test_shift_of_the_start_along_the_track_changes_no_distance() -> None:
    places = places_of(cloud(), TRACK.start)
    path = CubicSpline(np.arange(100) * 0.5, way(TRACK, step_mm=0.5)[:100])
    direction, bend = path(0.0, 1), path(0.0, 2)
    slow = float(grid().nucleus.rigidity_tm(path(0.0)[3] + 1e-4) - grid().nucleus.rigidity_tm(path(0.0)[3])) * 1e4 * direction[3]
    across2 = direction[0] ** 2 + direction[1] ** 2
    turning = (direction[0] * bend[1] - direction[1] * bend[0]) / across2
    slide = np.array([*direction[:3], slow, -bend[2] / np.sqrt(across2), turning])

    for base in (BY_IN_PLANE, BY_OFF_PLANE):
        assert np.abs(places[:, base : base + 6] @ slide).max() < 0.01
