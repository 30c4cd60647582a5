"""The stand-in for azint: its interface, its numbers, and which azint an import finds."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock.compat.azint.detector import Detector, detector_factory
from penstock.compat.azint.integrator import AzimuthalIntegrator, Poni
from penstock.core.errors import BadEvent, ConfigError
from penstock.formats.poni import format_poni

SAMPLE = Path(__file__).parents[3] / "shared/data/events/dumps/dump_xrd.cbors"
PIXEL = 0.75e-6
FRAME = np.random.default_rng(1).integers(0, 20, (10, 10)).astype(np.uint16)


def tutorial_poni() -> Poni:
    return Poni(
        Detector(PIXEL, PIXEL, (10, 10)),
        dist=30 * PIXEL,
        poni1=5 * PIXEL,
        poni2=5 * PIXEL,
        rot1=0,
        rot2=0,
        rot3=0,
        wavelength=1e-10,
    )


def by_definition(frame: NDArray[Any], n: int, edges: NDArray[np.float64], sector: tuple[float, float] = (0.0, 360.0)) -> Any:
    """Mean of the sub-pixels' values over solid angle, its Poisson error, and how many pixels, point by point."""
    signal, variance, norm = np.zeros((3, len(edges) - 1))
    for row in range(10):
        for column in range(10):
            cosine = 30 / np.sqrt(900 + (row - 4.5) ** 2 + (column - 4.5) ** 2)
            found = np.zeros(len(edges) - 1)
            for a in range(n):
                for b in range(n):
                    y, x = row + (a + 0.5) / n - 5, column + (b + 0.5) / n - 5
                    q = 4e-10 * np.pi / 1e-10 * np.sin(0.5 * np.arctan(np.hypot(y, x) / 30))
                    k = np.searchsorted(edges, q) - 1
                    if 0 <= k < len(found) and sector[0] <= np.degrees(np.arctan2(y, x)) % 360 < sector[1]:
                        found[k] += 1 / n**2
            signal += found * frame[row, column] / cosine**3
            variance += found**2 * frame[row, column] / cosine**6
            norm += found
    return signal, np.sqrt(variance), norm


@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample captures do not lie beside the repository")
def test_the_tutorials_last_listing_gives_its_numbers() -> None:
    data = SAMPLE.read_bytes()
    head = data.index(b'"frame": 0,')
    start = data.index(b"\x58\xc8", head) + 2
    frame = np.frombuffer(data[start : start + 200], np.uint16).reshape(10, 10)
    integrator = AzimuthalIntegrator(tutorial_poni(), 4, 5, unit="q", solid_angle=True)

    intensity, errors = integrator.integrate(frame)

    np.testing.assert_allclose(integrator.radial_axis, [0.2644, 0.4969, 0.7295, 0.9621, 1.1947], atol=5e-5)
    assert intensity is not None
    np.testing.assert_allclose(intensity, [15.178, 13.902, 6.877, 9.666, 9.301], atol=1e-3)
    assert errors is None


@pytest.mark.parametrize("n", [1, 4])
def test_intensity_and_errors_follow_the_definition(n: int) -> None:
    edges = np.array([0.1, 0.3, 0.7, 1.31])
    integrator = AzimuthalIntegrator(tutorial_poni(), n, list(edges), error_model="poisson")

    intensity, errors = integrator.integrate(FRAME)
    sums = integrator.integrate(FRAME, normalized=False)

    signal, sigma, norm = by_definition(FRAME, n, edges)
    np.testing.assert_allclose(intensity, signal / norm, rtol=1e-5)  # type: ignore[arg-type]
    np.testing.assert_allclose(errors, sigma / norm, rtol=1e-5)  # type: ignore[arg-type]
    for found, wanted in zip(sums, (signal, sigma, norm), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)  # type: ignore[arg-type]
    np.testing.assert_allclose(integrator.radial_axis, [0.2, 0.5, 1.005])
    assert integrator.azimuth_axis is None


