from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from penstock.core.errors import ConfigError
from penstock.tpc.assets import FieldMap
from penstock.tpc.field import field_asset, undo_drift

LENGTH = 1000.0
NS_PER_MM = 17.6
Drift = Callable[[Any, Any], tuple[Any, Any, Any]]


def warped(distance: Any, radius: Any) -> tuple[Any, Any, Any]:
    """Landing radius, turn and apparent distance of electrons: a smooth field whose distortion grows with both."""
    far, out = distance / 1000, radius / 270
    return radius * (1 + 0.06 * far * out**2), 0.05 * far * out, distance + 18.0 * far * out**2


def straight(distance: Any, radius: Any) -> tuple[Any, Any, Any]:
    return radius + 0 * distance, 0 * distance * radius, distance + 0 * radius


def table(drift: Drift, starts: NDArray[np.float64], radii: NDArray[np.float64], *, plane: float = 0.0, side: float = 1.0) -> str:
    """The text of a table; lengths in mm. With `side` -1 x runs towards the micromegas."""
    rows = []
    for distance in starts:
        for y in radii:
            landing, turn, apparent = drift(distance, abs(y))
            across = -side * landing * np.sin(turn) * np.sign(y)
            numbers = (plane + side * distance, y, plane, landing * np.cos(turn) * np.sign(y), across)
            rows.append(" ".join(f"{n / 10:.9f}" for n in numbers) + f" {1000 + NS_PER_MM * apparent:.6f}")
    return "\n".join(rows) + "\n"


USUAL = table(warped, np.linspace(30, 1000, 98), np.linspace(-270, 270, 55))


def read(tmp_path: Path, text: str) -> FieldMap:
    path = tmp_path / "electrons.txt"
    path.write_text(text)
    return field_asset({"garfield": path})


def landed(drift: Drift, n: int = 4000) -> tuple[Any, Any]:
    """Random places in the detector, and where their electrons seem to come from: (3, n) each, mm."""
    rng = np.random.default_rng(3)
    distance, radius, azimuth = rng.uniform(0, 1000, n), rng.uniform(1, 265, n), rng.uniform(-np.pi, np.pi, n)
    landing, turn, apparent = drift(distance, radius)
    true = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), LENGTH - distance])
    seen = np.stack([landing * np.cos(azimuth + turn), landing * np.sin(azimuth + turn), LENGTH - apparent])
    return true, seen


def undo(seen: Any, field: FieldMap) -> Any:
    x, y, z = seen
    return np.stack(undo_drift(x, y, z, field, LENGTH))


def test_points_in_a_known_field_come_back_to_where_they_were(tmp_path: Path) -> None:
    true, seen = landed(warped)

    found = undo(seen, read(tmp_path, USUAL))

    errors = np.sqrt(((found - true) ** 2).sum(axis=0))
    assert np.sqrt(((seen - true) ** 2).sum(axis=0)).max() > 20.0
    # Between nodes 10 mm apart a bilinear map is off by an eighth of the second derivative times 100 mm².
    assert errors.max() < 0.1


def test_a_grid_with_other_steps_gives_the_same_places(tmp_path: Path) -> None:
    _, seen = landed(warped)
    starts = np.concatenate([np.arange(5, 100, 5), np.arange(100, 1001, 20)])

    one = undo(seen, read(tmp_path, USUAL))
    other = undo(seen, read(tmp_path, table(warped, starts, np.linspace(0, 280, 41))))

    assert np.abs(one - other).max() < 0.2


@pytest.mark.parametrize(("plane", "side"), [(0.0, -1.0), (37.0, 1.0), (1037.0, -1.0)], ids=["other way", "shifted", "both"])
def test_the_micromegas_is_where_the_electrons_land(tmp_path: Path, plane: float, side: float) -> None:
    _, seen = landed(warped)
    steps = np.linspace(30, 1000, 98), np.linspace(-270, 270, 55)

    one = undo(seen, read(tmp_path, USUAL))
    other = undo(seen, read(tmp_path, table(warped, *steps, plane=plane, side=side)))

    assert np.abs(one - other).max() < 1e-4


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path) -> None:
    rows = USUAL.splitlines(keepends=True)
    shuffled = "# cm, ns\n\n" + "".join(np.random.default_rng(1).permutation(rows))

    one, other = read(tmp_path, USUAL)["nodes"], read(tmp_path, shuffled)["nodes"]

    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_straight_field_moves_nothing(tmp_path: Path) -> None:
    true, _ = landed(straight)
    field = read(tmp_path, table(straight, np.linspace(30, 1000, 98), np.linspace(0, 270, 28)))

    assert np.abs(undo(true, field) - true).max() < 1e-4


def test_another_drift_velocity_in_the_simulation_changes_nothing(tmp_path: Path) -> None:
    _, seen = landed(warped)
    slower = "\n".join(" ".join([*row.split()[:5], str(1.3 * float(row.split()[5]))]) for row in USUAL.splitlines())

    one, other = (undo(seen, read(tmp_path, text)) for text in (USUAL, slower))

    assert np.abs(one - other).max() < 1e-4


def test_beyond_the_grid_a_point_moves_as_at_the_edge(tmp_path: Path) -> None:
    field = read(tmp_path, USUAL)
    landing, turn, apparent = warped(1000.0, 270.0)
    x, y, z = undo_drift(np.array([landing, landing + 9]), np.zeros(2), LENGTH - np.array([apparent + 40, apparent]), field, LENGTH)

    assert z == pytest.approx([-40, 0], abs=0.01)
    assert np.hypot(x, y) == pytest.approx([270, 279], abs=0.01)
    assert np.arctan2(y, x) == pytest.approx([-turn, -turn], abs=1e-4)


