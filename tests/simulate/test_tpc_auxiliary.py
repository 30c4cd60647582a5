from __future__ import annotations

import numpy as np
import pytest

from penstock.simulate.tpc_auxiliary import scaler_words, simulate_auxiliary
from penstock.simulate.tpc_settings import TpcSimulation

QUIET = TpcSimulation(ic_pileup_probability=0, ic_early_probability=0)


def test_ion_chamber_pulse_stands_where_the_truth_says() -> None:
    samples, truth = simulate_auxiliary(QUIET, np.random.default_rng(1), reaction=True)

    assert samples.shape == (2048, 8)
    assert abs(int(samples[:, 0].argmax()) - truth.centroid) < 3
    assert samples[:, 0].max() - np.median(samples[:, 0]) == pytest.approx(truth.amplitude, abs=20)


def test_ion_chamber_pulse_comes_after_the_delay() -> None:
    centroids = [simulate_auxiliary(QUIET, np.random.default_rng(i), reaction=True)[1].centroid for i in range(50)]

    assert 1200 <= min(centroids) <= max(centroids) <= 1260


def test_pile_up_adds_a_later_pulse() -> None:
    settings = TpcSimulation(ic_pileup_probability=1, ic_early_probability=0)

    samples, truth = simulate_auxiliary(settings, np.random.default_rng(3), reaction=True)

    assert truth.multiplicity == 2
    assert samples[round(truth.centroid) + 70 :, 0].max() > 1000


def test_early_pulse_does_not_count() -> None:
    settings = TpcSimulation(ic_pileup_probability=0, ic_early_probability=1)

    samples, truth = simulate_auxiliary(settings, np.random.default_rng(3), reaction=True)

    assert truth.multiplicity == 1
    assert samples[:1100, 0].max() > 1000


@pytest.mark.parametrize(("reaction", "highest"), [(True, 600.0), (False, 0.0)], ids=["reaction", "beam only"])
def test_mesh_sees_reactions_only(reaction: bool, highest: float) -> None:
    samples, _ = simulate_auxiliary(QUIET, np.random.default_rng(5), reaction=reaction)

    assert samples[:, 1].max() - np.median(samples[:1000, 1]) == pytest.approx(highest, abs=25)


def test_scalers_have_at_least_eleven_words() -> None:
    words = scaler_words(QUIET, 1, 0)

    assert words.dtype == np.uint32
    assert words.size >= 11


def test_scaler_records_differ() -> None:
    assert len({scaler_words(QUIET, 1, record).tobytes() for record in range(5)}) > 1