def test_sectors_run_from_zero_to_a_full_turn() -> None:
    edges = np.array([0.1, 0.7, 1.31])
    integrator = AzimuthalIntegrator(tutorial_poni(), 3, list(edges), 4)

    signal = integrator.integrate(FRAME, normalized=False)[0]

    assert integrator.azimuth_axis is not None
    np.testing.assert_allclose(integrator.azimuth_axis, [45, 135, 225, 315])
    assert signal is not None
    for k in range(4):
        np.testing.assert_allclose(signal[k], by_definition(FRAME, 3, edges, (90.0 * k, 90.0 * k + 90.0))[0], rtol=1e-4)


def test_masked_pixels_do_not_count_and_empty_bins_are_zero(tmp_path: Path) -> None:
    mask = np.zeros((10, 10), np.int8)
    mask[4:6, 4:6] = 1
    np.save(tmp_path / "mask.npy", mask)
    every = AzimuthalIntegrator(tutorial_poni(), 1, [0.0, 0.31, 1.31])
    constant = AzimuthalIntegrator(tutorial_poni(), 1, [0.0, 0.31, 1.31], mask=mask)
    of_file = AzimuthalIntegrator(tutorial_poni(), 1, [0.0, 0.31, 1.31], mask=str(tmp_path / "mask.npy"))

    intensity, _ = constant.integrate(FRAME)

    assert intensity is not None
    assert intensity[0] == 0.0 < intensity[1]
    assert np.array_equal(intensity, of_file.integrate(FRAME)[0])  # type: ignore[arg-type]
    np.testing.assert_allclose(intensity, every.integrate(FRAME, mask)[0], rtol=1e-6)  # type: ignore[arg-type]
    np.testing.assert_allclose(intensity, every.integrate(FRAME.ravel(), mask)[0], rtol=1e-6)  # type: ignore[arg-type]


def test_no_value_of_a_pixel_is_invalid_as_in_azint() -> None:
    integrator = AzimuthalIntegrator(tutorial_poni(), 1, 1, solid_angle=False)

    assert integrator.integrate(np.full((10, 10), 65535, np.uint16))[0] == 65535


def test_poni_comes_from_object_file_content_and_dictionary(tmp_path: Path) -> None:
    path = tmp_path / "a.poni"
    path.write_text(format_poni(tutorial_poni().geometry))
    fields = dict(line.split(": ", 1) for line in path.read_text().lower().splitlines())
    fields["detector"] = "Detector"

    wanted = AzimuthalIntegrator(tutorial_poni(), 2, 6).integrate(FRAME)[0]
    for poni in (path, str(path), path.read_bytes(), fields, {**fields, "detector_config": json.loads(fields["detector_config"])}):
        assert np.array_equal(AzimuthalIntegrator(poni, 2, 6).integrate(FRAME)[0], wanted)  # type: ignore[arg-type]


def test_angles_are_degrees() -> None:
    integrator = AzimuthalIntegrator(tutorial_poni(), 1, 5, unit="2th")

    greatest = np.degrees(np.arctan(np.hypot(4.5, 4.5) / 30))
    assert integrator.radial_axis[-1] < greatest < integrator.radial_axis[-1] * 1.2


def test_an_integrator_can_be_pickled() -> None:
    integrator = AzimuthalIntegrator(tutorial_poni(), 4, 5)

    assert np.array_equal(pickle.loads(pickle.dumps(integrator)).integrate(FRAME)[0], integrator.integrate(FRAME)[0])  # type: ignore[arg-type]


