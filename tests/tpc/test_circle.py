from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import eig

from penstock.tpc.circle import fit_circle, shared_area

F8 = NDArray[np.float64]


def arc(seed: int, span_rad: float, noise: float, n: int = 60) -> tuple[F8, F8]:
    """Points on an arc of a circle of radius 50 about (3, 20)."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0.0, span_rad, n)
    return 3.0 + 50.0 * np.cos(angle) + rng.normal(0.0, noise, n), 20.0 + 50.0 * np.sin(angle) + rng.normal(0.0, noise, n)


def fit_by_eigenvectors(x: F8, y: F8) -> tuple[float, float, float]:
    """The hyper-accurate fit as the generalised eigenvalue problem M A = η N A of the paper."""
    u, v = x - x.mean(), y - y.mean()
    design = np.stack([u * u + v * v, u, v, np.ones_like(u)], axis=1)
    mean = design.mean(axis=0)
    constraint = np.array([[8 * mean[0], 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0], [2, 0, 0, 0]])
    values, vectors = eig(design.T @ design / len(u), constraint)
    a, b, c, d = vectors[:, np.argmin(np.where(values.real > -1e-12, values.real, np.inf))].real
    return x.mean() - b / (2 * a), y.mean() - c / (2 * a), float(np.sqrt((b * b + c * c - 4 * a * d) / (4 * a * a)))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(1.5, 6.0), st.floats(0.1, 2.0))
def test_fit_equals_the_eigenvector_of_the_paper(seed: int, span_rad: float, noise: float) -> None:
    x, y = arc(seed, span_rad, noise)

    np.testing.assert_allclose(fit_circle(x, y), fit_by_eigenvectors(x, y), rtol=1e-5)


def test_points_on_a_circle_give_that_circle() -> None:
    np.testing.assert_allclose(fit_circle(*arc(1, 4.0, 0.0)), (3.0, 20.0, 50.0), rtol=1e-9)


def test_short_arcs_are_not_drawn_to_small_radii() -> None:
    radii = [fit_circle(*arc(seed, 1.2, 1.0))[2] for seed in range(400)]

    assert np.median(radii) == pytest.approx(50.0, rel=0.02)


@pytest.mark.parametrize("n", [0, 2, 3, 50], ids=["none", "two", "three", "fifty"])
def test_points_on_a_line_have_no_circle(n: int) -> None:
    x = np.arange(n, dtype=float)

    assert np.all(np.isnan(fit_circle(x, 2.0 * x + 1.0)))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.0, 30.0), st.floats(1.0, 15.0), st.floats(1.0, 15.0))
def test_shared_area_equals_that_of_a_raster(apart: float, radius_a: float, radius_b: float) -> None:
    step = radius_a / 200.0
    x, y = np.meshgrid(*[np.arange(-radius_a + step / 2, radius_a, step)] * 2)
    inside = (x * x + y * y < radius_a**2) & ((x - apart) ** 2 + y * y < radius_b**2)

    assert shared_area(apart, radius_a, radius_b) == pytest.approx(inside.sum() * step * step, abs=0.02 * np.pi * radius_a**2)


def test_circle_within_another_is_shared_whole() -> None:
    assert shared_area(1.0, 10.0, 4.0) == pytest.approx(16.0 * np.pi)
