from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock.tpc.drift import DriftEdge, DriftEdges, edge_curve, find_drift_edges, fitted_times

Cloud = tuple[NDArray[np.float64], NDArray[np.int64]]


def crossing(micromegas: float, window: float, seed: int = 0, *, events: int = 300, blur: float = 0.4, along: int = 0) -> Cloud:
    """Times of events of one track each, two points a bucket, that begin and end anywhere, and noise; cut where a trace ends.

    The first `along` events hold a track that runs along the pad plane, 3 buckets inside of the micromegas.
    """
    rng = np.random.default_rng(seed)
    found = []
    for event in range(events):
        first = rng.uniform(micromegas - 150, window)
        track = np.arange(max(first, micromegas) + rng.uniform(0, 0.5), min(first + 150, window), 0.5)
        noise = rng.uniform(0, 512, rng.poisson(15))
        flat = np.full(600 if event < along else 0, micromegas + 3) + rng.uniform(-0.5, 0.5, 600 if event < along else 0)
        times = np.concatenate([track + rng.normal(0, blur, len(track)), noise, flat])
        found.append(times[(times > 2) & (times < 508)])
    return np.concatenate(found), np.cumsum([0, *map(len, found)])


@pytest.mark.parametrize(("micromegas", "window"), [(10.0, 480.3), (31.4, 430.0), (60.25, 502.6)])
def test_both_ends_of_the_drift_are_found(micromegas: float, window: float) -> None:
    edges = find_drift_edges(*crossing(micromegas, window))

    assert edges.micromegas.bucket == pytest.approx(micromegas, abs=0.15)
    assert edges.window.bucket == pytest.approx(window, abs=0.15)
    assert edges.micromegas.width == pytest.approx(0.4, abs=0.25)


def test_errors_are_those_of_repeated_runs() -> None:
    edges = [find_drift_edges(*crossing(20.0, 450.0, seed)) for seed in range(16)]

    pulls = [(edge.bucket - true) / edge.error for e in edges for edge, true in ((e.micromegas, 20.0), (e.window, 450.0))]
    # 32 pulls: their root mean square is known to an eighth.
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.4


def test_single_precision_gives_the_same_edges() -> None:
    times, offsets = crossing(20.0, 450.0)

    assert find_drift_edges(times.astype(np.float32), offsets).window.bucket == pytest.approx(
        find_drift_edges(times, offsets).window.bucket, abs=1e-3
    )


def test_tracks_along_the_pad_plane_do_not_pull_the_edge() -> None:
    edge = find_drift_edges(*crossing(20.0, 450.0, along=2)).micromegas

    assert edge.bucket == pytest.approx(20.0, abs=0.15)


def test_a_window_beyond_the_trace_is_not_seen() -> None:
    edges = find_drift_edges(*crossing(20.0, 560.0))

    assert edges.micromegas.seen
    assert (edges.window.seen, math.isnan(edges.window.bucket)) == (False, True)
    assert edges.window.reason == "points go on to the end of the trace, so the window lies beyond it"


def test_a_micromegas_before_the_trace_is_not_seen() -> None:
    assert (
        find_drift_edges(*crossing(-40.0, 450.0)).micromegas.reason
        == "points go on to the start of the trace, so the micromegas lies beyond it"
    )


def test_a_distribution_that_fades_is_no_edge() -> None:
    rng = np.random.default_rng(1)
    times = np.clip(rng.normal(250, 60, 40_000), 3, 507)

    reasons = [e.reason for e in edges_of(find_drift_edges(times, np.arange(0, 40_001, 5)))]

    assert [r.partition(" near bucket")[0] for r in reasons] == ["no sharp edge"] * 2
    assert "too few tracks cross the window, or it lies beyond the trace" in reasons[1]


def test_the_ends_of_a_trace_full_of_noise_are_no_edges() -> None:
    times = np.random.default_rng(2).uniform(2, 508, 60_000)

    assert not any(e.seen for e in edges_of(find_drift_edges(times, np.arange(0, 60_001, 100))))


def test_few_points_give_no_edge() -> None:
    assert "200 are needed" in find_drift_edges(*crossing(20.0, 450.0, events=3)).window.reason


@pytest.mark.parametrize("events", [0, 4])
def test_events_without_points_give_no_edge(events: int) -> None:
    edges = find_drift_edges(np.zeros(0), np.zeros(events + 1, np.int64))

    assert [e.reason.partition(" points")[0] for e in edges_of(edges)] == ["only 0"] * 2


def test_the_curve_of_a_fit_follows_the_points_that_entered_it() -> None:
    times, offsets = crossing(20.0, 450.0)
    edge = find_drift_edges(times, offsets).window
    counts, borders = np.histogram(fitted_times(edge, times, offsets), np.arange(edge.around - 11.5, edge.around + 11.5))

    expected = edge_curve(edge, borders[:-1] + 0.5)

    assert np.mean((counts - expected) ** 2 / np.maximum(expected, 1)) == pytest.approx(1.0, abs=0.6)


def edges_of(edges: DriftEdges) -> list[DriftEdge]:
    return [edges.micromegas, edges.window]


def test_the_same_points_give_the_same_bits() -> None:
    one, other = (find_drift_edges(*crossing(20.0, 450.0)) for _ in range(2))

    assert one == other
