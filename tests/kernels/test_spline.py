from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, make_smoothing_spline

from penstock.kernels.spline import evaluate_splines, smooth_splines

F8 = NDArray[np.float64]


def wave(seed: int, n: int) -> tuple[F8, F8]:
    """Noisy waves over distinct abscissae: (n,) and (2, n)."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.uniform(0.05, 3.0, n))
    return x, np.stack([50.0 * np.sin(x / 20.0), 50.0 * np.cos(x / 30.0)]) + rng.normal(0.0, 5.0, (2, n))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 300), st.sampled_from([1e-3, 1.0, 100.0, 1e4]))
def test_splines_equal_those_of_scipy(seed: int, n: int, smoothing: float) -> None:
    x, values = wave(seed, n)
    between = np.linspace(x[0], x[-1], 500)

    found = evaluate_splines(*smooth_splines(x, values, smoothing), between)

    expected = np.stack([make_smoothing_spline(x, row, lam=smoothing)(between) for row in values])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(values).max())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(10, 100))
def test_equal_abscissae_count_as_their_mean_with_more_weight(seed: int, n: int) -> None:
    x, values = wave(seed, n)
    rng = np.random.default_rng(seed)
    copies = rng.integers(1, 4, n)
    many_x, many = np.repeat(x, copies), np.repeat(values, copies, axis=1) + rng.normal(0.0, 1.0, (2, copies.sum()))

    knots, heights, _ = smooth_splines(many_x, many, 100.0)

    starts = np.cumsum(copies) - copies
    for row in range(2):
        means = np.add.reduceat(many[row], starts) / copies
        expected = make_smoothing_spline(x, means, w=copies.astype(float), lam=100.0)(x)
        np.testing.assert_allclose(heights[row], expected, rtol=0, atol=1e-6 * np.abs(values).max())
    np.testing.assert_array_equal(knots, x)


def test_without_smoothing_the_natural_spline_goes_through_the_points() -> None:
    x, values = wave(1, 50)
    between = np.linspace(x[0], x[-1], 200)

    found = evaluate_splines(*smooth_splines(x, values, 0.0), between)

    np.testing.assert_allclose(found, CubicSpline(x, values, axis=1, bc_type="natural")(between), atol=1e-8)


def test_great_smoothing_gives_the_least_squares_line() -> None:
    x, values = wave(2, 60)

    _, heights, _ = smooth_splines(x, values, 1e14)

    expected = np.stack([np.polyval(np.polyfit(x, row, 1), x) for row in values])
    np.testing.assert_allclose(heights, expected, atol=1e-3)


@pytest.mark.parametrize("gap", [1e-4, 5e-5, 1e-6, 1e-9])
def test_nearly_equal_abscissae_do_no_harm(gap: float) -> None:
    x, values = wave(3, 300)
    apart = np.sort(np.concatenate([x, x + gap]))

    near = evaluate_splines(*smooth_splines(apart, np.repeat(values, 2, axis=1), 100.0), x)

    _, equal, _ = smooth_splines(np.repeat(x, 2), np.repeat(values, 2, axis=1), 100.0)
    np.testing.assert_allclose(near, equal, atol=1e-3)


def test_descending_abscissae_give_the_same_values_in_reverse() -> None:
    x, values = wave(4, 40)
    spline = smooth_splines(x, values, 10.0)
    between = np.linspace(x[0], x[-1], 77)

    np.testing.assert_array_equal(evaluate_splines(*spline, between[::-1].copy()), evaluate_splines(*spline, between)[:, ::-1])


@pytest.mark.parametrize(
    ("x", "expected"),
    [([2.0], [3.0, 3.0]), ([2.0, 2.0], [4.0, 4.0]), ([1.0, 3.0], [4.0, 4.0])],
    ids=["one point", "one abscissa", "two points"],
)
def test_fewer_than_three_knots_give_a_constant_or_a_line(x: list[float], expected: list[float]) -> None:
    values = np.array([[3.0, 5.0][: len(x)]])

    found = evaluate_splines(*smooth_splines(np.array(x), values, 100.0), np.array([2.0, 2.0]))

    np.testing.assert_allclose(found[0], expected)
