from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import least_squares

from penstock.tpc.spiral import LOSS_SPREAD, USUAL_LOSS, arc_length, fit_pitch, fit_spiral, nearest_to_axis, spiral_radius

F8 = NDArray[np.float64]


def spiral(seed: int, loss: float = 0.05, turns: float = 0.9, noise: float = 1.0, n: int = 200) -> tuple[F8, F8]:
    """Points of a spiral about (30, -40) that begins at radius 70."""
    rng = np.random.default_rng(seed)
    turning = np.sort(rng.uniform(0.0, 2.0 * np.pi * turns, n))
    turning[0] = 0.0
    radius = 70.0 * (1.0 - loss * turning) ** 0.4 + rng.normal(0.0, noise, n)
    return 30.0 + radius * np.cos(turning + 1.0), -40.0 + radius * np.sin(turning + 1.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 0.1), st.floats(0.6, 0.95))
def test_fit_minimises_the_biweight_of_the_distances(seed: int, loss: float, turns: float) -> None:
    x, y = spiral(seed, loss, turns)
    center_x, center_y, radius, fitted, turning = fit_spiral(x, y)
    scale = 1.4826 * np.median(np.abs(np.hypot(x - center_x, y - center_y) - radius * (1.0 - fitted * turning) ** 0.4))

    def residuals(p: F8) -> F8:
        angle = np.unwrap(np.arctan2(y - p[1], x - p[0]))
        apart = np.hypot(x - p[0], y - p[1]) - p[2] * np.maximum(1.0 - p[3] * (angle - angle[0]), 0.1) ** 0.4
        # The biweight as a sum of squares, and the expectation of the loss as one more residual.
        ratio = np.clip(np.abs(apart) / (4.685 * scale), 0.0, 1.0)
        biweight = 4.685 * scale * np.sqrt((1.0 - (1.0 - ratio**2) ** 3) / 3.0)
        return np.append(biweight, scale * (p[3] - USUAL_LOSS) / LOSS_SPREAD)

    expected = least_squares(residuals, [30.0, -40.0, 70.0, loss], x_scale=[1.0, 1.0, 1.0, 0.01]).x
    np.testing.assert_allclose([center_x, center_y, radius], expected[:3], atol=0.1)
    assert fitted == pytest.approx(expected[3], abs=2e-3)


def test_spiral_without_noise_is_found_exactly() -> None:
    center_x, center_y, radius, loss, turning = fit_spiral(*spiral(1, loss=0.04, noise=0.0))

    np.testing.assert_allclose([center_x, center_y, radius, loss], [30.0, -40.0, 70.0, 0.04], rtol=2e-3)
    assert turning[0] == 0.0


def test_far_points_do_not_move_the_fit() -> None:
    x, y = spiral(2)
    clean = fit_spiral(x, y)[:4]
    x[50:60] += 60.0

    np.testing.assert_allclose(fit_spiral(x, y)[:4], clean, atol=0.5)


def test_points_in_opposite_order_turn_clockwise_on_the_same_curve() -> None:
    x, y = spiral(3, loss=0.03)
    center_x, center_y, radius, loss, turning = fit_spiral(x[::-1].copy(), y[::-1].copy())

    assert turning[-1] < -5.0
    assert spiral_radius(radius, loss, turning[-1]) == pytest.approx(70.0, abs=1.0)
    np.testing.assert_allclose([center_x, center_y], [30.0, -40.0], atol=1.0)


def test_points_on_a_line_have_no_spiral() -> None:
    x = np.arange(30.0)

    assert np.all(np.isnan(fit_spiral(x, 3.0 * x)[:4]))


@settings(deadline=None)
@given(st.floats(-0.05, 0.1), st.floats(-3.0, 6.0))
def test_arc_length_is_the_integral_of_the_radius(loss: float, turning: float) -> None:
    expected, _ = quad(lambda angle: 70.0 * (1.0 - loss * angle) ** 0.4, 0.0, turning)

    assert arc_length(70.0, loss, turning) == pytest.approx(expected, rel=1e-4, abs=1e-9)


@settings(deadline=None)
@given(st.floats(-3.1, 3.1), st.floats(10.0, 100.0))
def test_nearest_to_axis_points_from_the_centre_to_the_axis(start_angle: float, apart: float) -> None:
    angle = start_angle + nearest_to_axis(apart, -apart, start_angle)

    np.testing.assert_allclose([np.cos(angle), np.sin(angle)], [-np.sqrt(0.5), np.sqrt(0.5)], atol=1e-9)


def test_pitch_of_clean_points_is_their_line() -> None:
    arc = np.linspace(20.0, 400.0, 50)

    np.testing.assert_allclose(fit_pitch(arc, 250.0 + 0.6 * arc), (250.0, 0.6), rtol=1e-9)


def test_far_points_do_not_tilt_the_pitch() -> None:
    rng = np.random.default_rng(1)
    arc = np.linspace(20.0, 400.0, 100)
    z = 250.0 + 0.6 * arc + rng.normal(0.0, 1.0, 100)
    z[80:90] += 50.0

    np.testing.assert_allclose(fit_pitch(arc, z), (250.0, 0.6), rtol=0.01)


def test_equal_arcs_give_a_level_pitch() -> None:
    assert fit_pitch(np.full(5, 3.0), np.full(5, 7.0)) == (7.0, 0.0)
