from __future__ import annotations

import numpy as np
import pytest

from penstock.simulate.tpc_events import SimulatedEvent, simulate_event
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.tpc.pads import pad_plane

DEFAULT = TpcSimulation()
CLEAN = TpcSimulation(noise_pads=0, noise_adc=0, common_noise_adc=0, wander_adc=0, beam_electrons_per_mm=0, downscale_probability=0)


def contents(event: SimulatedEvent) -> tuple[object, ...]:
    frib = b"" if event.frib is None else event.frib.tobytes()
    return event.trace_matrix().tobytes(), frib, event.register, event.timestamp, event.truth


def heights(event: SimulatedEvent) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    inner = event.samples[:, 1:-1].astype(float)
    return np.asarray(inner.max(axis=1) - np.median(inner, axis=1))


def test_an_event_does_not_depend_on_those_before() -> None:
    fresh = simulate_event(DEFAULT, 1, 7)
    simulate_event(DEFAULT, 1, 6)

    assert contents(simulate_event(DEFAULT, 1, 7)) == contents(fresh)


@pytest.mark.parametrize(
    ("settings", "run", "event"),
    [(TpcSimulation(seed=2), 1, 7), (DEFAULT, 2, 7), (DEFAULT, 1, 8)],
    ids=["seed", "run", "event"],
)
def test_seed_run_and_event_each_make_another_event(settings: TpcSimulation, run: int, event: int) -> None:
    assert contents(simulate_event(settings, run, event)) != contents(simulate_event(DEFAULT, 1, 7))


def test_noise_does_not_change_the_reaction() -> None:
    assert simulate_event(CLEAN, 1, 3).truth[0]["brho"] == simulate_event(DEFAULT, 1, 3).truth[0]["brho"]


def test_traces_have_the_form_of_the_run_files() -> None:
    event = simulate_event(DEFAULT, 1, 0)

    matrix = event.trace_matrix()

    assert matrix.dtype == np.int16
    assert matrix.shape == (event.pads.size, 517)
    assert (matrix[:, 5:].min() >= 0) & (matrix[:, 5:].max() <= 4095)


def test_a_pad_fires_once() -> None:
    pads = simulate_event(DEFAULT, 1, 0).pads

    assert np.unique(pads).size == pads.size


def test_events_have_as_many_pads_as_those_of_the_detector() -> None:
    counts = [simulate_event(DEFAULT, 1, number).pads.size for number in range(40)]

    assert 400 < np.median(counts) < 800


def test_circle_of_the_pads_follows_the_rigidity() -> None:
    settings = CLEAN.model_copy(update={"ke_min_mev": 4.0, "ke_max_mev": 4.0, "polar_min_deg": 45.0, "polar_max_deg": 45.0})
    event = simulate_event(settings, 1, 0)
    x, y = (pad_plane()["pads"][name][event.pads] for name in "xy")
    truth = event.truth[0]
    radius = truth["brho"] * np.sin(truth["polar"]) / settings.magnetic_field_t * 1000
    centre_x = truth["vertex_x"] - radius * np.sin(truth["azimuthal"])
    centre_y = truth["vertex_y"] + radius * np.cos(truth["azimuthal"])

    distances = np.hypot(x - centre_x, y - centre_y)

    assert np.average(distances, weights=heights(event)) == pytest.approx(radius, rel=0.06)


def test_pulses_peak_at_the_drift_time_of_the_track() -> None:
    straight = {"polar_min_deg": 0.0, "polar_max_deg": 0.0, "vertex_z_min_mm": 500.0, "vertex_z_max_mm": 500.0}
    point_like = {"ke_min_mev": 0.01, "ke_max_mev": 0.01, "transverse_diffusion_mm_per_sqrt_m": 0.0, "vertex_sigma_mm": 0.0}
    settings = CLEAN.model_copy(update={**straight, **point_like})

    event = simulate_event(settings, 1, 0)

    peak = event.samples[heights(event).argmax()].argmax()
    assert peak == pytest.approx(10 + 550 * 0.5, abs=2)


def test_two_tracks_leave_one_vertex_back_to_back() -> None:
    event = simulate_event(TpcSimulation(particles=("p", "d")), 1, 0)

    first, second = event.truth

    assert [first[axis] for axis in ("vertex_x", "vertex_y", "vertex_z")] == [second[axis] for axis in ("vertex_x", "vertex_y", "vertex_z")]
    assert abs(first["azimuthal"] - second["azimuthal"]) == pytest.approx(np.pi)
    assert [first["particle"], second["particle"]] == ["p", "d"]


@pytest.mark.parametrize("particle", ["p", "d", "t", "3He", "4He"])
@pytest.mark.parametrize("gas", ["H2", "D2", "He"])
def test_every_particle_leaves_pads_in_every_gas(particle: str, gas: str) -> None:
    settings = TpcSimulation.model_validate({"particles": [particle], "gas": gas, "downscale_probability": 0})

    truth = simulate_event(settings, 1, 0).truth[0]

    assert truth["n_pads"] > 10


def test_downscale_events_have_beam_alone() -> None:
    event = simulate_event(TpcSimulation(downscale_probability=1), 1, 0)

    assert (event.register, event.truth[0]["trigger"], event.truth[0]["n_pads"]) == (2, 2, 0)
    assert event.pads.size < 100


def test_edges_of_the_traces_carry_glitches() -> None:
    samples = simulate_event(DEFAULT, 1, 0).samples.astype(float)

    first, last = (samples[:, 0] - samples[:, 1]).mean(), (samples[:, -1] - samples[:, -2]).mean()

    assert (first, last) == (pytest.approx(-60, abs=5), pytest.approx(40, abs=5))


def test_strong_ionisation_saturates() -> None:
    event = simulate_event(CLEAN.model_copy(update={"adc_per_electron": 1000.0}), 1, 0)

    assert event.samples.max() == 4095


def test_an_event_without_auxiliary_detectors_has_no_ion_chamber() -> None:
    event = simulate_event(TpcSimulation(auxiliary=False), 1, 0)

    assert event.frib is None
    assert (event.truth[0]["ic_amplitude"], event.truth[0]["ic_multiplicity"]) == (-1.0, -1)


def test_an_event_without_any_charge_has_no_pads() -> None:
    settings = CLEAN.model_copy(update={"downscale_probability": 1.0})

    assert simulate_event(settings, 1, 0).samples.shape == (0, 512)
