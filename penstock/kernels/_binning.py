"""Which pixel lies in which bin: whole, or in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import ConfigError
from penstock.kernels._scatter import LANES
from penstock.kernels.geometry import Geometry, RadialUnit

__all__ = ["Axis", "Bins", "Parts", "Splitting", "Whole", "find_bins", "split_by_box", "split_by_points", "whole"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
Splitting = Literal["none", "bbox"] | int

_JUST_ABOVE_ONE = 1.0 + float(np.finfo(np.float32).eps)
_FEW_BINS = 4096
"""Up to here a bin has several sums: they fit into the second-level cache."""
_FEW_PAIRS = 1 << 15
"""Up to here pairs of bins have a sum each: they fit into the second-level cache, and their numbers into 16 bits."""
_MOST_OF_A_PAIR = 1 << 16
"""So many pixels of 16 bits fit into 32 bits."""
_PIXELS_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class Axis:
    """Bins along one coordinate.

    Parameters
    ----------
    edges
        Ascending, (bins + 1,).
    equal
        Whether all bins are equally wide; then a place is computed by a division, otherwise by a search, in which the last edge belongs to the
        last bin.
    period
        Period of the coordinate, or 0.
    """

    edges: F8
    equal: bool
    period: float = 0.0

    def __len__(self) -> int:
        return len(self.edges) - 1

    @classmethod
    def of_range(cls, low: float, high: float, n_bins: int, *, period: float = 0.0) -> Axis:
        """Equal bins. Without a period the upper end is moved up by single precision, as pyFAI does, so that the greatest value is inside."""
        if not period:
            high = high * _JUST_ABOVE_ONE if high > 0.0 else high / _JUST_ABOVE_ONE
        edges = low + (high - low) / n_bins * np.arange(n_bins + 1, dtype=np.float64)
        return cls(edges, True, period)

    @classmethod
    def of_edges(cls, edges: Sequence[float] | F8, what: str, *, period: float = 0.0) -> Axis:
        """Bins between given edges.

        Raises
        ------
        ConfigError
            There are fewer than two, they do not ascend, or span more than the period.
        """
        array = np.array(edges, dtype=np.float64)
        if array.ndim != 1 or len(array) < 2 or not np.all(np.isfinite(array)) or not np.all(np.diff(array) > 0):
            raise ConfigError(f"{what}: the edges of bins must be at least two finite numbers that ascend, found {edges!r}.")
        if period and array[-1] - array[0] > period * _JUST_ABOVE_ONE:
            raise ConfigError(f"{what}: the edges span {array[-1] - array[0]:g}, more than once around.")
        return cls(array, False, period)

    @property
    def centres(self) -> F8:
        """Middles of the bins, (bins,)."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    def find(self, values: F8) -> NDArray[np.int64]:
        """Bin of each value; -1 where it lies in none."""
        first = self.edges[0]
        if self.period:
            values = first + np.mod(values - first, self.period)
        if self.equal:
            width = (self.edges[-1] - first) / len(self)
            index = np.floor((values - first) / width)
            if self.period:
                # Rounding may put a value right below the end into the bin after it.
                index = np.where((index == len(self)) & (values <= self.edges[-1]), len(self) - 1, index)
        else:
            index = np.searchsorted(self.edges, values, side="right") - 1.0
            index = np.where(values == self.edges[-1], len(self) - 1, index)
        return np.where((index >= 0) & (index < len(self)), index, -1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Bins:
    """Bins of a frame: radial, and azimuthal ones, of which there is one where all azimuths count."""

    radial: Axis
    azimuthal: Axis | None

    def __len__(self) -> int:
        return len(self.radial) * (len(self.azimuthal) if self.azimuthal else 1)

    def find(self, radial: F8, azimuth: F8) -> NDArray[np.int64]:
        """Bin of each point; ``len(self)`` where it lies in none."""
        index = self.radial.find(radial)
        if self.azimuthal is not None:
            sector = self.azimuthal.find(azimuth)
            index = np.where(sector < 0, -1, index + np.where(index < 0, 0, sector * len(self.radial)))
        return np.where(index < 0, len(self), index)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pixels two by two, as `penstock.kernels._scatter.sum_pairs` wants them: the pair of bins of each, and the places of both bins of a pair."""

    pairs: NDArray[np.uint16]
    firsts: NDArray[np.int64]
    seconds: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Whole:
    """Pixels that lie whole in a bin: the place of its sum, (pixels,), how many sums a bin has, and the pairs where they are of use."""

    places: NDArray[Any]
    lanes: int
    pairs: Pairs | None


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts of pixels, in the order of the pixels: pixel, bin and part of the pixel (0 to 1), each (parts,)."""

    pixels: I4
    bins: NDArray[Any]
    parts: F4


def find_bins(geometry: Geometry, unit: RadialUnit, bins: Bins, good: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Bin of each pixel by its centre, (pixels,); ``len(bins)`` where it lies in none or is masked."""
    index = np.concatenate([bins.find(*geometry.coordinates(unit, rows)).ravel() for rows in _bands(geometry)])
    return np.where(good.ravel(), index, len(bins))


def whole(index: NDArray[np.int64], n_bins: int) -> Whole:
    """The map of pixels that lie whole in the bins of `index`, (pixels,), which is `n_bins` where a pixel lies in none."""
    lanes = LANES if n_bins <= _FEW_BINS else 1
    places = (index * lanes).astype(_smallest(n_bins * lanes))
    if len(index) < 2:
        return Whole(places, lanes, None)
    even = len(index) // 2 * 2
    code = index[0:even:2] * (n_bins + 1) + index[1:even:2]
    kinds, pairs, sizes = np.unique(code, return_inverse=True, return_counts=True)
    if len(kinds) > _FEW_PAIRS or sizes.max() > _MOST_OF_A_PAIR:
        return Whole(places, lanes, None)
    return Whole(places, lanes, Pairs(pairs.astype(np.uint16), kinds // (n_bins + 1) * lanes, kinds % (n_bins + 1) * lanes))


def split_by_points(geometry: Geometry, unit: RadialUnit, bins: Bins, good: NDArray[np.bool_], n: int) -> Parts:
    """Parts of pixels by ``n * n`` points in each."""
    middles = (np.arange(n) + 0.5) / n

    def band(rows: slice) -> tuple[NDArray[np.int64], NDArray[np.int64], F8]:
        found = np.stack([bins.find(*geometry.coordinates(unit, rows, (a, b))).ravel() for a in middles for b in middles], axis=1)
        found.sort(axis=1)
        new = np.ones(found.shape, dtype=bool)
        new[:, 1:] = found[:, 1:] != found[:, :-1]
        first = np.flatnonzero(new)
        return first // (n * n), found.ravel()[first], np.diff(first, append=found.size) / (n * n)

    return _collect(geometry, bins, good, band)


def split_by_box(geometry: Geometry, unit: RadialUnit, bins: Bins, good: NDArray[np.bool_], reach: F8) -> Parts:
    """Parts of pixels as if each were spread evenly over the radial stretch of its centre plus and minus `reach`, (rows, columns)."""
    edges = bins.radial.edges.copy()
    if edges[0] <= 0.0:
        # A stretch about the beam goes below zero, where nothing is: that part belongs to the first bin.
        edges[0] = -np.inf

    def band(rows: slice) -> tuple[NDArray[np.int64], NDArray[np.int64], F8]:
        radial, azimuth = (values.ravel() for values in geometry.coordinates(unit, rows))
        low, high = radial - reach[rows].ravel(), radial + reach[rows].ravel()
        inside = np.flatnonzero((high >= edges[0]) & (low < edges[-1]) & (_in_sector(bins, azimuth)))
        low, high = low[inside], high[inside]
        first = np.clip(np.searchsorted(edges, low, side="right") - 1, 0, len(bins.radial) - 1)
        last = np.clip(np.searchsorted(edges, high, side="right") - 1, first, len(bins.radial) - 1)
        many = last - first + 1
        pixel = np.repeat(np.arange(len(inside)), many)
        at = np.arange(len(pixel)) - np.repeat(np.cumsum(many) - many, many) + first[pixel]
        overlap = np.minimum(high[pixel], edges[at + 1]) - np.maximum(low[pixel], edges[at])
        width = (high - low)[pixel]
        part = np.where(width > 0.0, overlap / np.where(width > 0.0, width, 1.0), 1.0)
        kept = part > 0.0
        return inside[pixel[kept]], at[kept], part[kept]

    return _collect(geometry, bins, good, band)


def _in_sector(bins: Bins, azimuth: F8) -> NDArray[np.bool_]:
    return np.ones(len(azimuth), dtype=bool) if bins.azimuthal is None else bins.azimuthal.find(azimuth) >= 0


def _collect(
    geometry: Geometry, bins: Bins, good: NDArray[np.bool_], band: Callable[[slice], tuple[NDArray[np.int64], NDArray[np.int64], F8]]
) -> Parts:
    """The parts of all bands of rows, without masked pixels and what lies in no bin."""
    columns = geometry.detector.shape[1]
    flat = good.ravel()
    found = []
    for rows in _bands(geometry):
        pixel, at, part = band(rows)
        pixel = pixel + rows.start * columns
        kept = flat[pixel] & (at < len(bins))
        found.append((pixel[kept].astype(np.int32), at[kept].astype(_smallest(len(bins))), part[kept].astype(np.float32)))
    pixels, places, parts = (np.concatenate([piece[k] for piece in found]) for k in range(3))
    return Parts(pixels, places, parts)


def _bands(geometry: Geometry) -> Iterator[slice]:
    """Rows of a frame in bands, so that what is computed for each pixel needs little memory."""
    rows, columns = geometry.detector.shape
    step = max(_PIXELS_AT_ONCE // columns, 1)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _smallest(greatest: int) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if greatest < 2**16 else np.uint32
