from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toytracks import ToyTrack

from penstock.tpc.helix import fit_line, turning_angles, turning_direction, wrap_angle


@settings(deadline=None)
@given(st.floats(-50.0, 50.0))
def test_wrapped_angle_is_the_same_direction_within_half_a_turn(angle: float) -> None:
    wrapped = wrap_angle(angle)

    assert -np.pi <= wrapped <= np.pi
    assert np.exp(1j * wrapped) == pytest.approx(np.exp(1j * angle))


@settings(deadline=None)
@given(st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=40), st.floats(-3.0, 3.0))
def test_turning_angles_equal_those_that_numpy_unwraps(steps: list[float], start: float) -> None:
    angles = start + np.cumsum(steps)
    x, y = 4.0 + 7.0 * np.cos(angles), -3.0 + 7.0 * np.sin(angles)

    np.testing.assert_allclose(turning_angles(x, y, 4.0, -3.0), np.unwrap(np.arctan2(y + 3.0, x - 4.0)), atol=1e-9)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40))
def test_line_equals_that_of_polyfit(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0.0, 10.0, n), rng.normal(0.0, 10.0, n)

    offset, slope = fit_line(x, y)

    np.testing.assert_allclose(offset + slope * (x - x.mean()), np.polyval(np.polyfit(x, y, 1), x), atol=1e-7)


def test_line_over_one_abscissa_is_level() -> None:
    assert fit_line(np.full(4, 2.0), np.arange(4.0)) == (1.5, 0.0)


@pytest.mark.parametrize(("polar_deg", "expected"), [(30, 1), (75, 1), (105, -1), (150, -1)], ids=str)
def test_direction_follows_from_the_sense_of_turning(polar_deg: float, expected: int) -> None:
    track = ToyTrack(polar_rad=np.radians(polar_deg), vertex_z_mm=300.0 if expected > 0 else 700.0)
    x, y, z = track.points(seed=1).T

    assert turning_direction(x.copy(), y.copy(), z.copy(), 0.5) == expected


def test_direction_does_not_depend_on_where_the_angle_folds() -> None:
    directions = [turning_direction(*ToyTrack(azimuthal_rad=azimuth).points(seed=2).T.copy(), 0.9) for azimuth in np.arange(0.0, 6.3, 0.3)]

    assert set(directions) == {1}


def test_higher_threshold_leaves_noisy_tracks_undecided() -> None:
    x, y, z = ToyTrack(polar_rad=1.5, noise_mm=6.0, n=300).points(seed=3).T.copy()

    assert turning_direction(x, y, z, 0.5) == 1
    assert turning_direction(x, y, z, 0.99) == 0


def test_points_on_a_line_have_no_direction() -> None:
    line = np.arange(20.0)

    assert turning_direction(line, 2.0 * line, line, 0.5) == 0


def test_equal_z_does_no_harm() -> None:
    x, y, z = ToyTrack(n=300).points(seed=4).T.copy()

    assert turning_direction(x, y, np.round(z / 10.0) * 10.0, 0.5) == 1
