import numpy as np
import pytest

from penstock.core.errors import ConfigError
from penstock.tpc.nuclei import common_mass_number, nucleus, parse_nucleus


@pytest.mark.parametrize(
    "name, charge, mass_number, mass_mev",
    [
        ("p", 1, 1, 938.27209),
        ("d", 1, 2, 1875.61294),
        ("t", 1, 3, 2808.92113),
        ("3He", 2, 3, 2808.39161),
        ("a", 2, 4, 3727.37941),
        ("n", 0, 1, 939.56542),
    ],
)
def test_light_nuclei_have_the_codata_masses_within_100_ev(name, charge, mass_number, mass_mev):
    found = parse_nucleus(name)
    assert (charge, mass_number) == (found.Z, found.A)
    assert found.mass_mev == pytest.approx(mass_mev, abs=1e-4)


def test_a_name_and_its_numbers_are_the_same_nucleus():
    assert parse_nucleus("16O") == nucleus(8, 16)
    assert parse_nucleus(" p ").symbol == "1H"


def test_mass_in_atomic_units_is_that_of_the_atom_less_its_electrons():
    assert nucleus(6, 12).mass_u == pytest.approx(12 - 6 * 5.48579909e-4, abs=1e-9)


def test_rigidity_and_energy_are_inverse():
    energies = np.array([1e-3, 0.5, 6.0, 300.0])
    for name in ("p", "4He", "16O"):
        particle = parse_nucleus(name)
        np.testing.assert_allclose(particle.ke_mev(particle.rigidity_tm(energies)), energies, rtol=1e-12)


def test_a_proton_of_5_8_mev_has_a_rigidity_of_0_3485_tm():
    assert parse_nucleus("p").rigidity_tm(5.8) == pytest.approx(0.34853, abs=1e-5)


def test_the_common_isotope_is_the_most_abundant_one():
    assert [common_mass_number(symbol) for symbol in ("H", "D", "T", "C", "Ar")] == [1, 2, 3, 12, 40]


@pytest.mark.parametrize(
    "text, message",
    [
        ("99He", "nuclide '99He' is not in the mass table; the nearest isotope is '10He'."),
        ("4he", "nuclide '4he' is not understood; expected a mass number and a symbol, such as '16O', or one of n, p, d, t, a."),
        ("12", "element '' does not exist; symbols are written as in 'He'."),
        ("16Ox", "element 'Ox' does not exist; symbols are written as in 'He'. Did you mean 'O'?"),
    ],
    ids=["unknown isotope", "bad form", "no symbol", "unknown element"],
)
def test_a_wrong_name_says_what_would_be_right(text, message):
    with pytest.raises(ConfigError) as error:
        parse_nucleus(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "numbers, message",
    [
        ((1, 12), "nuclide Z=1, A=12 is not in the mass table; H is known from A=1 to A=6."),
        ((130, 300), "nuclide Z=130, A=300 is not in the mass table; charge numbers run from 1 to 118."),
    ],
    ids=["A", "Z"],
)
def test_wrong_numbers_say_what_is_known(numbers, message):
    with pytest.raises(ConfigError) as error:
        nucleus(*numbers)
    assert str(error.value) == message
