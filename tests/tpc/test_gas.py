import json

import pytest

from penstock.core.errors import ConfigError
from penstock.tpc.assets import GasTable
from penstock.tpc.gas import Element, choose_gas, gas_asset, parse_compound, parse_gas, read_gas_file


@pytest.mark.parametrize(
    "formula, elements",
    [
        ("H2", [(1, 1, 2)]),
        ("D2", [(1, 2, 2)]),
        ("3He", [(2, 3, 1)]),
        ("CO2", [(6, 12, 1), (8, 16, 2)]),
        ("iC4H10", [(6, 12, 4), (1, 1, 10)]),
        ("CF4", [(6, 12, 1), (9, 19, 4)]),
        ("CH3CH3", [(6, 12, 2), (1, 1, 6)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_formula_gives_the_atoms_of_the_molecule(formula, elements):
    assert parse_compound(formula) == tuple(Element(*e) for e in elements)


def test_hydrogen_has_the_density_of_the_groups_tables():
    assert parse_gas("H2", 300.0, 293.0).g_per_cm3 == pytest.approx(3.28389e-5, rel=1e-5)


def test_density_goes_with_pressure_over_temperature():
    assert parse_gas("CO2", 600.0, 586.0).g_per_cm3 == pytest.approx(parse_gas("CO2", 300.0, 293.0).g_per_cm3, rel=1e-12)


def test_a_mixture_weighs_atoms_by_volume_fraction():
    mixture = parse_gas("He:0.9 CO2:0.1", 760.0, 293.0)
    assert mixture.elements == (Element(2, 4, 0.9), Element(6, 12, 0.1), Element(8, 16, 0.2))
    parts = 0.9 * parse_gas("He", 760.0, 293.0).g_per_cm3 + 0.1 * parse_gas("CO2", 760.0, 293.0).g_per_cm3
    assert mixture.g_per_cm3 == pytest.approx(parts, rel=1e-12)


@pytest.mark.parametrize(
    "text, message",
    [
        ("h2", "formula 'h2' is not understood; expected symbols and counts, such as 'H2', 'C4H10' or 'CO2'."),
        ("H2(", "formula 'H2(' is not understood; expected symbols and counts, such as 'H2', 'C4H10' or 'CO2'."),
        ("C0H4", "formula 'C0H4': element 'C' occurs 0 times."),
        ("Hx2", "element 'Hx' does not exist; symbols are written as in 'He'. Did you mean 'H'?"),
        ("He CO2", "gas 'He CO2': 'He' has no volume fraction; expected such as 'He:0.9 CO2:0.1'."),
        ("He:0.9 CO2:0.2", "gas 'He:0.9 CO2:0.2': volume fractions [0.9, 0.2] must be positive and add up to 1, they add up to 1.1."),
    ],
    ids=["lower case", "bracket", "none", "element", "no fraction", "sum"],
)
def test_a_wrong_gas_says_what_would_be_right(text, message):
    with pytest.raises(ConfigError) as error:
        parse_gas(text, 300.0, 293.0)
    assert str(error.value) == message


def test_a_gas_file_gives_compound_and_pressure(tmp_path):
    path = tmp_path / "gas.json"
    path.write_text(json.dumps({"compound": [[1, 2, 2]], "pressure(Torr)": 600}))
    gas = read_gas_file(path)
    assert (gas.elements, gas.pressure_torr) == ((Element(1, 2, 2.0),), 600.0)


def test_a_gas_file_of_a_mixture_is_the_mixture(tmp_path):
    path = tmp_path / "gas.json"
    path.write_text(
        json.dumps({"components": [[[2, 4, 1]], [[6, 12, 1], [8, 16, 2]]], "volume_fractions": [0.9, 0.1], "pressure(Torr)": 760})
    )
    assert read_gas_file(path) == parse_gas("He:0.9 CO2:0.1", 760.0, 293.0)


def test_the_gas_of_a_file_wins_over_that_of_the_parameters(tmp_path):
    path = tmp_path / "gas.json"
    path.write_text('{"compound": [[2, 4, 1]], "pressure(Torr)": 150.0}')
    chosen = choose_gas("H2", 300.0, 290.0, gas_asset({"gas": path}))
    assert (chosen.elements, chosen.pressure_torr, chosen.temperature_k) == ((Element(2, 4, 1.0),), 150.0, 290.0)
    assert choose_gas("H2", 300.0, 290.0, gas_asset({})).elements == (Element(1, 1, 2.0),)
    assert choose_gas("H2", 300.0, 290.0, GasTable.empty(0)) == choose_gas("H2", 300.0, 290.0, None)


@pytest.mark.parametrize(
    "content, message",
    [
        ('{"compound": [[1, 1, 2]],\n "pressure(Torr)" 300}', "line 2: not JSON: Expecting ':' delimiter."),
        ("[1]", "holds list, expected an object with 'compound' and 'pressure(Torr)'."),
        ('{"compound": [[1, 1, 2]]}', "field 'pressure(Torr)' is missing; found 'compound'."),
        (
            '{"compound": [[1, 1, 2]], "thickness(ug/cm^2)": 50}',
            "field 'pressure(Torr)' is missing; found 'compound', 'thickness(ug/cm^2)'. Solid targets, with 'thickness(ug/cm^2)', are no gas.",
        ),
        ('{"compound": [[1, 1, 2]], "pressure(Torr)": "300"}', "field 'pressure(Torr)': found '300', expected a positive number."),
        ('{"pressure(Torr)": 300}', "field 'compound' is missing; found 'pressure(Torr)'."),
        ('{"compound": 7, "pressure(Torr)": 300}', "field 'compound': found 7, expected a list."),
        ('{"compound": [], "pressure(Torr)": 300}', "field 'compound': found [], expected a list of [Z, A, atoms]."),
        ('{"compound": [[1, 1]], "pressure(Torr)": 300}', "field 'compound'[0]: found [1, 1], expected [Z, A, atoms]."),
        ('{"compound": [[1, -1, 2]], "pressure(Torr)": 300}', "field 'compound'[0]: found -1, expected a positive number."),
        ('{"compound": [[1, 12, 2]], "pressure(Torr)": 300}', "nuclide Z=1, A=12 is not in the mass table"),
        (
            '{"components": [[[1, 1, 2]]], "volume_fractions": [0.5, 0.5], "pressure(Torr)": 300}',
            "1 components have 2 volume fractions; expected one each.",
        ),
    ],
    ids=["syntax", "list", "no pressure", "solid", "text", "no compound", "number", "empty", "pair", "negative", "nuclide", "fractions"],
)
def test_a_wrong_gas_file_names_file_and_field(tmp_path, content, message):
    path = tmp_path / "gas.json"
    path.write_text(content)
    with pytest.raises(ConfigError) as error:
        read_gas_file(path)
    assert str(error.value).startswith(f"gas file {str(path)!r}")
    assert message in str(error.value)


def test_a_missing_gas_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gas file '.*none.json' cannot be read"):
        read_gas_file(tmp_path / "none.json")


def test_two_gas_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="a detector holds one gas, but 2 gas files are named"):
        gas_asset({"gas.0": tmp_path / "a.json", "gas.1": tmp_path / "b.json"})
