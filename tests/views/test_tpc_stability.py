"""Run-by-run stability: errors, robust scores, and what is measured of each run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from penstock.core.errors import ArtifactMissing
from penstock.core.schema import Records
from penstock.tpc.assets import Gates
from penstock.views.tpc_run_values import measure_runs
from penstock.views.tpc_stability import RunValue, Series, draw_stability, mean_of, median_of

STEADY = [10.0, 10.1, 9.9, 10.05, 9.95, 10.0]


def series(values: list[float], error: float = 0.05) -> Series:
    return Series("x", "Something", "mm", {90 + i: RunValue(value, error) for i, value in enumerate(values)})


def gate(vertices: list[tuple[float, float]]) -> Records:
    columns = {
        "gates": {"Z": np.array([1]), "A": np.array([1]), "x_column": _column("dEdx"), "y_column": _column("brho")},
        "vertices": {name: np.array(values) for name, values in zip("xy", np.transpose(vertices), strict=True)},
    }
    return Gates(n_events=1, columns=columns, offsets={"vertices": np.array([0, len(vertices)])})


def _column(name: str) -> np.ndarray:
    from penstock.tpc.schemas import Estimates

    return np.array([[c.name for c in Estimates.table("estimates").columns].index(name)])


def by_name(measured: list[Series]) -> dict[str, Series]:
    return {one.name: one for one in measured}


def test_a_run_that_is_off_stands_out() -> None:
    (outlier,) = series([*STEADY, 11.5]).outliers()

    assert (outlier.run, outlier.value.value) == (96, 11.5)
    assert outlier.usual == pytest.approx(10.0)
    assert outlier.score > 4.0


def test_a_run_with_a_large_error_does_not_stand_out() -> None:
    values = series([*STEADY, 11.5]).values | {96: RunValue(11.5, 0.5)}

    assert Series("x", "Something", "mm", values).outliers() == []


def test_steady_runs_do_not_stand_out() -> None:
    assert series(STEADY).outliers() == []


def test_of_three_runs_none_can_be_told_to_be_odd() -> None:
    assert series([10.0, 10.0, 20.0]).outliers() == []


def test_runs_without_a_value_do_not_count() -> None:
    one = series([*STEADY, math.nan])

    assert one.usual == pytest.approx(10.0)
    assert one.outliers() == []
    assert one.as_json()["runs"][-1] == {"run": 96, "value": None, "error": 0.05, "score": 0.0, "outlier": False}


def test_equal_runs_have_no_spread_and_one_that_differs_stands_out() -> None:
    (outlier,) = series([5.0, 5.0, 5.0, 5.0, 6.0], error=0.0).outliers()

    assert outlier.run == 94
    assert outlier.score == math.inf


def test_errors_of_mean_and_median_are_those_of_a_normal_distribution() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 10_000)

    mean, median = mean_of(values), median_of(values)

    assert mean.error == pytest.approx(0.02, rel=0.03)
    assert median.error == pytest.approx(0.02 * math.sqrt(math.pi / 2), rel=0.2)
    assert abs(mean.value - 3.0) < 4 * mean.error
    assert abs(median.value - 3.0) < 4 * median.error


@pytest.mark.parametrize("measure", [mean_of, median_of])
def test_nothing_has_no_value_and_one_no_error(measure) -> None:
    assert math.isnan(measure(np.zeros(0)).value)
    assert measure(np.array([3.0])).value == 3.0
    assert math.isnan(measure(np.array([3.0])).error)


def test_the_figure_is_a_png(tmp_path: Path) -> None:
    every = [series([*STEADY, 11.5]), series([math.nan] * 3), series(STEADY), series([1.0])]

    assert draw_stability(every, tmp_path / "stability.png").read_bytes().startswith(b"\x89PNG")


def test_runs_are_measured_from_their_current_results(processed) -> None:
    measured = by_name(measure_runs(processed.experiment, processed.store, "1-3"))

    cloud, tracks = processed.points, processed.estimates
    assert list(measured["points"].values) == [1, 2, 3]
    assert measured["points"].values[1].value == np.diff(cloud.offsets["points"]).mean()
    assert measured["tracks"].values[1].value == len(tracks["estimates"]["event"]) / cloud.n_events
    assert measured["dedx"].values[1].value == np.median(tracks["estimates"]["dEdx"])
    assert math.isnan(measured["points"].values[2].value)
    assert measured["rejected"].values[3].value == 1.0
    stamps = cloud["events"]["timestamp"].astype(float)
    assert measured["rate"].values[1].value == pytest.approx((len(stamps) - 1) * 1e8 / (stamps[-1] - stamps[0]))
    assert "ke" not in measured


def test_a_gate_chooses_the_tracks_that_count(processed) -> None:
    tracks = processed.estimates["estimates"]
    middle = float(np.median(tracks["brho"]))

    measured = by_name(measure_runs(processed.experiment, processed.store, "1", gate=gate([(0, 0), (1e9, 0), (1e9, middle), (0, middle)])))

    low = tracks["brho"] < middle
    assert measured["brho"].values[1].value == np.median(tracks["brho"][low])
    assert measured["tracks"].values[1].value == low.sum() / processed.points.n_events


def test_drift_edges_that_are_not_seen_are_left_out(processed) -> None:
    measured = by_name(measure_runs(processed.experiment, processed.store, "1", drift=True))

    assert "window" not in measured


def test_runs_without_results_say_how_to_compute_them(processed) -> None:
    with pytest.raises(ArtifactMissing, match=r"no run of 2 has a current result. Compute them with: penstock run .* --runs 2"):
        measure_runs(processed.experiment, processed.store, "2")
