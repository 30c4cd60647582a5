"""Laws of every reduction: any split and any order of merging is a single pass; zero is neutral; finish and merge leave states as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from penstock.events.reduction_params import AxisSelection
from penstock.events.reductions.base import Layout, Pieces, Reduction, Selected, State, Tree, fold
from penstock.events.reductions.extremes import Extremes
from penstock.events.reductions.histogram import Histogram
from penstock.events.reductions.moments import Mean
from penstock.events.reductions.motor_map import MotorMap
from penstock.events.reductions.profile import RadialProfile
from penstock.events.reductions.stack import Stack
from penstock.events.reductions.sums import Sum
from penstock.events.reductions.timeseries import TimeSeries
from penstock.kernels.azimuthal import AzimuthalIntegrator
from penstock.kernels.geometry import Detector, Geometry

SHAPE = (3, 4)


def layout(dtype: str, shape: tuple[int, ...] = SHAPE) -> Layout:
    kind = np.dtype(dtype)
    limits = (np.finfo(kind).min, np.finfo(kind).max) if kind.kind == "f" else (kind.type(0), kind.type(np.iinfo(kind).max - 1))
    return Layout(shape, shape, (0,) * len(shape), kind, limits)


def images(dtype: str) -> Callable[[np.random.Generator, int], list[Selected]]:
    def make(random: np.random.Generator, count: int) -> list[Selected]:
        high = 1000 if np.dtype(dtype).kind == "f" else min(np.iinfo(dtype).max, 2**31)
        values = random.integers(0, high, (count, *SHAPE), dtype=np.int64).astype(dtype)
        bad = np.nan if values.dtype.kind == "f" else np.iinfo(values.dtype).max
        values[random.random(values.shape) < 0.1] = bad
        if values.dtype.kind == "f":
            values += random.normal(0.0, 1.0, values.shape).astype(dtype)
        return [Selected(k, 2 * k, 1000 * k, k, (v,)) for k, v in enumerate(values)]

    return make


def numbers(columns: int) -> Callable[[np.random.Generator, int], list[Selected]]:
    def make(random: np.random.Generator, count: int) -> list[Selected]:
        values = random.integers(0, 4, (count, columns)) + random.normal(0, 0.05, (count, columns))
        return [Selected(k, k, -(2**63), -1, tuple(np.array(v) for v in row)) for k, row in enumerate(values)]

    return make


def profile() -> RadialProfile:
    geometry = Geometry(Detector(1e-4, 1e-4, SHAPE), 0.01, 1e-4, 1e-4, 0.0, 0.0, 0.0, 1e-10)
    return RadialProfile(layout("u2"), AzimuthalIntegrator(geometry, 3), None, each_event=True)


def motor_map() -> MotorMap:
    number = layout("f8", ()).scalar()
    return MotorMap(number, {"x": (number, AxisSelection(field="x", step=1.0)), "y": (number, AxisSelection(field="y", high=4.0, bins=4))})


CASES: dict[str, tuple[Callable[[], Reduction], Callable[[np.random.Generator, int], list[Selected]], float]] = {
    "sum of u2": (lambda: Sum(layout("u2")), images("u2"), 0.0),
    "sum of i8": (lambda: Sum(layout("i8")), images("i8"), 0.0),
    "sum of f4": (lambda: Sum(layout("f4")), images("f4"), 1e-12),
    "mean of u2": (lambda: Mean(layout("u2")), images("u2"), 0.0),
    "mean of u4": (lambda: Mean(layout("u4")), images("u4"), 0.0),
    "mean of i4": (lambda: Mean(layout("i4")), images("i4"), 0.0),
    "mean of u8": (lambda: Mean(layout("u8")), images("u8"), 1e-9),
    "mean of f8": (lambda: Mean(layout("f8")), images("f8"), 1e-9),
    "extremes of i2": (lambda: Extremes(layout("i2")), images("i2"), 0.0),
    "extremes of f4": (lambda: Extremes(layout("f4")), images("f4"), 0.0),
    "histogram of u2": (lambda: Histogram(layout("u2"), 0.0, 40000.0, 7), images("u2"), 0.0),
    "histogram of f8": (lambda: Histogram(layout("f8"), 100.0, 900.0, 7), images("f8"), 0.0),
    "stack": (lambda: Stack(layout("u2")), images("u2"), 0.0),
    "time series": (lambda: TimeSeries(layout("f8", ()).scalar()), numbers(1), 0.0),
    "map": (motor_map, numbers(3), 0.0),
    "profile": (profile, images("u2"), 1e-9),
}
every_case = pytest.mark.parametrize(("make", "events_of", "tolerance"), CASES.values(), ids=CASES)
few = settings(max_examples=15, deadline=None)


def all_at_once(reduction: Reduction, events: Sequence[Selected]) -> State:
    state = reduction.zero()
    for event in events:
        state = reduction.add(state, event)
    return state


def values_of(tree: Tree) -> dict[str, NDArray[Any]]:
    """Copies of all datasets of a result."""
    found = {}
    for plot, content in tree.items():
        for name, values in content.datasets.items():
            data = values.data
            pieces = [np.array(a) for a in data.arrays()] if isinstance(data, Pieces) else [np.array(data)]
            found[f"{plot}/{name}"] = np.concatenate(pieces) if isinstance(data, Pieces) else pieces[0]
    return found


def assert_same(found: dict[str, NDArray[Any]], wanted: dict[str, NDArray[Any]], tolerance: float = 0.0) -> None:
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert found[name].dtype == values.dtype, name
        rtol = tolerance if values.dtype.kind == "f" else 0.0
        np.testing.assert_allclose(found[name], values, rtol=rtol, atol=rtol * 100, err_msg=name)


def contents(state: State) -> dict[str, bytes]:
    return {name: np.asarray(array).tobytes() for name, array in state.items()}


@every_case
@few
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 20), max_size=5), order=st.randoms(use_true_random=False))
def test_any_split_and_any_order_of_merging_is_a_single_pass(make, events_of, tolerance, seed, cuts, order) -> None:
    events, reduction = events_of(np.random.default_rng(seed), 20), make()
    edges = [0, *sorted(cuts), 20]
    states = [all_at_once(reduction, events[a:b]) for a, b in pairwise(edges)]

    while len(states) > 1:
        one, other = (states.pop(order.randrange(len(states))) for _ in range(2))
        states.append(reduction.merge(one, other))

    assert_same(values_of(reduction.finish(states[0])), values_of(reduction.finish(all_at_once(make(), events))), tolerance)


@every_case
def test_folding_blocks_in_order_gives_the_same_bits_each_time(make, events_of, tolerance) -> None:
    events = events_of(np.random.default_rng(3), 70)

    def result() -> dict[str, bytes]:
        reduction = make()
        whole = fold(reduction, (all_at_once(reduction, events[k : k + 2]) for k in range(0, 70, 2)))
        return {name: values.tobytes() for name, values in values_of(reduction.finish(whole)).items()}

    assert result() == result()


@every_case
@few
@given(seed=st.integers(0, 2**32), count=st.integers(0, 5))
def test_zero_is_neutral(make, events_of, tolerance, seed, count) -> None:
    reduction = make()
    state = all_at_once(reduction, events_of(np.random.default_rng(seed), count))
    wanted = values_of(reduction.finish(state))

    assert_same(values_of(reduction.finish(reduction.merge(reduction.zero(), state))), wanted)
    assert_same(values_of(reduction.finish(reduction.merge(state, reduction.zero()))), wanted)


@every_case
def test_finish_and_merge_leave_states_as_they_are(make, events_of, tolerance) -> None:
    reduction, events = make(), events_of(np.random.default_rng(4), 9)
    one, other = all_at_once(reduction, events[:5]), all_at_once(reduction, events[5:])
    before = contents(one), contents(other)

    reduction.finish(one)
    reduction.merge(one, other)

    assert (contents(one), contents(other)) == before


@every_case
def test_a_result_stays_as_it_is_when_more_events_come(make, events_of, tolerance) -> None:
    reduction, events = make(), events_of(np.random.default_rng(5), 9)
    state = all_at_once(reduction, events[:5])
    tree = reduction.finish(state)
    before = values_of(tree)

    for event in events[5:]:
        state = reduction.add(state, event)

    assert_same(values_of(tree), before)
    assert_same(values_of(reduction.finish(state)), values_of(reduction.finish(all_at_once(make(), events))))


@every_case
def test_states_are_plain_arrays(make, events_of, tolerance) -> None:
    state = all_at_once(make(), events_of(np.random.default_rng(6), 3))

    assert {np.asarray(array).dtype.kind for array in state.values()} <= set("iuf")
