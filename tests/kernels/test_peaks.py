from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import find_peaks

from penstock.kernels.peaks import find_pulses


def compiled(
    trace: NDArray[Any], threshold: float, distance: float, prominence: float, width: tuple[float, float], rel_height: float
) -> Any:
    room = len(trace) // 2 + 1
    pulses = np.empty((room, 3), np.int64)
    count = find_pulses(trace, threshold, distance, prominence, *width, rel_height, np.empty((3, room), np.int32), pulses)
    return pulses[:count].tolist()


def scipy_pulses(
    trace: NDArray[Any], threshold: float, distance: float, prominence: float, width: tuple[float, float], rel_height: float
) -> Any:
    peaks, found = find_peaks(trace, distance=distance, prominence=prominence, width=width, rel_height=rel_height)
    rows = np.stack([peaks, np.floor(found["left_ips"]), np.ceil(found["right_ips"])], axis=1).astype(int)
    return rows[trace[peaks] > threshold].tolist()


def pulse_trace(seed: int, n: int = 512) -> NDArray[np.int32]:
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, n, rng.integers(0, 9))[:, None]
    shapes = np.exp(-0.5 * ((np.arange(n) - centres) / rng.uniform(1, 12, centres.shape)) ** 2)
    trace = (shapes * rng.uniform(20, 2000, centres.shape)).sum(axis=0) + rng.normal(0, rng.uniform(0.5, 30), n)
    # Finer than any two samples are alike: SciPy leaves open which of equal peaks displaces the other.
    return np.round(trace * 1e5).astype(np.int32)


@pytest.mark.parametrize("seed", range(200))
def test_noisy_traces_have_the_pulses_that_scipy_finds(seed: int) -> None:
    trace = pulse_trace(seed)
    rng = np.random.default_rng(1000 + seed)
    settings = (
        rng.uniform(0, 60e5),
        rng.uniform(1, 60),
        rng.uniform(1, 60e5),
        (rng.uniform(0, 3), rng.uniform(5, 80)),
        rng.uniform(0.3, 1),
    )

    assert compiled(trace, *settings) == scipy_pulses(trace, *settings)


@given(trace=st.lists(st.integers(-3, 6), min_size=3, max_size=60), rel_height=st.sampled_from([0.5, 0.85, 0.95, 1.0]))
@settings(max_examples=300, deadline=None)
def test_plateaus_are_peaks_in_their_middle_as_in_scipy(trace: list[int], rel_height: float) -> None:
    samples = np.array(trace, np.int32)

    assert compiled(samples, 0, 1, 1, (0, 50), rel_height) == scipy_pulses(samples, 0, 1, 1, (0, 50), rel_height)


@given(seed=st.integers(0, 2**32 - 1), distance=st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_integers_without_ties_have_the_pulses_that_scipy_finds(seed: int, distance: int) -> None:
    trace = np.random.default_rng(seed).permutation(200).astype(np.int32) - 40

    assert compiled(trace, 20, distance, 5, (1, 50), 0.95) == scipy_pulses(trace, 20, distance, 5, (1, 50), 0.95)


def test_the_later_of_equal_peaks_displaces_the_earlier() -> None:
    trace = np.zeros(60, np.int32)
    trace[[10, 20, 50]] = 100

    assert [peak for peak, _, _ in compiled(trace, 0, 15, 1, (0, 50), 0.5)] == [20, 50]


def test_a_peak_as_high_as_the_threshold_does_not_count() -> None:
    trace = np.zeros(20, np.int32)
    trace[[5, 15]] = 40, 41

    assert [peak for peak, _, _ in compiled(trace, 40, 1, 1, (0, 50), 0.5)] == [15]


def test_a_trace_that_only_rises_has_no_peak() -> None:
    assert compiled(np.arange(100, dtype=np.int32), 0, 1, 1, (0, 50), 0.5) == []
