import numpy as np
import pycatima
import pytest

from penstock.core.errors import ConfigError
from penstock.tpc.assets import StoppingTables
from penstock.tpc.gas import parse_compound, parse_gas
from penstock.tpc.nuclei import parse_nucleus
from penstock.tpc.stopping import (
    energy_after,
    mass_stopping_power,
    radiation_length_g_per_cm2,
    read_stopping_csv,
    stopping_asset,
    stopping_curve,
    write_stopping_csv,
)

GAS = parse_gas("H2", 300.0, 293.0)
PROTON = parse_nucleus("p")


def test_proton_ranges_are_those_of_the_library_above_1_kev():
    curve = stopping_curve(PROTON, GAS)
    matter = pycatima.Material([[1.00782503, 1, 2]])
    for ke in (0.5, 2.0, 6.0, 30.0):
        library = pycatima.range(pycatima.Projectile(PROTON.mass_u, 1, 0, ke / PROTON.mass_u), matter) / GAS.g_per_cm3 * 10
        slow = curve.path_to_rest(1e-3 * PROTON.mass_u)
        assert curve.path_to_rest(ke) - slow == pytest.approx(library, rel=3e-4, abs=0.05)


def test_proton_stopping_power_in_hydrogen_is_bethes_within_3_percent():
    ke = np.array([1.0, 2.0, 5.0, 10.0, 30.0])
    beta2 = 1 - (1 + ke / PROTON.mass_mev) ** -2
    bethe = 0.307075 / 1.00782503 / beta2 * (np.log(2 * 0.51099895e6 * beta2 / (1 - beta2) / 19.2) - beta2)
    np.testing.assert_allclose(mass_stopping_power(PROTON, parse_compound("H2"), ke), bethe, rtol=0.03)


def test_range_is_the_integral_of_the_inverse_loss():
    curve = stopping_curve(PROTON, GAS)
    ke = np.linspace(1.0, 2.0, 20001)
    between = np.trapezoid(1 / curve.loss(ke), ke)
    assert curve.path_to_rest(2.0) - curve.path_to_rest(1.0) == pytest.approx(between, rel=5e-6)


def test_energy_after_a_path_leaves_the_rest_of_the_range():
    curve = stopping_curve(PROTON, GAS)
    after = curve.energy_after(np.array([3.0, 3.0, 3.0]), np.array([0.0, 500.0, 1e5]))
    assert after[0] == pytest.approx(3.0, rel=1e-9)
    assert curve.path_to_rest(after[1]) == pytest.approx(curve.path_to_rest(3.0) - 500.0, rel=1e-9)
    assert after[2] == 0.0


def test_work_against_the_field_adds_to_the_loss():
    free = stopping_curve(parse_nucleus("16O"), GAS)
    held = free.against_field(45000.0)
    assert free.energy_after(160.0, 500.0) - held.energy_after(160.0, 500.0) == pytest.approx(8 * 0.045 * 0.5, rel=0.05)


def test_a_heavier_gas_scatters_more():
    assert radiation_length_g_per_cm2(parse_compound("D2")) == pytest.approx(125.97, rel=2e-3)
    assert radiation_length_g_per_cm2(parse_compound("CO2")) == pytest.approx(36.2, rel=0.02)
    assert stopping_curve(PROTON, GAS).radiation_length_mm == pytest.approx(63.04 / GAS.g_per_cm3 * 10, rel=1e-3)


def test_straggling_is_bohrs_and_goes_with_the_charge_squared():
    # 4 pi N r² (mc²)² Z² per electron: 0.157 MeV² per g/cm² and Z/A = 1.
    proton, alpha = stopping_curve(PROTON, GAS), stopping_curve(parse_nucleus("a"), GAS)
    assert proton.straggling_mev2_per_mm == pytest.approx(0.1569 / 1.008 * GAS.g_per_cm3 / 10, rel=1e-3)
    assert alpha.straggling_mev2_per_mm == pytest.approx(4 * proton.straggling_mev2_per_mm, rel=1e-12)