def test_detectors_have_names_and_configurations() -> None:
    assert detector_factory("Eiger2_1M").shape == (1062, 1028)
    assert Detector.factory("Detector", {"pixel1": 1e-3, "pixel2": 2e-3, "max_shape": [3, 4], "orientation": 3}).pixel2 == 2e-3
    assert detector_factory("Pilatus1M", {"pixel1": 1e-3}).pixel1 == 1e-3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: AzimuthalIntegrator(tutorial_poni(), 4, 5, unit="d"), "unit 'd' is not 'q' or '2th'"),
        (lambda: AzimuthalIntegrator(tutorial_poni(), 4, 5, error_model="hybrid"), "error_model 'hybrid' is not 'poisson' or None"),
        (lambda: AzimuthalIntegrator(tutorial_poni(), "bbox", 5), "n_splitting 'bbox' is not a whole number"),  # type: ignore[arg-type]
        (lambda: AzimuthalIntegrator(3, 4, 5), "poni is a int; a Poni, a path, bytes or a dictionary is wanted"),  # type: ignore[arg-type]
        (lambda: AzimuthalIntegrator(tutorial_poni(), 4, 5, mask="mask.tif"), "the mask mask.tif is no .npy file"),
        (lambda: AzimuthalIntegrator(tutorial_poni(), 4, 5, mask="absent.npy"), "the mask absent.npy cannot be read"),
        (lambda: Detector(1e-3, 1e-3, (3, 3), np.zeros((3, 3, 4, 3))), "pixel_corners are not served by penstock.compat.azint"),
        (lambda: detector_factory("Detector", {"pixel1": 1}), "its configuration lacks max_shape, pixel2"),
        (lambda: detector_factory("Eiger3M"), "detector 'Eiger3M' is not known"),
        (
            lambda: Poni.from_dict(
                {"detector": "Eiger1M", "distance": 1, "poni1": 0, "poni2": 0, "rot1": 0, "rot2": 0, "rot3": 0},
            ),
            "azint.Poni: the geometry has no wavelength",
        ),
    ],
)
def test_what_cannot_be_served_is_told(make: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


def test_a_frame_of_another_shape_is_a_bad_event() -> None:
    with pytest.raises(BadEvent, match=r"the frame has shape \(3, 3\), the geometry's detector \(10, 10\)"):
        AzimuthalIntegrator(tutorial_poni(), 1, 5).integrate(np.zeros((3, 3)))


def run(code: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path or "")}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False)


LISTING = """
from penstock.compat.azint import install
print(install())
import azint
det = azint.detector.Detector(1e-3, 1e-3, (10, 10))
print(azint.Poni(det, dist=1, poni1=0, poni2=0, rot1=0, rot2=0, rot3=0, wavelength=1e-10).det.shape)
print(azint.AzimuthalIntegrator.__name__, azint.detector_factory("Eiger1M").shape)
from azint.detector import Nonsense
"""


def test_names_of_listings_are_found_after_install_and_others_are_told() -> None:
    done = run(LISTING)

    assert done.stdout == "True\n(10, 10)\nAzimuthalIntegrator (1065, 1030)\n", done.stderr
    assert "azint.detector.Nonsense: not served by penstock.compat.azint" in done.stderr


def test_nothing_is_called_azint_without_install() -> None:
    assert "No module named 'azint'" in run("import penstock.compat.azint\nimport azint").stderr


def test_an_installed_azint_is_left_alone_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / "azint.py").write_text("REAL = True\n")
    code = "from penstock.compat.azint import install\nprint(install(instead={}))\nimport azint\nprint('REAL' in vars(azint))"

    assert run(code.format(False), tmp_path).stdout == "False\nTrue\n"
    assert run(code.format(True), tmp_path).stdout == "True\nFalse\n"
    late = run("import azint\nfrom penstock.compat.azint import install\nprint(install())\ninstall(instead=True)", tmp_path)
    assert late.stdout == "False\n"
    assert "Call penstock.compat.azint.install(instead=True) before any import of it." in late.stderr


def test_a_name_of_the_package_that_is_not_served_is_told() -> None:
    done = run("from penstock.compat.azint import install\ninstall()\nfrom azint import NexusWriter")

    assert "ImportError: azint.NexusWriter: not served by penstock.compat.azint." in done.stderr
