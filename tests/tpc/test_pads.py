from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import ConfigError
from penstock.tpc.pads import N_PADS, SMALL_SIDE_MM, lattice_pads, pad_corners, pad_map, pad_plane, read_pad_csv

SHARED = Path(__file__).parents[2] / "../shared/data/tpc"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the detector group's pad maps are not here to compare with")


def write_csv(path: Path, rows: list[str], *, newline: str = "\n") -> Path:
    path.write_bytes(newline.join(["header", *rows, ""]).encode())
    return path


def cell_at(x: float, y: float) -> tuple[int, int]:
    """Row and column of `lattice_pads` by the definition: the triangle with the place on the inner side of its three edges."""
    side, height = SMALL_SIDE_MM, SMALL_SIDE_MM * np.sqrt(3) / 2
    row = int(np.floor(y / height)) + 64
    above = y / height - (row - 64)
    columns = range(225)
    inside = [abs(x - (c - 112) * side / 2) <= side / 2 * ((1 - above) if (row + c) % 2 else above) + 1e-9 for c in columns]
    return row, inside.index(True)


def test_plane_has_6144_small_and_4096_big_pads() -> None:
    scale = pad_plane()["pads"]["scale"]

    assert [int((scale == 0.5).sum()), int((scale == 1.0).sum())] == [6144, 4096]


def test_first_pad_is_the_leftmost_of_the_row_above_the_axis() -> None:
    pads = pad_plane()["pads"]

    assert (pads["x"][0], pads["y"][0]) == pytest.approx((-269.95294, 4.2506561), abs=1e-4)


def test_122_pads_see_the_beam() -> None:
    pads = pad_plane()["pads"]

    assert np.count_nonzero(np.hypot(pads["x"], pads["y"]) < 20) == 122


def test_no_two_pads_have_the_same_place() -> None:
    pads = pad_plane()["pads"]

    assert np.unique(np.round([pads["x"], pads["y"]], 3), axis=1).shape == (2, N_PADS)


def test_generated_plane_has_no_time_offsets() -> None:
    assert not pad_plane()["pads"]["time_offset"].any()


def test_plane_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        pad_plane()["pads"]["x"][0] = 0.0


@needs_shared
def test_plane_equals_the_detector_groups_map() -> None:
    theirs = np.loadtxt(SHARED / "padxy.csv", delimiter=",", skiprows=1)

    ours = np.stack([pad_plane()["pads"]["x"], pad_plane()["pads"]["y"]], axis=1)

    assert np.abs(ours - theirs).max() < 1e-4


@needs_shared
def test_scales_equal_the_detector_groups_map() -> None:
    theirs = np.loadtxt(SHARED / "pad_scale.csv", delimiter=",", skiprows=1, usecols=0)

    assert np.array_equal(pad_plane()["pads"]["scale"], theirs)


def test_generated_plane_leaves_the_charge_as_it_is() -> None:
    assert (pad_plane()["pads"]["gain"] == 1).all()


@needs_shared
def test_the_detector_groups_gains_can_be_read() -> None:
    gain = pad_map({"pad_gain": SHARED / "pad_gain_map.csv"})["pads"]["gain"]

    assert np.unique(gain).tolist() == [1.0, 1.3]
    assert np.array_equal(gain > 1, pad_plane()["pads"]["scale"] == 1.0)


@needs_shared
def test_the_detector_groups_time_corrections_can_be_read() -> None:
    column = read_pad_csv(SHARED / "pad_time_correction.csv", "pad_time")["time_offset"]

    assert (column[0], column.min(), column.max()) == (0.0, -1.90781, 1.48548)


@pytest.mark.parametrize("pad", [0, 24, 25, 26, 300, 5120, 5144, 10239])
def test_corners_of_a_pad_stand_around_its_centre(pad: int) -> None:
    pads = pad_plane()["pads"]
    corners = pad_corners(pad)

    assert corners[:, 0].mean() == pytest.approx(pads["x"][pad])
    assert (corners[:, 1].min() + corners[:, 1].max()) / 2 == pytest.approx(pads["y"][pad])


