from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock.kernels.baseline import subtract_baseline
from penstock.simulate.tpc_electronics import BINS_PER_BUCKET, shape_pulses, shaper_response
from penstock.tpc.fit_errors import BIG_SIDE_MM, Conditions, find_mixed, peak_delays, weigh_points
from penstock.tpc.fit_places import ALONG, BEND, COSINE, DEPTH, IN_PLANE, LOSS, OFF_PLANE, PLACE_COLUMNS, SINE
from penstock.tpc.pads import SMALL_SIDE_MM

F8 = NDArray[np.float64]
CONDITIONS = Conditions(1000.0, 1000.0 / 550.0, 3.0, 3.0, 0.5, 6.25, 36.5e-6, 24.0, robust=False)
GAIN = 1.18e6
RNG = np.random.default_rng(6)


def some_places(n: int, *, sine: float = 0.8) -> F8:
    places = np.zeros((n, PLACE_COLUMNS))
    places[:, ALONG] = np.linspace(5.0, 60.0, n)
    places[:, BEND], places[:, LOSS], places[:, DEPTH] = 0.01, 1e-3, 500.0
    places[:, SINE], places[:, COSINE] = sine, np.sqrt(1.0 - sine**2)
    return places


def weigh(places: F8, charge: F8, side: F8, conditions: Conditions = CONDITIONS) -> tuple[F8, F8, F8]:
    n = len(places)
    points, mixed = np.full((n, 3), 100.0), np.zeros(n, np.bool_)
    delay, bulge, weights = np.zeros(n), np.zeros(n), np.empty((n, 2))
    delays = peak_delays(conditions.shaping)
    weigh_points(points, charge, side, places, mixed, GAIN, 255.0, conditions, delays, delay, bulge, weights)
    return delay, bulge, weights


def test_delay_is_that_of_simulated_pulses() -> None:
    response, first = shaper_response(6.25)
    spread = 1.5
    bins = np.rint((256.0 + spread * RNG.standard_normal(400_000)) * BINS_PER_BUCKET).astype(np.int64)
    late = []
    for phase in range(BINS_PER_BUCKET):
        pulse = shape_pulses(np.zeros(len(bins), np.int64), bins + phase, np.full(len(bins), 1e-3, np.float32), 1, response, first, 0)
        level = subtract_baseline(np.rint(pulse + 350.0).astype(np.int16), 20.0)[0].astype(float)
        top = int(np.argmax(level))
        a, b, c, d, e = level[top - 2 : top + 3]
        late.append(top - (2 * (e - a) + d - b) / 10 / ((2 * (a + e) - b - d - 2 * c) / 7) - 256.0 - phase / BINS_PER_BUCKET)

    expected = np.interp(spread / 6.25, 0.05 * np.arange(41), peak_delays(6.25)) * 6.25

    assert np.mean(late) == pytest.approx(expected, rel=0.06)


def test_without_shaping_nothing_is_delayed() -> None:
    assert not peak_delays(0.0).any()
    assert not weigh(some_places(4), np.full(4, 1e3), np.full(4, 4.9), CONDITIONS._replace(shaping=0.0))[0].any()


def test_weights_are_the_inverse_errors_of_the_stretch_over_its_points() -> None:
    places = some_places(5)
    charge, side = RNG.uniform(500, 3000, 5), np.array([SMALL_SIDE_MM, SMALL_SIDE_MM, BIG_SIDE_MM, BIG_SIDE_MM, SMALL_SIDE_MM])

    _, bulge, weights = weigh(places, charge, side)

    diffusion, pad = 9.0 * 0.5, 5 / 96 * side**2
    per_electron = 36.5e-6 / 1e-3
    share = np.where(side > 6.0, 0.016, 0.012)
    in_plane = 3.5 * per_electron * (pad + diffusion) + share * side**3 * np.exp(-24.0 * diffusion / side**2)
    off_plane = 1.9 * per_electron * (0.64 * diffusion + 0.36 * (pad + diffusion))
    off_plane += 1.33 * (10 * 0.5 * 1000 / 550 * per_electron * 0.8) ** 2 + 0.003 * 0.36 * side**3
    assert bulge == pytest.approx(0.5 * 0.01 * (pad + diffusion))
    far = bulge**2 / (25 * (pad + diffusion))
    spread2 = 0.1 * 0.36 * (pad + diffusion) + 0.64 * (0.2 * diffusion + (0.6 * 0.5 * 1000 / 550) ** 2)
    far = np.maximum(far, places[:, OFF_PLANE] ** 2 / (36 * spread2))
    length = charge / (GAIN * 1e-3) * (1 - far) ** 2
    assert weights[:, 0] == pytest.approx(length / in_plane)
    assert weights[:, 1] == pytest.approx(length / off_plane)


@pytest.mark.parametrize("column", [IN_PLANE, OFF_PLANE], ids=["in plane", "off plane"])
def test_far_points_do_not_count_unless_robust(column: int) -> None:
    places = some_places(3)
    places[1, column] = 40.0

    strict = weigh(places.copy(), np.full(3, 1e3), np.full(3, 4.9))[2]
    robust = weigh(places.copy(), np.full(3, 1e3), np.full(3, 4.9), CONDITIONS._replace(robust=True))[2]

    assert strict[1].tolist() == [0.0, 0.0]
    assert np.all(robust[1] > 0.0)
    assert np.all(robust[1] < 0.2 * robust[0])


def test_points_beyond_the_track_and_next_to_blind_pads_do_not_count() -> None:
    places = some_places(3)
    places[0, ALONG], places[1, ALONG] = 0.0, 255.0
    points = np.array([[100.0, 0.0, 0.0], [100.0, 0.0, 0.0], [23.0, 0.0, 0.0]])
    weights = np.ones((3, 2))
    some = np.full(3, 1e3)
    weigh_points(
        points, some, np.full(3, 4.9), places, np.zeros(3, np.bool_), GAIN, 255.0, CONDITIONS, peak_delays(6.25), np.zeros(3), np.zeros(3),
        weights,
    )  # fmt: skip

    assert not weights.any()


def test_mixed_are_points_with_pads_of_both_sizes_near() -> None:
    n = 400
    places = some_places(n)
    places[:, ALONG] = RNG.permutation(np.linspace(0.0, 50.0, n))
    side = np.where(places[:, ALONG] > 30.0, BIG_SIDE_MM, SMALL_SIDE_MM)
    charge = RNG.uniform(1.0, 2.0, n)

    mixed = find_mixed(places, charge, side, mm_per_sample=10.0)

    for i in range(n):
        near = np.abs(places[:, ALONG] - places[i, ALONG]) <= 1.2
        big = charge[near & (side > 6.0)].sum() / charge[near].sum()
        assert mixed[i] == (0.02 < big < 0.98)
