import numpy as np
import pytest

from penstock.core.errors import ConfigError
from penstock.tpc.reaction import emit, kinematic_curve, parse_reaction, reconstruct_residue


@pytest.mark.parametrize(
    "text, q_mev",
    [
        ("16O(d,p)17O", 1.9185),
        ("12C(d,p)13C", 2.7217),
        ("t(d,n)4He", 17.5893),
        ("14N(a,p)17O", -1.1919),
        ("7Li(p,a)4He", 17.3460),
        ("12C(p,p)12C", 0.0),
    ],
)
def test_q_values_are_those_of_the_mass_evaluation_within_1_kev(text, q_mev):
    assert parse_reaction(text).q_mev == pytest.approx(q_mev, abs=1e-3)


def test_the_residue_is_found_where_it_is_left_out():
    assert parse_reaction("10Be(d,p)") == parse_reaction("10Be(d,p)11Be")
    assert parse_reaction(" 10Be ( d , p ) 11Be ").residue.symbol == "11Be"


def test_either_nucleus_may_be_the_beam():
    inverse, direct = parse_reaction("16O(d,p)17O"), parse_reaction("16O(d,p)17O", "second")
    assert (inverse.beam.symbol, inverse.target.symbol) == ("16O", "2H")
    assert (direct.beam.symbol, direct.target.symbol) == ("2H", "16O")
    assert direct.q_mev == pytest.approx(inverse.q_mev, abs=1e-12)


@pytest.mark.parametrize(
    "text, message",
    [
        ("16O+d", "reaction '16O+d' is not understood; expected A(b,c)D, such as '16O(d,p)17O'."),
        ("16O(d,p)16O", "reaction '16O(d,p)16O': nucleon numbers do not balance, 18 before and 17 after; the residue has Z=8, A=17."),
        ("16O(d,p)17F", "reaction '16O(d,p)17F': charge numbers do not balance, 9 before and 10 after; the residue has Z=8, A=17."),
        (
            "16O(q,p)17O",
            "reaction '16O(q,p)17O': nuclide 'q' is not understood; expected a mass number and a symbol, such as '16O', or one of n, p, d, t, a.",
        ),
        ("p(p,d)", "reaction 'p(p,d)': nuclide Z=1, A=0 is not in the mass table; H is known from A=1 to A=6."),
    ],
    ids=["form", "nucleons", "charge", "nuclide", "no residue"],
)
def test_a_wrong_reaction_says_what_would_be_right(text, message):
    with pytest.raises(ConfigError) as error:
        parse_reaction(text)
    assert str(error.value) == message


@pytest.mark.parametrize("beam", ["first", "second"])
def test_excitation_energy_and_angle_come_back_within_1_ev(beam):
    reaction = parse_reaction("16O(d,p)17O", beam)
    theta, excitation, beam_ke = np.meshgrid(np.linspace(0.05, 3.1, 20), [0.0, 0.8707, 3.055], [90.0, 160.0])
    polar, ke = emit(reaction, beam_ke, excitation, theta)
    found = reconstruct_residue(reaction, beam_ke, ke, polar)
    np.testing.assert_allclose(found.ex_mev, excitation, atol=1e-6)
    np.testing.assert_allclose(found.theta_cm_rad, theta, atol=1e-6)


def test_energy_and_momentum_are_conserved():
    reaction = parse_reaction("16O(d,p)17O")
    polar, ke = emit(reaction, 160.0, 0.8707, 2.0)
    beam_p = np.sqrt(160.0 * (160.0 + 2 * reaction.beam.mass_mev))
    proton_p = np.sqrt(ke * (ke + 2 * reaction.ejectile.mass_mev))
    residue_p2 = (beam_p - proton_p * np.cos(polar)) ** 2 + (proton_p * np.sin(polar)) ** 2
    residue_ke = np.sqrt(residue_p2 + (reaction.residue.mass_mev + 0.8707) ** 2) - reaction.residue.mass_mev - 0.8707
    assert 160.0 + reaction.q_mev - 0.8707 == pytest.approx(ke + residue_ke, abs=1e-8)


def test_elastic_scattering_of_equal_masses_at_rest_gives_the_classic_angle():
    polar, ke = emit(parse_reaction("p(p,p)p"), 1e-3, 0.0, np.pi / 2)
    assert polar == pytest.approx(np.pi / 4, abs=1e-5)
    assert ke == pytest.approx(0.5e-3, rel=1e-5)


def test_slopes_are_those_of_the_excitation_energy():
    reaction = parse_reaction("16O(d,p)17O")
    at = np.array([100.0]), np.array([4.0]), np.array([2.1])
    found = reconstruct_residue(reaction, *at)
    for place, slope in enumerate((found.by_beam_ke, found.by_ke, found.by_polar)):
        step = np.zeros(3)
        step[place] = 1e-5
        above, below = (reconstruct_residue(reaction, *(v + s * step[i] for i, v in enumerate(at))).ex_mev for s in (1, -1))
        assert slope == pytest.approx((above - below) / 2e-5, rel=1e-5)


def test_what_cannot_be_is_not_a_number():
    reaction = parse_reaction("16O(d,p)17O")
    stopped = reconstruct_residue(reaction, np.array([0.0]), np.array([4.0]), np.array([1.0]))
    impossible = reconstruct_residue(reaction, np.array([100.0]), np.array([1e5]), np.array([3.0]))
    assert np.isnan([stopped.ex_mev, stopped.theta_cm_rad, impossible.ex_mev, impossible.theta_cm_rad]).all()
    assert np.isnan(emit(reaction, 1.0, 20.0, 1.0)).all()


def test_a_curve_runs_from_forward_to_backward():
    polar, ke = kinematic_curve(parse_reaction("16O(d,p)17O"), 160.0, 0.0)
    assert (polar[0], polar[-1]) == pytest.approx((0.0, np.pi), abs=1e-6)
    assert ke[0] > ke[-1]
    assert len(polar) == len(ke) == 361


def test_a_curve_below_the_threshold_is_refused():
    with pytest.raises(ConfigError, match=r"a beam of 1 MeV cannot excite 17O by 20 MeV: below the threshold \(Q = 1.919 MeV\)"):
        kinematic_curve(parse_reaction("16O(d,p)17O"), 1.0, 20.0)
