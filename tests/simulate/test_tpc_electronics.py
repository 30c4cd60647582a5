from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from penstock.simulate.tpc_electronics import (
    BINS_PER_BUCKET,
    N_SAMPLES,
    count_electrons,
    digitise,
    find_pads,
    hardware_ids,
    shape_pulses,
    shaper_response,
)
from penstock.tpc.pads import N_PADS, lattice_pads, pad_corners

SEEDS = st.integers(0, 2**32 - 1)
CORNERS = np.array([pad_corners(pad) for pad in range(N_PADS)])


def pads_by_their_corners(x: NDArray[np.float32], y: NDArray[np.float32]) -> list[set[int]]:
    """Pads that hold each place, edges included: on the inner side of each of three edges."""
    edges = np.roll(CORNERS, -1, axis=1) - CORNERS
    found = []
    for place in np.stack([x, y], axis=1).astype(float):
        away = place - CORNERS
        crossed = edges[:, :, 0] * away[:, :, 1] - edges[:, :, 1] * away[:, :, 0]
        found.append(set(np.flatnonzero((crossed >= -1e-3).all(axis=1)).tolist()) or {-1})
    return found


@settings(deadline=None)
@given(seed=SEEDS)
def test_pads_are_found_by_their_corners(seed: int) -> None:
    places = np.random.default_rng(seed).uniform(-300, 300, size=(2, 20)).astype(np.float32)

    found = find_pads(places[0], places[1], lattice_pads())

    assert all(pad in expected for pad, expected in zip(found.tolist(), pads_by_their_corners(*places), strict=True))


def test_places_far_outside_have_no_pad() -> None:
    far = np.array([1e6, -1e6, 0.0, 280.0], dtype=np.float32)

    assert find_pads(far, far[::-1].copy(), lattice_pads()).tolist() == [-1, -1, -1, -1]


@settings(deadline=None)
@given(seed=SEEDS)
def test_electrons_are_counted_as_by_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    slots, bins = rng.integers(-1, 6, size=300), rng.integers(-2, 14, size=300)
    expected = np.zeros((5, 12), dtype=np.int64)
    valid = (slots >= 0) & (slots < 5) & (bins >= 0) & (bins < 12)
    np.add.at(expected, (slots[valid], bins[valid]), 1)

    slot, time, count = count_electrons(slots, bins, (5, 12))

    assert np.array_equal(np.stack([slot, time]), np.stack(np.nonzero(expected)))
    assert np.array_equal(count, expected[expected > 0])


@settings(deadline=None)
@given(seed=SEEDS)
def test_pulses_add_up_as_by_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    response, first = shaper_response(6.25)
    slots, bins = rng.integers(0, 3, size=30), rng.integers(0, 580 * BINS_PER_BUCKET, size=30)
    charges = rng.uniform(1, 100, size=30).astype(np.float32)
    padded = np.zeros((3, 1000))
    for slot, time, charge in zip(slots, bins, charges, strict=True):
        begin = 100 - 32 + time // BINS_PER_BUCKET + first
        padded[slot, begin : begin + response.shape[1]] += charge * response[time % BINS_PER_BUCKET].astype(float)

    pulses = shape_pulses(slots, bins, charges, 3, response, first, -32)

    assert pulses == pytest.approx(padded[:, 100 : 100 + N_SAMPLES], abs=1e-3)


def test_response_is_highest_when_the_charge_comes() -> None:
    response, first = shaper_response(6.25)

    assert response[0, -first] == pytest.approx(1.0, abs=1e-4)
    assert response[0].argmax() == -first


def test_a_later_phase_delays_the_pulse() -> None:
    response, _ = shaper_response(6.25)
    buckets = np.arange(response.shape[1])

    means = response @ buckets / response.sum(axis=1)

    assert np.diff(means) == pytest.approx(1 / BINS_PER_BUCKET, abs=0.01)


@settings(deadline=None)
@given(seed=SEEDS)
def test_samples_are_the_rounded_sum_within_the_range_of_the_adc(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pulses, baseline, noise = (rng.uniform(-500, 5000, size=(4, N_SAMPLES)).astype(np.float32) for _ in range(3))
    common, chips = rng.normal(0, 2, size=(2, N_SAMPLES)).astype(np.float32), np.array([0, 1, 1, 0])
    glitches = rng.normal(0, 30, size=(4, 2)).astype(np.float32)
    total = pulses.astype(float) + baseline + noise + common[chips]
    total[:, 0] += glitches[:, 0]
    total[:, -1] += glitches[:, 1]

    samples = digitise(pulses, baseline, noise, common, chips, glitches)

    assert samples.dtype == np.int16
    assert np.abs(samples - np.clip(total, 0, 4095)).max() < 0.51


def test_every_pad_has_hardware_of_its_own() -> None:
    assert np.unique(hardware_ids(np.arange(N_PADS)), axis=0).shape == (N_PADS, 4)


def test_no_pad_uses_a_channel_of_fixed_pattern_noise() -> None:
    channels = set(hardware_ids(np.arange(N_PADS))[:, 3].tolist())

    assert channels == set(range(68)) - {11, 22, 45, 56}
