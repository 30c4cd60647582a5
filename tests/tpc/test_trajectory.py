import numpy as np
import pytest
from scipy.integrate import solve_ivp

from penstock.tpc.gas import parse_gas
from penstock.tpc.nuclei import parse_nucleus
from penstock.tpc.schemas import MESH_SAMPLES
from penstock.tpc.stopping import stopping_curve
from penstock.tpc.trajectory import circles_to_track, follow_ion, ion_in_fields, sample_track, spiral_arms

FIELDS = (2.85, 45000.0)
GAS = parse_gas("H2", 300.0, 293.0)


def reference_track(particle, curve, ke, polar, paths):
    """The momentum vector under Lorentz force and stopping, by an adaptive method of eighth order; places and energies at paths."""
    charge, mass = particle.Z, particle.mass_mev
    magnetic = np.array([0.0, 0.0, -0.299792458 * FIELDS[0]])
    electric = np.array([0.0, 0.0, -FIELDS[1] * 1e-9])

    def slope(_, state):
        momentum = state[3:]
        size = np.linalg.norm(momentum)
        energy = np.hypot(size, mass)
        unit, speed = momentum / size, size / energy
        loss = np.interp(np.log(energy - mass), np.log(curve.ke_mev), curve.mev_per_mm)
        force = charge * (electric / speed + np.cross(unit, magnetic)) - loss / speed * unit
        return np.concatenate([unit, force])

    start = np.concatenate([np.zeros(3), np.sqrt(ke * (ke + 2 * mass)) * np.array([np.sin(polar), 0.0, np.cos(polar)])])
    flight = solve_ivp(slope, (0.0, paths[-1]), start, method="DOP853", rtol=1e-8, atol=1e-7, t_eval=paths)
    assert flight.success
    return flight.y[:3].T, np.hypot(np.linalg.norm(flight.y[3:], axis=0), mass) - mass


@pytest.mark.parametrize(
    "name, ke, polar_deg",
    [("p", 0.6, 40.0), ("p", 2.0, 110.0), ("p", 12.0, 75.0), ("4He", 4.0, 30.0), ("d", 2.5, 160.0)],
    ids=["slow", "backward", "fast", "alpha", "deuteron"],
)
def test_places_agree_with_an_adaptive_integrator_within_10_micrometres(name, ke, polar_deg):
    particle = parse_nucleus(name)
    curve = stopping_curve(particle, GAS)
    track, length = sample_track(particle, curve, ke, np.deg2rad(polar_deg), FIELDS, 2000.0)
    inner = np.arange(0, 255, 6)
    places, energies = reference_track(particle, curve, ke, np.deg2rad(polar_deg), length * inner / 255)
    np.testing.assert_allclose(track[inner, :3], places, atol=0.01)
    np.testing.assert_allclose(track[inner, 3], energies, rtol=2e-5, atol=1e-5)


def test_a_stopped_track_ends_at_the_range_of_the_gas():
    particle = parse_nucleus("p")
    curve = stopping_curve(particle, GAS)
    track, length = sample_track(particle, curve, 1.5, np.pi / 2, (2.85, 0.0), 6000.0)
    assert length == pytest.approx(curve.path_to_rest(1.5) - curve.path_to_rest(1e-3), abs=0.02)
    assert track[-1, 3] == pytest.approx(1e-3, rel=1e-3)


def test_a_fast_track_is_cut_before_the_longest_path():
    particle = parse_nucleus("p")
    track, length = sample_track(particle, stopping_curve(particle, GAS), 60.0, 1.0, FIELDS, 3000.0)
    assert 0.85 * 3000.0 < length <= 3000.0
    assert np.linalg.norm(np.diff(track[:, :3], axis=0), axis=1).sum() == pytest.approx(length, rel=1e-4)


def test_followed_length_grows_smoothly_with_energy():
    particle = parse_nucleus("p")
    curve = stopping_curve(particle, GAS)
    energies = np.geomspace(2.0, 20.0, 120)
    lengths = np.array([sample_track(particle, curve, ke, 1.0, FIELDS, 3000.0)[1] for ke in energies])
    growth = np.diff(lengths)
    assert (growth > -0.02 * lengths[1:]).all()
    assert np.abs(np.diff(growth)).max() < 10.0


def test_the_field_turns_counter_clockwise_and_pushes_to_the_window():
    particle = parse_nucleus("p")
    curve = stopping_curve(particle, GAS)
    track, _ = sample_track(particle, curve, 1.0, np.pi / 2, FIELDS, 6000.0)
    assert track[10, 1] > 0
    assert track[-1, 2] < -1.0


def test_the_radius_is_that_of_the_rigidity():
    particle = parse_nucleus("p")
    ion = ion_in_fields(particle, FIELDS)
    curve = stopping_curve(particle, GAS)
    arms = spiral_arms(ion, curve.mev_per_mm)
    place = np.searchsorted(curve.ke_mev, 20.0)
    assert arms[0, place] == pytest.approx(particle.rigidity_tm(curve.ke_mev[place]) / 2.85 * 1000, rel=1e-4)
    assert arms[1, place] == pytest.approx(-np.pi / 2, abs=2e-3)


def test_without_electric_field_the_centre_stays_where_it_is():
    particle = parse_nucleus("p")
    curve = stopping_curve(particle, GAS)
    ion = ion_in_fields(particle, (2.85, 0.0))
    circles = np.empty((MESH_SAMPLES, 6), dtype=np.float32)
    tables = curve.mev_per_mm, spiral_arms(ion, curve.mev_per_mm)
    follow_ion(3.0, 1.2, ion, tables, (float(curve.path_to_rest(3.0)), 1e-3, 6000.0), circles)
    np.testing.assert_allclose(circles[:, :2], circles[:1, :2].repeat(MESH_SAMPLES, 0), atol=2e-3)
    np.testing.assert_allclose(circles_to_track(circles)[0, :3], 0.0, atol=1e-4)