def test_a_window_takes_what_the_library_says():
    matter = pycatima.Material([[12.0, 6, 10], [1.00782503, 1, 8], [15.99491462, 8, 4]])
    matter.thickness(500e-6)
    oxygen = parse_nucleus("16O")
    projectile = pycatima.Projectile(oxygen.mass_u, 8, 0, 160.0 / oxygen.mass_u)
    expected = pycatima.energy_out(projectile, matter) * oxygen.mass_u
    assert energy_after(oxygen, parse_compound("C10H8O4"), 160.0, 500.0) == pytest.approx(expected, abs=6e-3)


def test_a_table_written_and_read_back_replaces_the_library(tmp_path):
    path = tmp_path / "proton.csv"
    ke = np.geomspace(0.01, 50.0, 40)
    write_stopping_csv(path, PROTON, ke, 700.0 * ke**-0.8)
    curve = stopping_curve(PROTON, GAS, stopping_asset({"stopping.0": path}))
    at = np.array([0.02, 1.3, 40.0])
    np.testing.assert_allclose(curve.loss(at), 700.0 * at**-0.8 * GAS.g_per_cm3 / 10, rtol=1e-5)


def test_other_particles_keep_the_library(tmp_path):
    path = tmp_path / "proton.csv"
    write_stopping_csv(path, PROTON, np.array([0.1, 10.0]), np.array([1.0, 1.0]))
    alpha = parse_nucleus("a")
    curve = stopping_curve(alpha, GAS, stopping_asset({"stopping": path}))
    np.testing.assert_array_equal(curve.mev_per_mm, stopping_curve(alpha, GAS).mev_per_mm)


def test_no_files_give_empty_tables():
    tables = stopping_asset({})
    assert isinstance(tables, StoppingTables)
    assert (tables.n_events, tables.offsets["values"].tolist(), tables["values"]["ke"].size) == (0, [0], 0)
    np.testing.assert_array_equal(stopping_curve(PROTON, GAS, tables).mev_per_mm, stopping_curve(PROTON, GAS).mev_per_mm)


HEAD = "particle,1H\nke_mev,loss\n"


@pytest.mark.parametrize(
    "content, message",
    [
        ("", ", line 1: found '', expected the particle, such as 'particle,1H'."),
        ("ke,loss\n1,2\n", ", line 1: found 'ke,loss', expected the particle, such as 'particle,1H'."),
        ("particle,99He\n", ", line 1: nuclide '99He' is not in the mass table; the nearest isotope is '10He'."),
        (HEAD + "1,2\n2,x\n", ", line 4: found '2,x', expected a kinetic energy in MeV and a stopping power in MeV cm²/g."),
        (HEAD + "1,2\n2,-1\n", ", line 4: found '2,-1', expected finite numbers and a stopping power above 0."),
        (HEAD + "2,2\n\n1,2\n", ", line 5: energy 1.0 MeV does not exceed the one before, 2.0 MeV; energies must ascend from above 0."),
        (HEAD + "2,2\n", " has 1 energies, expected at least 2."),
    ],
    ids=["empty", "header", "particle", "text", "negative", "order", "short"],
)
def test_a_wrong_table_names_file_and_line(tmp_path, content, message):
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(ConfigError) as error:
        read_stopping_csv(path)
    assert str(error.value) == f"stopping table {str(path)!r}{message}"


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"stopping table '.*none.csv' cannot be read"):
        read_stopping_csv(tmp_path / "none.csv")


def test_two_tables_of_one_particle_are_refused(tmp_path):
    path = tmp_path / "proton.csv"
    write_stopping_csv(path, PROTON, np.array([0.1, 10.0]), np.array([1.0, 1.0]))
    with pytest.raises(ConfigError, match="particle '1H' has a table already; name one file a particle"):
        stopping_asset({"stopping.0": path, "stopping.1": path})


def test_a_neutron_leaves_no_track():
    with pytest.raises(ConfigError, match="particle '1n' has no charge and leaves no track"):
        stopping_curve(parse_nucleus("n"), GAS)
