from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from penstock.core.errors import ConfigError
from penstock.tpc.gates import AXES, gates_asset, inside_polygon, passes_gate, read_gate, write_gate

SQUARE = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]
PROTON: dict[str, Any] = {"name": "p", "Z": 1, "A": 1, "vertices": [[0, 0], [1, 0], [1, 1]]}


def write(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps({**PROTON, **changes}))
    return path


def test_points_inside_are_those_that_matplotlib_finds() -> None:
    rng = np.random.default_rng(1)
    corners = rng.uniform(-1, 1, size=(9, 2))
    places = rng.uniform(-1.2, 1.2, size=(2000, 2))

    inside = inside_polygon(places[:, 0].copy(), places[:, 1].copy(), corners)

    outline = Outline(np.vstack([corners, corners[:1]]), closed=True)
    even_odd = np.array([_crossings(corners, place) % 2 == 1 for place in places])
    assert np.array_equal(inside, even_odd)
    assert not np.any(inside & ~outline.contains_points(places))


def _crossings(corners: np.ndarray[Any, Any], place: np.ndarray[Any, Any]) -> int:
    """Edges that a ray to the right of a place crosses."""
    following = np.roll(corners, -1, axis=0)
    spans = (corners[:, 1] > place[1]) != (following[:, 1] > place[1])
    with np.errstate(divide="ignore"):
        at = corners[:, 0] + (place[1] - corners[:, 1]) * (following[:, 0] - corners[:, 0]) / (following[:, 1] - corners[:, 1])
    return int(np.sum(spans & (place[0] < at)))


def test_a_common_edge_belongs_to_one_of_two_polygons() -> None:
    left, right = np.array(SQUARE), np.array(SQUARE) + np.array([10.0, 0.0])
    y = np.linspace(0.5, 9.5, 10)
    x = np.full(10, 10.0)

    assert np.all(inside_polygon(x, y, left) ^ inside_polygon(x, y, right))


def test_nan_lies_outside() -> None:
    assert not inside_polygon(np.array([np.nan, 5.0]), np.array([5.0, np.nan]), np.array(SQUARE)).any()


def test_gate_survives_writing_and_reading(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"

    write_gate(path, "protons", (1, 1), SQUARE, axes=("sqrt_dEdx", "brho"))
    head, vertices = read_gate(path)

    assert head == (1, 1, AXES.index("sqrt_dEdx"), AXES.index("brho"))
    assert np.array_equal(vertices, SQUARE)


@pytest.mark.parametrize("axes", [{}, {"xaxis": "polar"}], ids=["none", "one only"])
def test_axes_are_those_of_spyral_unless_both_are_given(tmp_path: Path, axes: dict[str, str]) -> None:
    head, _ = read_gate(write(tmp_path / "gate.json", **axes))

    assert head[2:] == (AXES.index("dEdx"), AXES.index("brho"))


def test_gates_stand_in_the_order_of_their_roles(tmp_path: Path) -> None:
    files = {f"gates.{i}": write(tmp_path / f"{i}.json", A=1 + i % 3) for i in (10, 2, 0)}

    gates = gates_asset(files)

    assert gates["gates"]["A"].tolist() == [1, 3, 2]
    assert gates.offsets["vertices"].tolist() == [0, 3, 6, 9]


def test_without_files_there_is_no_gate() -> None:
    gates = gates_asset({})

    assert gates.n_events == 0
    assert gates.offsets["vertices"].tolist() == [0]


def test_gate_looks_at_its_columns(tmp_path: Path) -> None:
    gates = gates_asset({"gates": write(tmp_path / "gate.json", xaxis="polar", yaxis="dE")})
    estimates = {"polar": np.array([0.9, 0.9]), "dE": np.array([0.5, 2.0]), "dEdx": np.zeros(2), "brho": np.zeros(2)}

    assert passes_gate(gates, 0, estimates).tolist() == [True, False]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Z": None}, r"field 'Z': found None, expected a whole number"),
        ({"A": 1.5}, r"field 'A': found 1.5, expected a whole number"),
        ({"Z": 1, "A": 40}, r"nuclide Z=1, A=40 is not in the mass table"),
        ({"xaxis": "dEdxx", "yaxis": "brho"}, r"field 'xaxis': 'dEdxx' is no column of tpc.estimates. Did you mean 'dEdx'"),
        ({"vertices": [[0, 0], [1, 1]]}, r"field 'vertices': found 2, expected at least 3 pairs"),
        ({"vertices": "no"}, r"field 'vertices': found none, expected at least 3 pairs"),
        ({"vertices": [[0, 0], [1, 1], [2]]}, r"field 'vertices', entry 2: found \[2\], expected two finite numbers"),
        ({"vertices": [[0, 0], [1, float("inf")], [2, 0]]}, r"field 'vertices', entry 1: found \[1, inf\]"),
    ],
    ids=["no Z", "A no integer", "nuclide", "column", "too few", "no list", "no pair", "infinite"],
)
def test_wrong_field_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "gate.json", **changes)

    with pytest.raises(ConfigError, match=rf"particle gate '{path}'.*{message}"):
        read_gate(path)


def test_missing_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    path.write_text('{"Z": 1, "vertices": [[0, 0], [1, 0], [1, 1]]}')

    with pytest.raises(ConfigError, match=r"field 'A': it is missing, expected a whole number"):
        read_gate(path)


def test_json_error_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    path.write_text('{"Z": 1,\n "A": 1,\n "vertices": [[0, 0], }')

    with pytest.raises(ConfigError, match=r"gate.json', line 3, column \d+: no JSON"):
        read_gate(path)


def test_a_list_is_no_gate(tmp_path: Path) -> None:
    path = tmp_path / "gate.json"
    path.write_text("[]")

    with pytest.raises(ConfigError, match=r"found list, expected an object with the fields Z, A and vertices"):
        read_gate(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"particle gate '.*none.json' cannot be read"):
        read_gate(tmp_path / "none.json")


def test_writing_refuses_an_unknown_axis(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"field 'yaxis': 'rigidity' is no column"):
        write_gate(tmp_path / "gate.json", "p", (1, 1), SQUARE, axes=("dEdx", "rigidity"))

    assert not (tmp_path / "gate.json").exists()
