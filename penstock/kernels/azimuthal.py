"""Azimuthal integration: what an area detector saw, by scattering vector or angle, and by azimuth.

The map from pixels to bins and all corrections are worked out once; a frame then costs one compiled pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penstock.core.errors import BadEvent, ConfigError
from penstock.kernels._binning import Axis, Bins, Parts, Splitting, Whole, find_bins, split_by_box, split_by_points, whole
from penstock.kernels._scatter import finish, fold, sum_pairs, sum_split, sum_type, sum_whole
from penstock.kernels.geometry import Geometry, RadialUnit, radial_scale

__all__ = ["Average", "AzimuthalIntegrator", "Invalid", "Profile", "Splitting"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
Average = Literal["ratio", "mean"]
Invalid = Literal["auto"] | Sequence[float] | None

_TURN_DEG = 360.0


@dataclass(frozen=True, slots=True)
class Profile:
    """A frame, integrated: float64 arrays, (radial bins,) or (azimuthal bins, radial bins).

    Parameters
    ----------
    intensity
        Signal over norm; NaN in bins without a valid pixel.
    sigma
        Its standard error for counts that follow Poisson's law; NaN in those bins.
    count
        Valid pixels of each bin, a split pixel by its parts.
    signal
        Sum of the pixels; with ``average="mean"`` after correction of each.
    norm
        Sum of what the corrections leave of each pixel; with ``average="mean"`` the count.
    """

    intensity: F8
    sigma: F8
    count: F8
    signal: F8
    norm: F8


class AzimuthalIntegrator:
    """Integrates frames of one detector in one geometry.

    It can be pickled, and used by several threads at once: a frame changes nothing in it.

    Parameters
    ----------
    geometry
        Detector, its place, the wavelength (`penstock.formats.poni.read_poni` reads it from a PONI file).
    bins
        Number of equal radial bins, or their edges in `unit`, ascending.
    unit
        Of the radial coordinate: ``q_nm^-1``, ``q_A^-1``, ``2th_deg``, ``2th_rad`` or ``r_mm``.
    radial_range
        Ends of the equal bins, in `unit`. Without, they hold the centres of all pixels, or with ``splitting="bbox"`` the whole of all pixels that are
        not masked, as in pyFAI.
    splitting
        ``"none"``: a pixel belongs to the bin of its centre. ``"bbox"``: it is spread over the stretch that its corners span. A number n: its n × n
        parts belong to the bins of their centres.
    azimuthal_bins
        Number of equal sectors, or their edges in degrees, ascending. Without, there is one.
    azimuthal_range_deg
        Ends of the equal sectors, counted from axis 2 towards axis 1 of the detector; what lies outside does not count.
    mask
        Pixels that never count, True or not 0, of the detector's shape.
    solid_angle
        Whether to correct for the solid angle of each pixel.
    polarization
        Factor of the beam's polarisation, -1 (vertical) to 1 (horizontal), or None: no correction.
    average
        ``"ratio"``: sum of pixels over sum of their corrections, which weights pixels by what they can count (pyFAI's way). ``"mean"``: mean of the
        corrected pixels (azint's way).
    invalid
        Values that mark a pixel as invalid in a frame. ``"auto"``: the greatest value of unsigned integers, negative ones of signed integers, NaN;
        or a list of values, to which NaN always belongs. None: no value does, not even NaN.

    Raises
    ------
    ConfigError
        A parameter cannot be, or no pixel lies in any bin.
    """

    def __init__(
        self,
        geometry: Geometry,
        bins: int | Sequence[float] | F8,
        *,
        unit: RadialUnit = "q_nm^-1",
        radial_range: tuple[float, float] | None = None,
        splitting: Splitting = "none",
        azimuthal_bins: int | Sequence[float] | F8 | None = None,
        azimuthal_range_deg: tuple[float, float] | None = None,
        mask: ArrayLike | None = None,
        solid_angle: bool = True,
        polarization: float | None = None,
        average: Average = "ratio",
        invalid: Invalid = "auto",
    ) -> None:
        if average not in get_args(Average):
            raise ConfigError(f"azimuthal integration: average {average!r} is not 'ratio' or 'mean'.")
        self.geometry = geometry
        self.unit = unit
        self.invalid: Invalid = invalid if invalid is None or isinstance(invalid, str) else tuple(invalid)
        n_points = _points(splitting)
        good = _good_pixels(mask, geometry.detector.shape)
        reach = _reach(geometry, unit) if splitting == "bbox" else None
        sectors = _azimuthal_axis(azimuthal_bins, azimuthal_range_deg)
        if reach is not None and sectors is not None and len(sectors) > 1:
            raise ConfigError(
                "azimuthal integration: splitting 'bbox' knows one azimuthal bin only. Split by a number of points, such as 4."
            )
        self._bins = Bins(_radial_axis(geometry, unit, bins, radial_range, good, reach), sectors)
        self._flat_azimuth = azimuthal_bins is None
        self._weights = _weights(geometry, solid_angle, polarization)
        self._map: Whole | Parts
        self._factors: F4 | None = None
        if n_points == 1 and reach is None and average == "ratio":
            index = find_bins(geometry, unit, self._bins, good)
            self._map = whole(index, len(self._bins))
            self._set_norm(index, np.ones(len(index), dtype=np.float32), self._weights)
        else:
            parts = (
                split_by_points(geometry, unit, self._bins, good, n_points)
                if reach is None
                else split_by_box(geometry, unit, self._bins, good, reach)
            )
            self._map = parts
            corrections = self._weights[parts.pixels]
            self._factors = parts.parts if average == "ratio" else parts.parts / corrections
            if average == "mean":
                self._weights = np.ones_like(self._weights)
            self._set_norm(parts.bins, parts.parts, self._weights[parts.pixels])
        if not self._count.any():
            raise ConfigError(
                "azimuthal integration: no pixel lies in any bin. Look at the ranges and at the mask (True or 1 means masked)."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a profile."""
        radial = len(self._bins.radial)
        return (radial,) if self._flat_azimuth or self._bins.azimuthal is None else (len(self._bins.azimuthal), radial)

    @property
    def radial(self) -> F8:
        """Middles of the radial bins, in `unit`, (radial bins,)."""
        return self._bins.radial.centres * radial_scale(self.unit)

    @property
    def radial_edges(self) -> F8:
        """Edges of the radial bins, in `unit`, (radial bins + 1,)."""
        return self._bins.radial.edges * radial_scale(self.unit)

    @property
    def azimuthal_deg(self) -> F8:
        """Middles of the azimuthal bins, in degrees, (azimuthal bins,)."""
        return np.zeros(1) if self._bins.azimuthal is None else np.rad2deg(self._bins.azimuthal.centres)

    @property
    def pixel_bins(self) -> NDArray[np.int64]:
        """Bin of each pixel, -1 where it lies in none, of the detector's shape.

        Raises
        ------
        ConfigError
            Pixels are split.
        """
        if isinstance(self._map, Parts):
            raise ConfigError(
                "azimuthal integration: pixels lie in several bins, or are corrected one by one. Use splitting 'none' and average 'ratio'."
            )
        index = self._map.places.astype(np.int64) // self._map.lanes
        return np.where(index == len(self._bins), -1, index).reshape(self.geometry.detector.shape)

    def integrate(self, frame: NDArray[Any], mask: ArrayLike | None = None) -> Profile:
        """The profile of a frame.

        Parameters
        ----------
        frame
            Of the detector's shape, integers or floats.
        mask
            Further pixels that do not count in this frame, True or not 0. A constant one costs nothing in the constructor.

        Raises
        ------
        BadEvent
            The frame has another shape, or a type that is no real number.
        ConfigError
            The mask has another shape.
        """
        values = self._prepare(frame := np.asarray(frame), mask)
        lows, highs, nan_invalid = _invalid_values(self.invalid, frame.dtype, values.dtype)
        nan_invalid |= mask is not None
        n_bins = len(self._bins)
        sums, lost = np.zeros((n_bins, 2)), np.zeros((n_bins + 1, 2))
        found = self._map
        if isinstance(found, Parts):
            assert self._factors is not None
            sum_split(values, found.pixels, found.bins, found.parts, self._factors, lows, highs, nan_invalid, self._weights, sums, lost)
        else:
            by_place = np.zeros((n_bins + 1) * found.lanes, dtype=sum_type(values.dtype))
            if found.pairs is not None and values.dtype.kind == "u" and values.dtype.itemsize <= 2:
                pairs = found.pairs.pairs, found.pairs.firsts, found.pairs.seconds
                sum_pairs(values, found.places, found.lanes, *pairs, lows, highs, self._weights, by_place, lost)
            else:
                sum_whole(values, found.places, found.lanes, lows, highs, nan_invalid, self._weights, by_place, lost)
            fold(by_place, found.lanes, sums)
        profile = np.empty((5, n_bins))
        finish(sums, self._count, self._norm, lost, profile)
        return Profile(*profile.reshape(5, *self.shape))

    def _set_norm(self, bins: NDArray[Any], parts: F4, weights: F4) -> None:
        """Count and norm of the bins of a frame without invalid pixels."""
        n_bins = len(self._bins)
        self._count = np.bincount(bins, parts, n_bins + 1)[:n_bins].astype(np.float64)
        self._norm = np.bincount(bins, parts.astype(np.float64) * weights, n_bins + 1)[:n_bins].astype(np.float64)

    def _prepare(self, frame: NDArray[Any], mask: ArrayLike | None) -> NDArray[Any]:
        """The frame as the kernels take it: flat, native, of a type they know; masked pixels NaN."""
        shape = self.geometry.detector.shape
        if frame.shape != shape:
            raise BadEvent(f"azimuthal integration: the frame has shape {frame.shape}, the geometry's detector {shape}.")
        if frame.dtype.kind not in "biuf":
            raise BadEvent(f"azimuthal integration: the frame has type {frame.dtype}; integers or floats are wanted.")
        if frame.dtype.kind == "b":
            frame = frame.view(np.uint8)
        elif frame.dtype.itemsize == 8 or frame.dtype.kind == "f":
            # Sums of 64-bit integers might not fit into 64 bits.
            frame = frame.astype(np.float32 if frame.dtype.itemsize <= 4 else np.float64, copy=False)
        elif not frame.dtype.isnative:
            frame = frame.astype(frame.dtype.newbyteorder("="))
        if mask is not None:
            frame = np.where(_good_pixels(mask, shape), frame.astype(np.float64), np.nan)
        flat = np.ascontiguousarray(frame).reshape(-1)
        # Frames of captures cannot be written to; with all frames alike, kernels are compiled once.
        flat.flags.writeable = False
        return flat


def _points(splitting: Splitting) -> int:
    """Points along a side of a pixel."""
    if splitting in ("none", "bbox"):
        return 1
    if isinstance(splitting, bool) or not isinstance(splitting, int) or not 1 <= splitting <= 64:
        raise ConfigError(
            f"azimuthal integration: splitting {splitting!r} is not 'none', 'bbox' or a number of points along a side, 1 to 64."
        )
    return splitting


def _good_pixels(mask: ArrayLike | None, shape: tuple[int, int]) -> NDArray[np.bool_]:
    if mask is None:
        return np.ones(shape, dtype=bool)
    array = np.asarray(mask)
    if array.shape != shape:
        raise ConfigError(f"azimuthal integration: the mask has shape {array.shape}, the geometry's detector {shape}.")
    good: NDArray[np.bool_] = array == 0
    return good


def _weights(geometry: Geometry, solid_angle: bool, polarization: float | None) -> F4:
    """What the corrections leave of each pixel, (pixels,)."""
    weights = geometry.solid_angle() if solid_angle else np.ones(geometry.detector.shape)
    if polarization is not None:
        weights *= geometry.polarization(polarization)
    return weights.astype(np.float32).ravel()


def _reach(geometry: Geometry, unit: RadialUnit) -> F8:
    """How far the corners of a pixel are from its centre at most, in the radial coordinate, (rows, columns)."""
    centre = geometry.coordinates(unit)[0]
    corners = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
    reach: F8 = np.max([np.abs(geometry.coordinates(unit, parts=parts)[0] - centre) for parts in corners], axis=0)
    return reach


def _radial_axis(
    geometry: Geometry,
    unit: RadialUnit,
    bins: int | Sequence[float] | F8,
    radial_range: tuple[float, float] | None,
    good: NDArray[np.bool_],
    reach: F8 | None,
) -> Axis:
    scale = radial_scale(unit)
    if not isinstance(bins, int | np.integer):
        if radial_range is not None:
            raise ConfigError("azimuthal integration: radial_range belongs to a number of bins; the edges that are given say it already.")
        edges = Axis.of_edges(bins, "radial bins").edges
        return Axis(edges / scale, equal=False)
    if bins < 1:
        raise ConfigError(f"azimuthal integration: {bins} radial bins; at least 1 is wanted.")
    if radial_range is not None:
        low, high = _ascending(radial_range, "radial_range")
        return Axis.of_range(low / scale, high / scale, int(bins))
    centre = geometry.coordinates(unit)[0]
    if reach is None:
        return Axis.of_range(float(centre.min()), float(centre.max()), int(bins))
    if not good.any():
        raise ConfigError("azimuthal integration: the mask leaves no pixel (True or 1 means masked).")
    return Axis.of_range(max(float((centre - reach)[good].min()), 0.0), float((centre + reach)[good].max()), int(bins))


def _azimuthal_axis(bins: int | Sequence[float] | F8 | None, range_deg: tuple[float, float] | None) -> Axis | None:
    if bins is None and range_deg is None:
        return None
    turn = 2.0 * np.pi
    if bins is not None and not isinstance(bins, int | np.integer):
        if range_deg is not None:
            raise ConfigError(
                "azimuthal integration: azimuthal_range_deg belongs to a number of bins; the edges that are given say it already."
            )
        return Axis.of_edges(np.deg2rad(Axis.of_edges(bins, "azimuthal bins", period=_TURN_DEG).edges), "azimuthal bins", period=turn)
    number = 1 if bins is None else int(bins)
    if number < 1:
        raise ConfigError(f"azimuthal integration: {number} azimuthal bins; at least 1 is wanted.")
    low, high = _ascending(range_deg or (-180.0, 180.0), "azimuthal_range_deg")
    if high - low > _TURN_DEG:
        raise ConfigError(f"azimuthal integration: azimuthal_range_deg {range_deg!r} is more than once around.")
    return Axis.of_range(np.deg2rad(low), np.deg2rad(high), number, period=turn)


def _ascending(ends: tuple[float, float], name: str) -> tuple[float, float]:
    low, high = (float(end) for end in ends)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ConfigError(f"azimuthal integration: {name} {ends!r} is not two finite numbers that ascend.")
    return low, high


@lru_cache(maxsize=64)
def _invalid_values(invalid: Invalid, dtype: np.dtype[Any], taken_as: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any], bool]:
    """First and last values of the stretches that are invalid in frames of `dtype`, in the type that the kernels get; whether NaN is."""
    if invalid is None:
        ranges: list[tuple[float, float]] = []
    elif not isinstance(invalid, str):
        low, high = _limits(dtype)
        ranges = [(value, value) for value in invalid if low <= value <= high and (dtype.kind == "f" or float(value).is_integer())]
    elif invalid != "auto":
        raise ConfigError(f"azimuthal integration: invalid {invalid!r} is not 'auto', a list of values, or None.")
    elif dtype.kind == "u":
        ranges = [(np.iinfo(dtype).max, np.iinfo(dtype).max)]
    elif dtype.kind == "i":
        ranges = [(np.iinfo(dtype).min, -1)]
    else:
        ranges = []
    ends = np.array(ranges, dtype=taken_as).reshape(-1, 2)
    return ends[:, 0].copy(), ends[:, 1].copy(), invalid is not None and taken_as.kind == "f"


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Least and greatest value of a type."""
    if dtype.kind in "iu":
        return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return (0.0, 1.0) if dtype.kind == "b" else (-np.inf, np.inf)
