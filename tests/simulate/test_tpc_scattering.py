from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock.simulate.tpc_events import simulate_event
from penstock.simulate.tpc_ions import IONS, stopping_table
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.simulate.tpc_transport import follow_random_tracks, follow_tracks, most_steps

F8 = NDArray[np.float64]
GAS = stopping_table("p", "H2", 300.0)
STEPS = (1.0, 100.0)
TRACKS = 3000
RADIATION_LENGTH_MM = 1.92e7


def fly(radiation_length_mm: float, straggling: float) -> tuple[F8, F8]:
    """Last place and energy of protons of 3 MeV that start along x without fields, (tracks, 3) and (tracks,)."""
    start = np.tile([0.0, 0.0, 500.0, 1.0, 0.0, 0.0, 3.0], (TRACKS, 1))
    deviates = np.random.default_rng(3).standard_normal((TRACKS, most_steps(STEPS), 3))
    loss = np.tile(GAS.mev_per_mm, (TRACKS, 1))
    ion = np.ones(TRACKS), np.full(TRACKS, IONS["p"].mass_mev)
    points, counts, _ = follow_random_tracks(
        start, *ion, loss, (0.0, 0.0), (1000.0, 1e6), STEPS, deviates, radiation_length_mm, np.full(TRACKS, straggling)
    )
    last = points[np.arange(TRACKS), counts - 1]
    return last[:, :3], last[:, 3]


def test_straggling_has_the_variance_of_bohr() -> None:
    _, still = fly(np.inf, 0.0)
    _, ke = fly(np.inf, GAS.straggling_mev2_per_mm)

    assert np.ptp(still) == 0.0
    assert ke.mean() == pytest.approx(still[0], abs=3e-4)
    assert ke.var() == pytest.approx(100.0 * GAS.straggling_mev2_per_mm, rel=0.1)


def test_scattering_spreads_as_highland_says() -> None:
    places, ke = fly(RADIATION_LENGTH_MM, 0.0)

    energy = 2.95 + IONS["p"].mass_mev
    beta_p = 2.95 * (2.95 + 2 * IONS["p"].mass_mev) / energy
    per_mm = (13.6 / beta_p) ** 2 / RADIATION_LENGTH_MM * (1 + 0.038 * np.log(500.0 / RADIATION_LENGTH_MM * energy / beta_p)) ** 2
    expected = np.sqrt(per_mm * 100.0**3 / 3.0)
    assert np.ptp(ke) == 0.0
    assert places[:, 1].std() == pytest.approx(expected, rel=0.06)
    assert places[:, 2].std() == pytest.approx(expected, rel=0.06)
    assert abs(np.corrcoef(places[:, 1], places[:, 2])[0, 1]) < 0.08


def test_without_deviates_tracks_are_those_of_the_still_transport() -> None:
    start = np.array([[0.0, 0.0, 300.0, 0.6, 0.0, 0.8, 3.0]])
    flight = (start, np.ones(1), np.array([IONS["p"].mass_mev]), GAS.mev_per_mm[None], (2.85, 45000.0), (1000.0, 292.0), (1.0, 6000.0))

    still = follow_tracks(*flight)[0]
    none = follow_random_tracks(*flight, np.zeros((1, 0, 3)), RADIATION_LENGTH_MM, np.ones(1))[0]

    assert still.tobytes() == none.tobytes()


def test_event_differs_in_its_tracks_alone() -> None:
    plain, scattered = (simulate_event(TpcSimulation(multiple_scattering=flag, energy_straggling=flag), 1, 0) for flag in (False, True))

    one, other = dict(plain.truth[0]), dict(scattered.truth[0])
    changed = {name for name in one if one[name] != other[name]}
    assert changed <= {"path_mm", "end", "n_pads"}
    assert not np.array_equal(plain.pads, scattered.pads)
    assert plain.frib is not None
    assert scattered.frib is not None
    assert np.array_equal(plain.frib, scattered.frib)
