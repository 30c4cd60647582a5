from __future__ import annotations

import numpy as np
import pytest

from penstock.simulate.tpc_ions import GASES, IONS, density_g_per_cm3, rigidity_tm, stopping_power, stopping_table

ENERGIES_MEV = np.logspace(-3, 2, 500)


def test_density_of_hydrogen_is_that_of_the_gas_tables() -> None:
    assert density_g_per_cm3("H2", 300.0) == pytest.approx(3.28389e-5, rel=1e-5)


@pytest.mark.parametrize(
    ("ke_mev", "expected"),
    [(0.1, 3480.0), (1.0, 677.0), (10.0, 101.9)],
    ids=["fit at 0.1 MeV", "both at 1 MeV", "Bethe at 10 MeV"],
)
def test_protons_lose_in_hydrogen_what_the_formulas_give_by_hand(ke_mev: float, expected: float) -> None:
    # 0.1 MeV: 11.44 and 11.86 eV cm²/10¹⁵ atoms for the slow and the fast part; above: Bethe with 19.2 eV.
    assert stopping_power(IONS["p"], "H2", np.array([ke_mev])) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("gas", GASES)
@pytest.mark.parametrize("particle", IONS)
def test_stopping_power_is_positive_and_has_no_jump(particle: str, gas: str) -> None:
    values = stopping_power(IONS[particle], gas, ENERGIES_MEV)  # type: ignore[index,arg-type]

    assert values.min() > 0
    assert np.abs(np.diff(np.log(values))).max() < 0.06


def test_isotopes_of_the_same_speed_lose_the_same() -> None:
    proton, deuteron = IONS["p"], IONS["d"]

    slow = stopping_power(deuteron, "H2", ENERGIES_MEV * deuteron.mass_mev / proton.mass_mev)

    assert slow == pytest.approx(stopping_power(proton, "H2", ENERGIES_MEV), rel=1e-9)


def test_fast_helium_loses_four_times_as_much_as_protons() -> None:
    alpha, proton = IONS["4He"], IONS["p"]
    fast = np.array([20.0])

    ratio = stopping_power(alpha, "He", fast * alpha.mass_mev / proton.mass_mev) / stopping_power(proton, "He", fast)

    assert ratio == pytest.approx(4.0, rel=0.01)


def test_slow_helium_carries_electrons() -> None:
    alpha, proton = IONS["4He"], IONS["p"]
    slow = np.array([0.05])

    ratio = stopping_power(alpha, "He", slow * alpha.mass_mev / proton.mass_mev) / stopping_power(proton, "He", slow)

    assert 1.0 < ratio[0] < 3.0


def test_deuterium_stops_like_hydrogen_at_the_same_pressure() -> None:
    hydrogen, deuterium = stopping_table("p", "H2", 300.0), stopping_table("p", "D2", 300.0)

    assert deuterium.mev_per_mm == pytest.approx(hydrogen.mev_per_mm, rel=0.01)


def test_rigidity_of_a_proton_follows_from_its_momentum() -> None:
    momentum = np.sqrt((2.0 + 938.27208816) ** 2 - 938.27208816**2)

    assert rigidity_tm(IONS["p"], 2.0) == pytest.approx(momentum / 299.792458)


def test_alpha_particles_bend_half_as_much_per_momentum() -> None:
    alpha = IONS["4He"]
    momentum = np.sqrt((5.0 + alpha.mass_mev) ** 2 - alpha.mass_mev**2)

    assert rigidity_tm(alpha, 5.0) == pytest.approx(momentum / 299.792458 / 2)
