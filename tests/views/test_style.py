from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penstock.views import _style as style

VALUES = hnp.arrays(np.float64, st.integers(0, 200), elements=st.floats(-1e6, 1e6))


def _axes():
    return style.new_figure(4, 3, "title").add_subplot()


@settings(deadline=None)
@example(np.array([5e-324, 0.0]))
@example(np.array([1e300, np.nextafter(1e300, 2e300)]))
@given(values=VALUES)
def test_a_histogram_counts_every_value_inside_or_outside(values: np.ndarray) -> None:
    axes = _axes()

    counts = style.histogram(axes, values)

    outside = [int(text.get_text().split()[0].replace(",", "")) for text in axes.texts]
    assert counts.sum() + sum(outside) == len(values)


@settings(deadline=None)
@given(values=hnp.arrays(np.int64, st.integers(0, 200), elements=st.integers(0, 5000)))
def test_a_histogram_of_counts_holds_every_value(values: np.ndarray) -> None:
    assert style.count_histogram(_axes(), values).sum() == len(values)


def test_values_that_are_no_numbers_lie_outside() -> None:
    axes = _axes()

    counts = style.histogram(axes, np.array([1.0, 2.0, np.nan, np.inf]))

    assert counts.sum() == 2
    assert axes.texts[0].get_text() == "2 outside"


def test_a_robust_range_leaves_out_a_far_outlier() -> None:
    values = np.concatenate([np.linspace(0, 1, 1000), [1e6]])

    low, high = style.robust_range(values)

    assert low == 0.0
    assert high < 2


@pytest.mark.parametrize("values", [[], [np.nan], [3.0, 3.0]], ids=["empty", "no numbers", "all equal"])
def test_a_robust_range_is_never_empty(values: list[float]) -> None:
    low, high = style.robust_range(np.array(values))

    assert low < high


def test_a_darker_colour_keeps_its_hue() -> None:
    assert style.darker("#FF8000") == "#7F4000"


def test_importing_the_views_loads_no_drawing_library() -> None:
    code = "import sys, penstock.views; print([m for m in ('matplotlib', 'rich', 'numba', 'h5py', 'pyarrow', 'numpy') if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_drawing_leaves_matplotlibs_settings_alone() -> None:
    code = (
        "import matplotlib; before = matplotlib.rcParams.copy(); from penstock.views import _style; import sys;"
        "_style.new_figure(2, 2, 't').canvas.draw(); print(before == matplotlib.rcParams.copy(), 'matplotlib.pyplot' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "True False"
