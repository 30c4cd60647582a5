"""Azimuthal integration beside pyFAI, where that is installed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from penstock.kernels.azimuthal import AzimuthalIntegrator
from penstock.kernels.geometry import Detector, Geometry, RadialUnit

pytest.importorskip("pyFAI", reason="pyFAI is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::FutureWarning")

SHAPE = (256, 301)
RNG = np.random.default_rng(3)
FRAME = RNG.poisson(30, SHAPE).astype(np.uint16)
MASK = RNG.random(SHAPE) < 0.02
PLACES = {"upright": (0.0, 0.0, 0.0), "turned": (0.3, -0.2, 0.4)}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def both(orientation: Any, rotation: tuple[float, float, float]) -> tuple[Any, Geometry]:
    """pyFAI's integrator, and the same geometry."""
    from pyFAI.detectors import Detector as PeerDetector
    from pyFAI.integrator.azimuthal import AzimuthalIntegrator as Peer

    detector = PeerDetector(75e-6, 80e-6, max_shape=SHAPE, orientation=orientation)
    rot1, rot2, rot3 = rotation
    peer = Peer(0.05, 0.0101, 0.0123, rot1, rot2, rot3, detector=detector, wavelength=1e-10)
    return peer, Geometry(Detector(75e-6, 80e-6, SHAPE, orientation), 0.05, 0.0101, 0.0123, rot1, rot2, rot3, 1e-10)


def peer_map(peer: Any, unit: str, n_bins: int) -> np.ndarray:
    """The map of pyFAI's histogram without splitting: positions in double precision, the upper end moved up by single precision."""
    position = peer.center_array(SHAPE, unit=unit, scale=False)
    low, high = position.min(), position.max() * (1.0 + np.finfo(np.float32).eps)
    found: np.ndarray = ((position - low) / ((high - low) / n_bins)).astype(int)
    return found


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
@pytest.mark.parametrize("rotation", PLACES.values(), ids=PLACES)
def test_every_pixel_lies_where_pyfai_sees_it(orientation: int, rotation: tuple[float, float, float]) -> None:
    peer, geometry = both(orientation, rotation)

    for unit in ("q_nm^-1", "2th_rad", "r_mm"):
        ours, azimuth = geometry.coordinates(unit)  # type: ignore[arg-type]
        np.testing.assert_allclose(ours, peer.center_array(SHAPE, unit=unit, scale=False), rtol=1e-12)
    np.testing.assert_allclose(azimuth, peer.center_array(SHAPE, unit="chi_rad", scale=False), atol=1e-11)
    np.testing.assert_allclose(geometry.solid_angle(), peer.solidAngleArray(SHAPE), rtol=1e-6)
    np.testing.assert_allclose(geometry.polarization(0.7), peer.polarization(SHAPE, 0.7), rtol=1e-6)


@pytest.mark.parametrize("unit", ["q_nm^-1", "q_A^-1", "2th_deg", "r_mm"])
@pytest.mark.parametrize("rotation", PLACES.values(), ids=PLACES)
def test_map_and_profile_are_pyfais(unit: RadialUnit, rotation: tuple[float, float, float]) -> None:
    peer, geometry = both(3, rotation)
    wanted = peer.integrate1d(
        FRAME, 500, unit=unit, method=("no", "histogram", "cython"), mask=MASK, polarization_factor=0.9, error_model="poisson"
    )

    integrator = AzimuthalIntegrator(geometry, 500, unit=unit, mask=MASK, polarization=0.9)
    found = integrator.integrate(FRAME)

    differ = (integrator.pixel_bins != np.where(MASK, -1, peer_map(peer, unit, 500))).mean()
    filled = wanted.count > 0
    assert differ <= 1e-5
    np.testing.assert_allclose(integrator.radial, wanted.radial, rtol=1e-9)
    assert np.array_equal(np.isnan(found.intensity), ~filled)
    assert np.array_equal(found.count, wanted.count)
    np.testing.assert_allclose(found.signal[filled], wanted.sum_signal[filled], rtol=1e-6)
    np.testing.assert_allclose(found.norm[filled], wanted.sum_normalization[filled], rtol=1e-6)
    np.testing.assert_allclose(found.intensity[filled], wanted.intensity[filled], rtol=1e-6)
    np.testing.assert_allclose(found.sigma[filled], wanted.sigma[filled], rtol=1e-6)


def test_a_given_range_holds_the_pixels_of_pyfai_but_those_below_it() -> None:
    """pyFAI's compiled histogram puts pixels less than a bin below the range into the first bin."""
    peer, geometry = both(3, PLACES["turned"])
    wanted = peer.integrate1d(FRAME, 100, unit="q_nm^-1", method=("no", "histogram", "cython"), radial_range=(5.0, 15.0))

    found = AzimuthalIntegrator(geometry, 100, radial_range=(5.0, 15.0)).integrate(FRAME)

    position = geometry.coordinates("q_nm^-1")[0]
    below = np.count_nonzero((position > 4.9) & (position < 5.0))
    assert below > 30
    assert np.array_equal(found.count + np.eye(100)[0] * below, wanted.count)
    np.testing.assert_allclose(found.intensity[1:], wanted.intensity[1:], rtol=1e-6)


@pytest.mark.parametrize("rotation", PLACES.values(), ids=PLACES)
def test_boxes_are_pyfais(rotation: tuple[float, float, float]) -> None:
    peer, geometry = both(3, rotation)
    wanted = peer.integrate1d(FRAME, 300, unit="q_nm^-1", method=("bbox", "csr", "cython"), mask=MASK)

    integrator = AzimuthalIntegrator(geometry, 300, mask=MASK, splitting="bbox")
    found = integrator.integrate(FRAME)

    # The corners of pyFAI are single precision.
    np.testing.assert_allclose(integrator.radial, wanted.radial, rtol=1e-6)
    np.testing.assert_allclose(found.count, wanted.count, atol=5e-3)
    full = wanted.count > 1
    np.testing.assert_allclose(found.intensity[full], wanted.intensity[full], rtol=1e-4)


def test_sectors_are_pyfais() -> None:
    peer, geometry = both(3, PLACES["turned"])
    wanted = peer.integrate2d(
        FRAME, 60, 36, unit="q_nm^-1", method=("no", "csr", "cython"), radial_range=(0.0, 30.0), azimuth_range=(-180.0, 180.0)
    )

    integrator = AzimuthalIntegrator(geometry, 60, radial_range=(0.0, 30.0), azimuthal_bins=36)
    found = integrator.integrate(FRAME)

    np.testing.assert_allclose(integrator.azimuthal_deg, wanted.azimuthal, atol=1e-3)
    assert np.abs(found.count - wanted.count).sum() <= 2e-4 * FRAME.size
    same = (found.count == wanted.count) & (found.count > 0)
    np.testing.assert_allclose(found.intensity[same], wanted.intensity[same], rtol=1e-5)
