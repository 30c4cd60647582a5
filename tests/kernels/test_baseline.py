from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from penstock.kernels.baseline import low_pass, subtract_baseline


def reference(traces: NDArray[Any], scale: float) -> Any:
    """The algorithm as the field describes it: mask pulses, multiply the spectrum with a sinc, subtract."""
    traces = traces.copy()
    traces[:, 0], traces[:, -1] = traces[:, 1], traces[:, -2]
    pulses = traces - traces.mean(axis=1, keepdims=True) > 1.5 * traces.std(axis=1, keepdims=True)
    quiet = np.mean(traces, axis=1, where=~pulses).astype(traces.dtype)
    base = np.where(pulses, quiet[:, None], traces)
    n = traces.shape[1]
    transfer = np.fft.ifftshift(np.sinc(np.arange(-n // 2, n // 2) / scale))
    return traces - np.real(np.fft.ifft(np.fft.fft(base, axis=1) * transfer, axis=1))


def raw_traces(seed: int, rows: int, n: int, dtype: Any = np.int16) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    time = np.arange(n)
    pulses = rng.uniform(0, 2500, (rows, 1)) * np.exp(-0.5 * ((time - rng.uniform(0, n, (rows, 1))) / 5) ** 2)
    wander = 6 * np.sin(2 * np.pi * (time / n + rng.uniform(0, 1, (rows, 1))))
    return np.clip(350 + wander + pulses + rng.normal(0, 4, (rows, n)), 0, 4095).astype(dtype)


@pytest.mark.parametrize(
    "n, scale, dtype",
    [
        (512, 20.0, np.int16),
        (2048, 100.0, np.uint16),
        (1024, 100.0, np.uint16),
        (512, 5.0, np.int16),
        (512, 300.0, np.int16),
        (512, 0.4, np.int16),
    ],
    ids=["pads", "ion chamber", "short ion chamber", "wide window", "narrow window", "window wider than the trace"],
)
def test_the_baseline_is_that_of_the_sinc_filter(n: int, scale: float, dtype: Any) -> None:
    traces = raw_traces(1, 300, n, dtype)

    difference = subtract_baseline(traces, scale) - reference(traces, scale)

    assert difference.std() < 0.02
    assert np.abs(difference).max() < 0.5


@given(row=st.integers(0, 39))
@settings(max_examples=20, deadline=None)
def test_a_trace_alone_has_the_bits_that_it_has_among_others(row: int) -> None:
    traces = raw_traces(2, 40, 512)

    assert np.array_equal(subtract_baseline(traces[row : row + 1], 20.0)[0], subtract_baseline(traces, 20.0)[row])


def test_a_strided_matrix_gives_the_same_as_a_copy() -> None:
    matrix = np.zeros((10, 517), np.int16)
    matrix[:, 5:] = raw_traces(3, 10, 512)

    assert np.array_equal(subtract_baseline(matrix[:, 5:], 20.0), subtract_baseline(matrix[:, 5:].copy(), 20.0))


def test_a_constant_trace_is_all_baseline() -> None:
    assert np.abs(subtract_baseline(np.full((1, 512), 4095, np.int16), 20.0)).max() < 0.01


def test_the_input_is_left_as_it_was() -> None:
    traces = raw_traces(4, 5, 512)
    before = traces.copy()

    subtract_baseline(traces, 20.0)

    assert np.array_equal(traces, before)


@given(n=st.sampled_from([4, 16, 100, 512]), scale=st.floats(0.2, 700))
@settings(max_examples=60, deadline=None)
def test_the_transfer_function_is_within_a_thousandth_of_the_sinc(n: int, scale: float) -> None:
    window = low_pass(n, scale)
    response = np.zeros(n)
    response[np.arange(-window.half_width, window.half_width + 1) % n] = window.flat
    for k, tap in enumerate(window.taps):
        offset = window.half_width + 1 + k
        response[offset % n] += tap
        response[-offset % n] += tap

    transfer = np.real(np.fft.fft(response))[: n // 2 + 1]

    assert np.sqrt(np.mean((transfer - np.sinc(np.arange(n // 2 + 1) / scale)) ** 2)) < 1.01e-3
    assert transfer[0] == pytest.approx(1, abs=1e-5)


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([5.0, 20.0, 60.0]))
@settings(max_examples=50, deadline=None)
def test_no_sample_stands_higher_than_the_spread_and_the_overshoot_allow(seed: int, scale: float) -> None:
    traces = np.random.default_rng(seed).integers(0, 2, (1, 512)).astype(np.int16) * 100

    assert subtract_baseline(traces, scale).max() <= 100 * (1 + low_pass(512, scale).overshoot) + 0.01
