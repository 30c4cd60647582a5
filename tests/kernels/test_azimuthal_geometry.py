"""Where pixels lie: known truth by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from penstock.core.errors import ConfigError
from penstock.kernels.geometry import Detector, Geometry, Orientation, radial_scale

DETECTOR = Detector(1e-3, 2e-3, (5, 7))
UPRIGHT = Geometry(DETECTOR, 0.1, 2.5e-3, 7e-3, wavelength_m=1e-10)


def test_an_upright_detector_has_the_coordinates_of_the_textbook() -> None:
    rows, columns = np.mgrid[0:5, 0:7]
    up, left = (rows - 2) * 1e-3, (columns - 3) * 2e-3
    across = np.hypot(up, left)
    two_theta = np.arctan(across / 0.1)

    np.testing.assert_allclose(UPRIGHT.coordinates("r_mm")[0], across, atol=1e-15)
    np.testing.assert_allclose(UPRIGHT.coordinates("2th_deg")[0], two_theta, atol=1e-14)
    np.testing.assert_allclose(UPRIGHT.coordinates("q_nm^-1")[0], 4e-9 * np.pi / 1e-10 * np.sin(two_theta / 2), atol=1e-12)
    assert UPRIGHT.coordinates("r_mm")[1][2, 6] == pytest.approx(0.0, abs=1e-12)
    assert UPRIGHT.coordinates("r_mm")[1][4, 3] == pytest.approx(math.pi / 2)
    np.testing.assert_allclose(UPRIGHT.solid_angle(), np.cos(two_theta) ** 3)


@pytest.mark.parametrize(
    ("rotation", "place"),
    [({"rot1_rad": math.pi / 2}, (0, 0.1, 0)), ({"rot2_rad": math.pi / 2}, (-0.1, 0, 0)), ({"rot3_rad": math.pi / 2}, (0, 0, 0.1))],
    ids=["about the vertical", "about the horizontal", "about the beam"],
)
def test_rotations_turn_the_point_of_normal_incidence(rotation: dict[str, float], place: tuple[float, float, float]) -> None:
    geometry = Geometry(DETECTOR, 0.1, 2.5e-3, 7e-3, **rotation)

    up, left, along = (values[2, 3] for values in geometry.positions())

    turned = {(0, 0.1, 0): (up, -left, along), (-0.1, 0, 0): (up, left, along), (0, 0, 0.1): (up, left, along)}[place]
    np.testing.assert_allclose(np.abs(turned), np.abs(place), atol=1e-15)


def test_distance_and_angles_between_pixels_survive_any_rotation() -> None:
    turned = Geometry(DETECTOR, 0.1, 2.5e-3, 7e-3, 0.3, -0.7, 1.1)

    points = np.stack([values.ravel() for values in turned.positions()])
    before = np.stack([np.broadcast_to(values, (5, 7)).ravel() for values in UPRIGHT.positions()])

    np.testing.assert_allclose(points.T @ points, before.T @ before, atol=1e-15)


@pytest.mark.parametrize(("orientation", "first"), [(1, (4, 6)), (2, (4, 0)), (3, (0, 0)), (4, (0, 6))])
def test_orientation_says_where_the_first_pixel_lies(orientation: Orientation, first: tuple[int, int]) -> None:
    geometry = Geometry(Detector(1e-3, 2e-3, (5, 7), orientation), 0.1, 2.5e-3, 7e-3)

    found = [values[0, 0] for values in geometry.positions()]

    np.testing.assert_allclose(found, [values[first] for values in np.broadcast_arrays(*UPRIGHT.positions())])


def test_a_horizontal_beam_scatters_nothing_sidewards_at_a_right_angle() -> None:
    geometry = Geometry(Detector(1e-3, 1e-3, (1, 1)), 1e-9, 0.5e-3, -0.1, wavelength_m=1e-10)

    assert geometry.polarization(1.0)[0, 0] == pytest.approx(0.0, abs=1e-6)
    assert geometry.polarization(0.0)[0, 0] == pytest.approx(0.5, abs=1e-6)
    assert geometry.polarization(-1.0)[0, 0] == pytest.approx(1.0, abs=1e-6)


def test_units_differ_by_their_factor() -> None:
    assert radial_scale("q_A^-1") == 0.1 * radial_scale("q_nm^-1")
    assert radial_scale("2th_deg") == pytest.approx(math.degrees(radial_scale("2th_rad")))
    assert radial_scale("r_mm") == 1000.0


def test_scattering_vectors_need_the_wavelength() -> None:
    geometry = Geometry(DETECTOR, 0.1, 0.0, 0.0)

    with pytest.raises(ConfigError, match=r"radial unit 'q_nm\^-1' needs the wavelength, and the geometry has none\. Give wavelength_m"):
        geometry.coordinates("q_nm^-1")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"pixel1_m": 0.0}, "pixel1_m is 0.0; it must be a length in m, above 0"),
        ({"pixel2_m": math.nan}, "pixel2_m is nan"),
        ({"shape": (0, 3)}, r"shape \(0, 3\) is not rows and columns"),
        ({"shape": (2**16, 2**16)}, "of at most 2147483647 pixels"),
        ({"orientation": 5}, "orientation 5 is not 1, 2, 3 or 4"),
    ],
)
def test_a_detector_that_cannot_be_is_told(values: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Detector(**{"pixel1_m": 1e-3, "pixel2_m": 1e-3, "shape": (3, 3), **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"distance_m": 0.0}, "distance_m is 0.0; it must be a finite number above 0"),
        ({"rot2_rad": math.inf}, "rot2_rad is inf; it must be a finite number."),
        ({"wavelength_m": -1e-10}, "wavelength_m is -1e-10"),
    ],
)
def test_a_geometry_that_cannot_be_is_told(values: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Geometry(**{"detector": DETECTOR, "distance_m": 0.1, "poni1_m": 0.0, "poni2_m": 0.0, **values})  # type: ignore[arg-type]
