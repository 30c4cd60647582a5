"""``azint.Poni`` and ``azint.AzimuthalIntegrator``: azint's interface and its definition of intensity, on penstock's kernels.

The intensity of a bin is the mean of its pixels, each over its solid angle and polarisation: https://maxiv-science.github.io/azint/,
and Jensen et al., J. Synchrotron Rad. 29 (2022) 1420, https://doi.org/10.1107/S1600577522008232.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penstock.compat.azint.detector import Detector
from penstock.core.errors import ConfigError
from penstock.formats.poni import read_poni
from penstock.kernels import azimuthal
from penstock.kernels.geometry import Geometry, RadialUnit, radial_scale

__all__ = ["AzimuthalIntegrator", "Poni"]

F4 = NDArray[np.float32]
_UNITS: dict[str, RadialUnit] = {"q": "q_A^-1", "2th": "2th_deg"}


@dataclass
class Poni:
    """Detector, its place (m, rad) and the wavelength (m)."""

    det: Detector
    dist: float
    poni1: float
    poni2: float
    rot1: float
    rot2: float
    rot3: float
    wavelength: float

    @classmethod
    def from_file(cls, filename: str | PathLike[str]) -> Poni:
        """That of a PONI file.

        Raises
        ------
        ConfigError
            The file cannot be read; the message names line and field.
        """
        return cls.of(read_poni(Path(fspath(filename))))

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Poni:
        """That of the fields of a PONI file, by name in small letters."""
        fields = {key: json.dumps(value) if isinstance(value, Mapping) else value for key, value in config.items()}
        return cls.of(read_poni("".join(f"{key}: {value}\n" for key, value in fields.items())))

    @classmethod
    def of(cls, geometry: Geometry) -> Poni:
        """The same geometry.

        Raises
        ------
        ConfigError
            It has no wavelength.
        """
        if geometry.wavelength_m is None:
            raise ConfigError("azint.Poni: the geometry has no wavelength. Add the field Wavelength, in m.")
        places = geometry.distance_m, geometry.poni1_m, geometry.poni2_m
        return cls(Detector.of(geometry.detector), *places, geometry.rot1_rad, geometry.rot2_rad, geometry.rot3_rad, geometry.wavelength_m)

    @property
    def geometry(self) -> Geometry:
        """The geometry as the kernels know it."""
        return Geometry(
            self.det.known,
            float(self.dist),
            float(self.poni1),
            float(self.poni2),
            float(self.rot1),
            float(self.rot2),
            float(self.rot3),
            float(self.wavelength),
        )


class AzimuthalIntegrator:
    """Integrates frames of one detector in one geometry.

    Parameters
    ----------
    poni
        A `Poni`, the path of a PONI file, its content as bytes, or its fields as a dictionary.
    n_splitting
        Each pixel is split into n × n.
    radial_bins
        Number of bins between the least and the greatest centre of a pixel, or their edges.
    azimuth_bins
        Number of bins from 0 to 360 degrees, or their edges.
    unit
        ``q`` in 1/Å, or ``2th`` in degrees.
    mask
        Pixels that never count: 1, or the path of a ``.npy`` file with such a mask.
    solid_angle
        Whether to correct for the solid angle.
    polarization_factor
        1 (horizontal) to -1 (vertical), or None: no correction.
    error_model
        ``poisson``, or None: no errors.

    Raises
    ------
    ConfigError
        A parameter cannot be.
    """

    def __init__(
        self,
        poni: str | PathLike[str] | bytes | Mapping[str, Any] | Poni,
        n_splitting: int,
        radial_bins: int | Sequence[float],
        azimuth_bins: int | Sequence[float] | None = None,
        unit: str = "q",
        mask: ArrayLike | None = None,
        solid_angle: bool = True,
        polarization_factor: float | None = None,
        error_model: str | None = None,
    ) -> None:
        if unit not in _UNITS:
            raise ConfigError(f"azint.AzimuthalIntegrator: unit {unit!r} is not 'q' or '2th'.")
        if error_model not in (None, "", "poisson"):
            raise ConfigError(f"azint.AzimuthalIntegrator: error_model {error_model!r} is not 'poisson' or None.")
        if isinstance(n_splitting, bool) or not isinstance(n_splitting, int | np.integer):
            raise ConfigError(f"azint.AzimuthalIntegrator: n_splitting {n_splitting!r} is not a whole number.")
        self.poni = _poni(poni)
        self.n_splitting = int(n_splitting)
        self.unit = unit
        self.error_model = error_model
        self.solid_angle = solid_angle
        self.polarization_factor = polarization_factor
        self.mask = _mask(mask)
        geometry = self.poni.geometry
        self._integrator = azimuthal.AzimuthalIntegrator(
            geometry,
            _edges(geometry, radial_bins, _UNITS[unit]),
            unit=_UNITS[unit],
            splitting=self.n_splitting,
            azimuthal_bins=np.linspace(0.0, 360.0, azimuth_bins + 1) if isinstance(azimuth_bins, int | np.integer) else azimuth_bins,
            mask=self.mask,
            solid_angle=solid_angle,
            polarization=polarization_factor,
            average="mean",
            invalid=None,
        )
        self.radial_axis = self._integrator.radial
        """Middles of the radial bins."""
        self.azimuth_axis = None if azimuth_bins is None else self._integrator.azimuthal_deg
        """Middles of the azimuthal bins, in degrees, or None."""

    def integrate(self, img: NDArray[Any], mask: ArrayLike | None = None, normalized: bool = True) -> tuple[F4 | None, ...]:
        """Intensity and its errors (None without an error model), float32; with ``normalized=False`` sum, errors of the sum, and norm.

        Parameters
        ----------
        img
            Frame of the detector's shape, or flat.
        mask
            Further pixels that do not count in this frame: 1.

        Raises
        ------
        BadEvent
            The frame has another shape.
        """
        frame = np.asarray(img)
        shape = self.poni.det.shape
        if frame.shape != shape and frame.size == shape[0] * shape[1]:
            frame = frame.reshape(shape)
        profile = self._integrator.integrate(frame, None if mask is None else np.reshape(mask, shape))
        errors = profile.sigma if self.error_model else None
        if normalized:
            return _filled(profile.intensity), None if errors is None else _filled(errors)
        return _filled(profile.signal), None if errors is None else _filled(errors * profile.norm), _filled(profile.norm)


def _filled(values: NDArray[np.float64]) -> F4:
    """The values with 0 in empty bins, as azint has it."""
    return np.nan_to_num(values.astype(np.float32), nan=0.0)


def _poni(source: object) -> Poni:
    if isinstance(source, Poni):
        return source
    if isinstance(source, Mapping):
        return Poni.from_dict(source)
    if isinstance(source, bytes):
        return Poni.of(read_poni(source))
    if isinstance(source, str | PathLike):
        return Poni.from_file(source)
    raise ConfigError(f"azint.AzimuthalIntegrator: poni is a {type(source).__name__}; a Poni, a path, bytes or a dictionary is wanted.")


def _mask(mask: object) -> NDArray[Any] | None:
    if mask is None or (isinstance(mask, str) and not mask):
        return None
    if isinstance(mask, str | PathLike):
        path = Path(fspath(mask))
        if path.suffix != ".npy":
            raise ConfigError(f"azint.AzimuthalIntegrator: the mask {path} is no .npy file. Read it, and give the array.")
        try:
            loaded: NDArray[Any] = np.load(path)
        except (OSError, ValueError) as error:
            raise ConfigError(f"azint.AzimuthalIntegrator: the mask {path} cannot be read: {error}.") from error
        return loaded
    return np.asarray(mask)


def _edges(geometry: Geometry, bins: int | Sequence[float], unit: RadialUnit) -> NDArray[np.float64]:
    """Edges of the radial bins; equal ones run from the least to the greatest centre of a pixel."""
    if not isinstance(bins, int | np.integer):
        return np.asarray(bins, dtype=np.float64)
    centres = geometry.coordinates(unit)[0] * radial_scale(unit)
    return np.linspace(centres.min(), centres.max(), int(bins) + 1)
