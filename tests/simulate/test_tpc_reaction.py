import numpy as np
import pytest
from pyarrow import parquet
from pydantic import ValidationError

from penstock.core.errors import ConfigError
from penstock.simulate.tpc_events import simulate_event
from penstock.simulate.tpc_reaction import draw_emission, kinematics_params
from penstock.simulate.tpc_runs import truth_path, truth_table, write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.tpc.kinematics import beam_curve, beam_energy
from penstock.tpc.reaction import parse_reaction, reconstruct_residue

SETTINGS = TpcSimulation(reaction="16O(d,p)17O", gas="D2", excitations_mev=(0.0, 0.8707), noise_pads=2, beam_electrons_per_mm=0)


def test_the_ejectile_of_an_event_tells_the_level_that_was_drawn():
    truth = [simulate_event(SETTINGS, 1, event).truth[0] for event in range(4)]
    reaction, params = parse_reaction(SETTINGS.reaction), kinematics_params(SETTINGS)
    beam_ke = beam_energy(reaction, params, beam_curve(reaction, params), np.array([row["vertex_z"] for row in truth]))
    found = reconstruct_residue(reaction, beam_ke, np.array([row["ke"] for row in truth]), np.array([row["polar"] for row in truth]))
    np.testing.assert_allclose(found.ex_mev, [row["ex"] for row in truth], atol=1e-6)
    np.testing.assert_allclose(found.theta_cm_rad, [row["theta_cm"] for row in truth], atol=1e-6)
    np.testing.assert_allclose(beam_ke, [row["beam_ke"] for row in truth])


def test_levels_and_angles_are_drawn_evenly():
    rng = np.random.default_rng(5)
    settings = SETTINGS.model_copy(update={"theta_cm_min_deg": 30.0, "theta_cm_max_deg": 120.0})
    drawn = [draw_emission(settings, 300.0, rng) for _ in range(2000)]
    cosines = np.cos([e.theta_cm for e in drawn])
    low, high = np.cos(np.deg2rad([120.0, 30.0]))
    assert low <= cosines.min() < low + 0.01
    assert high - 0.01 < cosines.max() <= high
    assert np.mean(cosines) == pytest.approx((low + high) / 2, abs=0.04)
    assert np.mean([e.ex == 0.0 for e in drawn]) == pytest.approx(0.5, abs=0.04)


def test_the_truth_has_the_columns_of_the_reaction_only_with_one(tmp_path):
    path = write_run(tmp_path, SETTINGS, 3, 2)
    names = parquet.read_table(truth_path(path)).schema.names
    assert names[-3:] == ["ex", "theta_cm", "beam_ke"]
    assert truth_table([], TpcSimulation()).schema.names == names[:-3]


def test_settings_of_a_reaction_change_nothing_without_one():
    plain = simulate_event(TpcSimulation(), 1, 0)
    same = simulate_event(TpcSimulation(excitations_mev=(1.0,), theta_cm_max_deg=90.0, beam_energy_mev=50.0), 1, 0)
    np.testing.assert_array_equal(plain.trace_matrix(), same.trace_matrix())
    assert plain.truth == same.truth
    assert "ex" not in plain.truth[0]


def test_another_ejectile_than_the_particle_is_refused():
    settings = SETTINGS.model_copy(update={"reaction": "16O(d,t)15O"})
    with pytest.raises(ConfigError, match=r"reaction '16O\(d,t\)15O': the ejectile is 3H, but particles names 'p'; they must be the same"):
        draw_emission(settings, 300.0, np.random.default_rng(1))


def test_a_beam_below_the_threshold_is_refused():
    settings = SETTINGS.model_copy(update={"beam_energy_mev": 30.0, "excitations_mev": (20.0,)})
    with pytest.raises(ConfigError, match=r"the beam has \d+\.\d\d MeV left at z = 300 mm, too little to excite 17O by 20 MeV"):
        draw_emission(settings, 300.0, np.random.default_rng(1))


def test_a_reaction_with_two_particles_is_refused():
    with pytest.raises(ValidationError, match="a reaction has one ejectile, but particles"):
        TpcSimulation(reaction="16O(d,p)17O", particles=("p", "p"))


def test_angles_in_the_centre_of_mass_ascend():
    with pytest.raises(ValidationError, match=r"theta_cm_min_deg .* must not exceed theta_cm_max_deg"):
        TpcSimulation(theta_cm_min_deg=90.0, theta_cm_max_deg=10.0)
