"""Where the pixels of a flat area detector lie as the sample sees them: scattering vector, angles, radius, solid angle, polarisation.

The conventions are those of pyFAI, which PONI files carry: Kieffer and Karkoulis, J. Phys. Conf. Ser. 425 (2013) 202012,
https://pyfai.readthedocs.io/en/stable/geometry.html.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError

__all__ = ["Detector", "Geometry", "Orientation", "RadialUnit", "radial_scale"]

F8 = NDArray[np.float64]
Orientation = Literal[1, 2, 3, 4]
RadialUnit = Literal["q_nm^-1", "q_A^-1", "2th_deg", "2th_rad", "r_mm"]

_SCALES: dict[RadialUnit, float] = {"q_nm^-1": 1.0, "q_A^-1": 0.1, "2th_deg": 180.0 / math.pi, "2th_rad": 1.0, "r_mm": 1000.0}
_MOST_PIXELS = 2**31 - 1


def radial_scale(unit: RadialUnit) -> float:
    """Factor from the unit in which coordinates are computed (1/nm, rad, m) to `unit`.

    Raises
    ------
    ConfigError
        There is no such unit.
    """
    if unit not in _SCALES:
        raise ConfigError(f"radial unit {unit!r} is not known. Give one of {', '.join(get_args(RadialUnit))}.")
    return _SCALES[unit]


@dataclass(frozen=True, slots=True)
class Detector:
    """A flat detector of equal pixels.

    Parameters
    ----------
    pixel1_m, pixel2_m
        Size of a pixel along axis 1 (slow, rows) and axis 2 (fast, columns), in m.
    shape
        Rows and columns of a frame.
    orientation
        Where the first pixel lies, seen from the sample: 1 top right, 2 top left, 3 bottom left, 4 bottom right, which pyFAI calls TopLeft,
        TopRight, BottomRight and BottomLeft, as seen from behind the detector. Axis 1 points up and axis 2 to the left from behind.

    Raises
    ------
    ConfigError
        A size, the shape or the orientation cannot be.
    """

    pixel1_m: float
    pixel2_m: float
    shape: tuple[int, int]
    orientation: Orientation = 3

    def __post_init__(self) -> None:
        for name, size in (("pixel1_m", self.pixel1_m), ("pixel2_m", self.pixel2_m)):
            if not (math.isfinite(size) and size > 0.0):
                raise ConfigError(f"detector: {name} is {size!r}; it must be a length in m, above 0.")
        if len(self.shape) != 2 or min(self.shape) < 1 or math.prod(self.shape) > _MOST_PIXELS:
            raise ConfigError(f"detector: shape {self.shape!r} is not rows and columns, both at least 1, of at most {_MOST_PIXELS} pixels.")
        if self.orientation not in get_args(Orientation):
            raise ConfigError(f"detector: orientation {self.orientation!r} is not 1, 2, 3 or 4.")

    def along1(self, rows: slice, part: float) -> F8:
        """Distance of rows from the edge of the detector along axis 1, in m, at that part of a pixel (0 to 1)."""
        index = np.arange(self.shape[0], dtype=np.float64)[rows]
        return ((self.shape[0] - 1 - index if self.orientation in (1, 2) else index) + part) * self.pixel1_m

    def along2(self, part: float) -> F8:
        """The same for all columns along axis 2."""
        index = np.arange(self.shape[1], dtype=np.float64)
        return ((self.shape[1] - 1 - index if self.orientation in (1, 4) else index) + part) * self.pixel2_m


@dataclass(frozen=True, slots=True)
class Geometry:
    """A detector, where it stands, and the wavelength.

    Before it is turned, the detector stands upright at `distance_m` along the beam; the point of normal incidence (PONI) is where
    the normal through the sample meets it. It is turned by rot1 about the vertical axis 1, then by rot2 about axis 2, both left-handed, then
    by rot3 about the beam, right-handed.

    Parameters
    ----------
    distance_m
        From the sample to the PONI, in m.
    poni1_m, poni2_m
        The PONI on the detector, along axes 1 and 2 from its edge, in m.
    rot1_rad, rot2_rad, rot3_rad
        Rotations, in rad.
    wavelength_m
        In m; None where it is not known, which leaves angles and radius.

    Raises
    ------
    ConfigError
        A value is not finite, or distance or wavelength is not above 0.
    """

    detector: Detector
    distance_m: float
    poni1_m: float
    poni2_m: float
    rot1_rad: float = 0.0
    rot2_rad: float = 0.0
    rot3_rad: float = 0.0
    wavelength_m: float | None = None

    def __post_init__(self) -> None:
        for name in ("distance_m", "poni1_m", "poni2_m", "rot1_rad", "rot2_rad", "rot3_rad", "wavelength_m"):
            value = getattr(self, name)
            positive = name in ("distance_m", "wavelength_m")
            if value is not None and not (math.isfinite(value) and (value > 0.0 or not positive)):
                raise ConfigError(f"geometry: {name} is {value!r}; it must be a finite number{' above 0' if positive else ''}.")

    def rotation(self) -> F8:
        """Matrix that turns (axis 1, axis 2, beam) of the detector into the laboratory's, (3, 3)."""
        (c1, s1), (c2, s2), (c3, s3) = ((math.cos(a), math.sin(a)) for a in (self.rot1_rad, self.rot2_rad, self.rot3_rad))
        about1 = np.array([[1.0, 0.0, 0.0], [0.0, c1, s1], [0.0, -s1, c1]])
        about2 = np.array([[c2, 0.0, -s2], [0.0, 1.0, 0.0], [s2, 0.0, c2]])
        about3 = np.array([[c3, -s3, 0.0], [s3, c3, 0.0], [0.0, 0.0, 1.0]])
        turned: F8 = about3 @ about2 @ about1
        return turned

    def positions(self, rows: slice = slice(None), parts: tuple[float, float] = (0.5, 0.5)) -> tuple[F8, F8, F8]:
        """Points of the pixels of some rows in the laboratory: up, to the left from behind, along the beam, each (rows, columns), in m.

        `parts` says which point of a pixel: (0.5, 0.5) its centre, (0, 0) the corner next to the edge from which the PONI is measured.
        """
        p1 = (self.detector.along1(rows, parts[0]) - self.poni1_m)[:, None]
        p2 = (self.detector.along2(parts[1]) - self.poni2_m)[None, :]
        m = self.rotation()
        up, left, along = (m[k, 0] * p1 + m[k, 1] * p2 + m[k, 2] * self.distance_m for k in range(3))
        return up, left, along

    def coordinates(self, unit: RadialUnit, rows: slice = slice(None), parts: tuple[float, float] = (0.5, 0.5)) -> tuple[F8, F8]:
        """Radial coordinate (in 1/nm, rad or m: `radial_scale`) and azimuth (rad, -pi to pi) of pixels, each (rows, columns).

        Raises
        ------
        ConfigError
            The unit is not known, or it needs the wavelength and there is none.
        """
        radial_scale(unit)
        up, left, along = self.positions(rows, parts)
        across = np.sqrt(left * left + up * up)
        azimuth: F8 = np.arctan2(up, left)
        if unit == "r_mm":
            return across, azimuth
        two_theta: F8 = np.arctan2(across, along)
        if unit in ("2th_deg", "2th_rad"):
            return two_theta, azimuth
        if self.wavelength_m is None:
            raise ConfigError(
                f"radial unit {unit!r} needs the wavelength, and the geometry has none. Give wavelength_m, or use 2th_deg, 2th_rad or r_mm."
            )
        return 4.0e-9 * math.pi * np.sin(two_theta / 2.0) / self.wavelength_m, azimuth

    def solid_angle(self) -> F8:
        """Solid angle of each pixel over that of a pixel at the PONI: the cube of the cosine of incidence, (rows, columns)."""
        p1 = (self.detector.along1(slice(None), 0.5) - self.poni1_m)[:, None]
        p2 = (self.detector.along2(0.5) - self.poni2_m)[None, :]
        cosine: F8 = self.distance_m / np.sqrt(self.distance_m**2 + p1 * p1 + p2 * p2)
        return cosine**3

    def polarization(self, factor: float) -> F8:
        """Share of the scattering that the polarisation of the beam leaves, (rows, columns).

        `factor` is (horizontal - vertical) / (horizontal + vertical) of the beam's intensity, -1 to 1.

        Raises
        ------
        ConfigError
            The factor lies outside.
        """
        if not -1.0 <= factor <= 1.0:
            raise ConfigError(f"polarisation factor {factor!r} lies outside -1 (vertical) to 1 (horizontal).")
        two_theta, azimuth = self.coordinates("2th_rad")
        squared = np.cos(two_theta) ** 2
        share: F8 = 0.5 * (1.0 + squared - factor * np.cos(2.0 * azimuth) * (1.0 - squared))
        return share