def test_corners_make_equilateral_triangles() -> None:
    sides = [
        np.linalg.norm(np.roll(pad_corners(pad), 1, axis=0) - pad_corners(pad), axis=1) / pad_plane()["pads"]["scale"][pad]
        for pad in range(0, N_PADS, 97)
    ]

    assert np.allclose(sides, 2 * SMALL_SIDE_MM)


def test_cells_cover_the_plane_once() -> None:
    covered = np.bincount(lattice_pads()[lattice_pads() >= 0], minlength=N_PADS)

    assert np.array_equal(covered, np.where(pad_plane()["pads"]["scale"] < 1, 1, 4))


@settings(deadline=None)
@given(pad=st.integers(0, N_PADS - 1), a=st.floats(0, 1), b=st.floats(0, 1))
def test_places_within_the_corners_of_a_pad_belong_to_its_cells(pad: int, a: float, b: float) -> None:
    weights = 0.01 + 0.97 * np.array([a, (1 - a) * b, (1 - a) * (1 - b)])
    x, y = weights @ pad_corners(pad)

    assert lattice_pads()[cell_at(x, y)] == pad


def test_overrides_replace_their_columns_only(tmp_path: Path) -> None:
    times = write_csv(tmp_path / "times.csv", [f"{i / 1000}" for i in range(N_PADS)])

    pads = pad_map({"pad_time": times})["pads"]

    assert np.array_equal(pads["time_offset"], np.arange(N_PADS) / 1000)
    assert np.array_equal(pads["x"], pad_plane()["pads"]["x"])


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_rows_may_end_with_any_newline(tmp_path: Path, newline: str) -> None:
    path = write_csv(tmp_path / "scale.csv", ["0.5"] * N_PADS, newline=newline)

    assert read_pad_csv(path, "pad_scale")["scale"].tolist() == [0.5] * N_PADS


@pytest.mark.parametrize("gain", ["0", "-1.3"])
def test_a_gain_that_is_not_positive_is_refused(tmp_path: Path, gain: str) -> None:
    path = write_csv(tmp_path / "gain.csv", ["1"] * 5 + [gain] + ["1"] * (N_PADS - 6), newline="\r")

    with pytest.raises(ConfigError) as caught:
        read_pad_csv(path, "pad_gain")

    assert str(caught.value) == f"pad_gain map {str(path)!r}, row 5 (line 7): found {gain!r} for gain, expected a positive number"


def test_further_columns_are_ignored(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "xy.csv", ["1.5,-2.5,note"] * N_PADS)

    columns = read_pad_csv(path, "pad_xy")

    assert (columns["x"][7], columns["y"][7]) == (1.5, -2.5)


def test_unknown_role_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_pad_csv(tmp_path / "any.csv", "pad_times")

    assert (
        str(caught.value)
        == "pad map role 'pad_times' is unknown; expected one of pad_xy, pad_scale, pad_time, pad_gain. Did you mean 'pad_time'?"
    )


def test_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone.csv"

    with pytest.raises(ConfigError) as caught:
        read_pad_csv(path, "pad_xy")

    assert str(caught.value) == f"pad_xy map {str(path)!r} cannot be read: [Errno 2] No such file or directory: {str(path)!r}"


def test_wrong_number_of_rows_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "short.csv", ["1,2"] * 17)

    with pytest.raises(ConfigError) as caught:
        read_pad_csv(path, "pad_xy")

    assert str(caught.value) == f"pad_xy map {str(path)!r} has 17 rows after the header, expected 10240, one a pad"


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("1.0", "found 1 columns, expected at least 2 (x, y)"),
        ("1.0,two", "found 'two' for y, expected a number"),
        ("nan,1.0", "found 'nan' for x, expected a finite number"),
    ],
    ids=["too few columns", "not a number", "not finite"],
)
def test_bad_row_is_named(tmp_path: Path, bad: str, complaint: str) -> None:
    path = write_csv(tmp_path / "bad.csv", ["1,2"] * 41 + [bad] + ["1,2"] * (N_PADS - 42))

    with pytest.raises(ConfigError) as caught:
        read_pad_csv(path, "pad_xy")

    assert str(caught.value) == f"pad_xy map {str(path)!r}, row 41 (line 43): {complaint}"
