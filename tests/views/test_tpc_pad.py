from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy import signal

from penstock.tpc.params import PointParams, PulseParams
from penstock.views.tpc_pad import draw_pad, pad_figure, pad_pulses

PARAMS = PointParams()


def _trace(seed: int, *pulses: tuple[int, int]) -> np.ndarray:
    """A noisy trace of 512 samples with pulses of given (time bucket, height)."""
    time = np.arange(512)
    trace = 350 + np.random.default_rng(seed).normal(0, 3, 512)
    for bucket, height in pulses:
        trace += height * np.exp(-0.5 * ((time - bucket) / 4) ** 2)
    return trace.round().astype(np.int16)


def _legends(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.get_legend().get_texts()]


@settings(deadline=None)
@given(seed=st.integers(0, 2**16), height=st.integers(50, 3000), bucket=st.integers(20, 490))
def test_pulses_are_those_that_scipy_finds(seed: int, height: int, bucket: int) -> None:
    found = pad_pulses(_trace(seed, (bucket, height)), PulseParams())

    peaks, _ = signal.find_peaks(found.level, height=41, distance=50, prominence=20, width=(1, 50), rel_height=0.95)
    assert np.array_equal(found.pulses[:, 0], peaks)


def test_baseline_and_level_add_up_to_the_trace() -> None:
    trace = _trace(1, (200, 500))

    found = pad_pulses(trace, PulseParams())

    assert np.all(np.abs(found.baseline + found.level - trace)[1:-1] < 1)


def test_maxima_that_are_no_pulse_are_told() -> None:
    found = pad_pulses(_trace(2, (200, 500), (225, 300)), PulseParams(peak_prominence_adc=40))

    assert np.allclose(found.pulses[:, 0], [200], atol=2)
    assert np.any(np.abs(found.refused - 225) <= 2)


def test_a_pad_becomes_a_png_of_sane_size(tmp_path: Path) -> None:
    path = draw_pad(_trace(1, (200, 500)), PARAMS, tmp_path / "pad.png")

    assert path.read_bytes().startswith(b"\x89PNG")
    assert 20_000 < path.stat().st_size < 500_000


def test_axes_have_units() -> None:
    above, below = pad_figure(_trace(1, (200, 500)), PARAMS).axes

    assert above.get_ylabel() == "ADC counts"
    assert below.get_ylabel() == "ADC counts above the baseline"
    assert below.get_xlabel() == "time (time buckets)"
    assert above.child_axes[0].get_xlabel() == "z from the window (mm)"


def test_the_trace_is_drawn_as_it_was_recorded() -> None:
    trace = _trace(1, (200, 500))

    above, _ = pad_figure(trace, PARAMS).axes

    assert np.array_equal(above.lines[0].get_ydata(), trace)


def test_limits_and_pulses_are_named() -> None:
    legends = _legends(pad_figure(_trace(1, (200, 500), (350, 100)), PARAMS))

    assert {"threshold: 40 ADC", "width, at most 50 buckets", "prominence, at least 20 ADC", "pulses: 2"} <= set(legends)


def test_too_many_pulses_are_told() -> None:
    trace = _trace(1, (100, 500), (200, 500), (300, 500))

    legends = _legends(pad_figure(trace, PointParams(max_pulses=2)))

    assert "pulses: 3, more than 2: no point" in legends


def test_a_trace_without_pulses_can_be_drawn(tmp_path: Path) -> None:
    assert "pulses: 0" in _legends(pad_figure(_trace(1), PARAMS))
    assert draw_pad(_trace(1), PARAMS, tmp_path / "pad.png").exists()


def test_z_along_the_edge_is_that_of_the_points() -> None:
    above, _ = pad_figure(_trace(1), PARAMS, time_offset=1.5).axes
    to_z, to_time = above.child_axes[0]._functions

    assert to_z(10.0 - 1.5) == pytest.approx(1000.0)
    assert to_z(560.0 - 1.5) == pytest.approx(0.0)
    assert to_time(to_z(123.0)) == pytest.approx(123.0)
