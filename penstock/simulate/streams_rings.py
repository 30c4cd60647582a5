"""What the area detector of a simulated scan sees: powder rings whose radii and counts follow the motors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.kernels.geometry import Detector, Geometry, radial_scale
from penstock.simulate.streams_settings import StreamSimulation

__all__ = ["Point", "RingDetector", "scan_points"]

F8 = NDArray[np.float64]
_INDICES = ((1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 0, 0))
_I0_COUNTS = 1e6
_ENCODER_MM = 1e-4
_POINTS, _PIXELS = 0, 1


@dataclass(frozen=True, slots=True)
class Point:
    """The truth of one point of a scan.

    Attributes
    ----------
    sx_mm, sy_mm
        Where the motors stand.
    i0
        Counts of the monitor of the beam.
    powder
        How much powder is in the beam, 0 to 1.
    lattice_angstrom
        Its lattice constant.
    q
        (rings,) where the rings lie, in 1/angstrom.
    counts
        (rings,) expected counts of a pixel on each.
    """

    sx_mm: float
    sy_mm: float
    i0: float
    powder: float
    lattice_angstrom: float
    q: F8
    counts: F8


def scan_points(settings: StreamSimulation, run: int, n_points: int) -> list[Point]:
    """The points of a mesh scan, line by line; the last line may be cut short."""
    columns = settings.mesh_columns(n_points)
    rows = math.ceil(n_points / columns)
    return [_point(settings, run, k, _stop(settings, k % columns, columns), _stop(settings, k // columns, rows)) for k in range(n_points)]


def _stop(settings: StreamSimulation, place: int, places: int) -> float:
    return settings.range_mm * (2.0 * place / (places - 1) - 1.0) if places > 1 else 0.0


def _point(settings: StreamSimulation, run: int, number: int, x: float, y: float) -> Point:
    rng = np.random.default_rng([settings.seed, run, number, _POINTS])
    sx, sy = x + rng.normal(0.0, _ENCODER_MM), y + rng.normal(0.0, _ENCODER_MM)
    i0 = _I0_COUNTS * (1.0 + 0.02 * math.sin(0.3 * number)) + rng.normal(0.0, math.sqrt(_I0_COUNTS))
    powder = math.exp(-((x / settings.range_mm) ** 2 + (y / settings.range_mm) ** 2) / (2.0 * settings.grain**2))
    lattice = settings.lattice_angstrom * (1.0 + settings.strain * x / settings.range_mm)
    hkl = np.array(_INDICES[: len(settings.ring_counts)], np.float64)
    counts = np.array(settings.ring_counts) * powder * i0 / _I0_COUNTS
    return Point(sx, sy, i0, powder, lattice, 2.0 * math.pi / lattice * np.sqrt((hkl**2).sum(axis=1)), counts)


class RingDetector:
    """The detector: where its pixels lie in q, and which of them are dead.

    Attributes
    ----------
    geometry
        As a PONI file says it.
    q
        Scattering vector at the middle of each pixel, in 1/angstrom.
    dead
        Flat indices of pixels that always say 65535.
    """

    def __init__(self, settings: StreamSimulation) -> None:
        pixel_m = settings.side_mm * 1e-3 / max(settings.shape)
        rows, columns = settings.shape
        self.geometry = Geometry(
            Detector(pixel_m, pixel_m, settings.shape),
            settings.distance_mm * 1e-3,
            rows * pixel_m / 2.0,
            columns * pixel_m / 2.0,
            wavelength_m=settings.wavelength_angstrom * 1e-10,
        )
        self.q: F8 = self.geometry.coordinates("q_A^-1")[0].reshape(settings.shape) * radial_scale("q_A^-1")
        rng = np.random.default_rng([settings.seed, 0, 0, _PIXELS])
        self.dead = np.sort(rng.choice(rows * columns, min(settings.dead_pixels, rows * columns), replace=False))
        self._settings = settings

    def expected(self, point: Point) -> F8:
        """Mean counts of each pixel, (rows, columns)."""
        image = np.full(self.q.shape, self._settings.background_counts * point.i0 / _I0_COUNTS)
        for q, counts in zip(point.q, point.counts, strict=True):
            image += counts * np.exp(-0.5 * ((self.q - q) / self._settings.ring_sigma) ** 2)
        return image

    def image(self, point: Point, run: int, number: int) -> NDArray[np.uint16]:
        """The counts that one exposure gives, (rows, columns)."""
        rng = np.random.default_rng([self._settings.seed, run, number, _PIXELS])
        image = np.minimum(rng.poisson(self.expected(point)), np.iinfo(np.uint16).max - 1).astype(np.uint16)
        image.reshape(-1)[self.dead] = np.iinfo(np.uint16).max
        return image