def test_points_on_the_axis_and_behind_the_micromegas_stay(tmp_path: Path) -> None:
    found = undo_drift(np.zeros(3), np.zeros(3), np.array([-20.0, 500.0, 1020.0]), read(tmp_path, USUAL), LENGTH)

    assert np.stack(found) == pytest.approx(np.array([[0, 0, 0], [0, 0, 0], [-20, 500, 1020]]), abs=1e-4)


@given(split=st.integers(0, 40))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_a_point_alone_has_the_bits_that_it_has_among_others(tmp_path_factory: pytest.TempPathFactory, split: int) -> None:
    _, seen = landed(warped, 40)
    field = read(tmp_path_factory.mktemp("field"), USUAL)

    whole = undo(seen, field)
    parts = [undo(part, field) for part in np.split(seen, [split], axis=1)]

    assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()


def plain_undo(seen: Any, field: FieldMap) -> Any:
    """Start of one electron by nested interpolation: a fixed point in distance, at each step the row of radii there inverted."""
    nodes = {name: v.reshape(-1, len(np.unique(field["nodes"]["radius"]))) for name, v in field["nodes"].items()}
    axis, radii = nodes["distance"][:, 0], nodes["radius"][0]

    def row(name: str, distance: float) -> Any:
        return np.array([np.interp(distance, axis, column) for column in nodes[name].T])

    distance = apparent = LENGTH - seen[2]
    for _ in range(60):
        radius = np.interp(np.hypot(*seen[:2]), row("landing_radius", distance), radii)
        inside = np.clip(distance, axis[0], axis[-1])
        distance = apparent + inside - np.interp(radius, radii, row("apparent_distance", distance))
    azimuth = np.arctan2(seen[1], seen[0]) - np.interp(radius, radii, row("turn", distance))
    return radius * np.cos(azimuth), radius * np.sin(azimuth), LENGTH - distance


def test_places_are_those_of_a_plain_implementation(tmp_path: Path) -> None:
    field = read(tmp_path, USUAL)
    _, seen = landed(warped, 60)

    expected = np.array([plain_undo(s, field) for s in seen.T]).T

    assert undo(seen, field) == pytest.approx(expected, abs=1e-4)


def test_without_a_file_there_are_no_rows() -> None:
    assert field_asset({}).n_events == 0


def test_an_unknown_role_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        field_asset({"garfeld": tmp_path / "any"})

    assert str(caught.value) == "role 'garfeld' of the electric field is unknown; expected garfield. Did you mean 'garfield'?"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone.txt"

    with pytest.raises(ConfigError) as caught:
        field_asset({"garfield": path})

    assert str(caught.value) == f"field table {str(path)!r} cannot be read: [Errno 2] No such file or directory: {str(path)!r}"


SMALL = table(warped, np.array([100.0, 200.0, 300.0]), np.array([0.0, 100.0, 200.0])).splitlines()


def changed(line: int, column: int, text: str) -> list[str]:
    fields = SMALL[line - 1].split()
    fields[column] = text
    return [*SMALL[: line - 1], " ".join(fields), *SMALL[line:]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*SMALL[:4], "1 2 3"], ", line 5: found 3 columns, expected 6 (x0, y0, x1, y1, z1, t)"),
        (changed(2, 5, "fast"), ", line 2: found 'fast' for t, expected a finite number"),
        (changed(2, 3, "nan"), ", line 2: found 'nan' for y1, expected a finite number"),
        ([], " has no row; expected 6 columns (x0, y0, x1, y1, z1, t; cm and ns)"),
        (SMALL[:3], " has 1 values of x0 and 3 of y0 from 0 on, expected at least 2 of each and y0 = 0."),
        (SMALL[1:3] + SMALL[4:6], " has 2 values of x0 and 2 of y0 from 0 on, expected at least 2 of each and y0 = 0."),
        (SMALL[:5] + SMALL[6:], " has no row for x0 = 20 cm, y0 = 20 cm; every x0 needs every y0."),
        ([*SMALL, SMALL[3]], ", line 10: x0 = 20 cm, y0 = 0 cm stands in line 4 already."),
        (
            changed(4, 5, "900"),
            ", line 4: the drift time on the axis, 900 ns, must exceed that of line 1, 2760 ns, from nearer to the micromegas.",
        ),
        (
            changed(3, 3, "5"),
            ", line 3: the electron lands 5.00 cm from the axis, no further out than that of line 2, which starts further in. Leave out radii from which electrons do not arrive.",
        ),
        (
            changed(5, 5, "10000"),
            ", line 5: from line 2 on the drift time grows 4.11 times as fast as on the axis, expected 0 to 2.",
        ),
        (
            [row for x0 in ("-5", "10", "20") for row in changed(1, 0, x0)[:1] + changed(2, 0, x0)[1:2]],
            ", line 1: x0 = -5 cm lies behind the plane where electrons land, x1 = 0 cm.",
        ),
    ],
    ids=["columns", "number", "finite", "empty", "one layer", "no axis", "gap", "twice", "axis time", "fold", "time", "behind"],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_line(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "\n".join(rows))

    assert str(caught.value) == f"field table {str(tmp_path / 'electrons.txt')!r}{message}"
