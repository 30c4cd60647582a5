"""``azint.detector``: flat detectors, by size of the pixels or by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.core.errors import ConfigError
from penstock.formats.poni import named_detector
from penstock.kernels import geometry

__all__ = ["Detector", "detector_factory"]


class Detector:
    """A flat detector of equal pixels.

    Parameters
    ----------
    pixel1, pixel2
        Size of a pixel along rows' and columns' axis, in m.
    max_shape
        Rows and columns.
    pixel_corners
        Not served: places of the corners of each pixel.

    Raises
    ------
    ConfigError
        A value cannot be, or corners are given.
    """

    def __init__(self, pixel1: float, pixel2: float, max_shape: Sequence[int], pixel_corners: object = None) -> None:
        if pixel_corners is not None:
            raise ConfigError(
                "azint.detector.Detector: pixel_corners are not served by penstock.compat.azint. Install azint, if you need them."
            )
        rows, columns = max_shape
        self._known = geometry.Detector(float(pixel1), float(pixel2), (int(rows), int(columns)))

    @classmethod
    def of(cls, known: geometry.Detector) -> Detector:
        """The same detector with its orientation."""
        detector = cls(known.pixel1_m, known.pixel2_m, known.shape)
        detector._known = known
        return detector

    @classmethod
    def factory(cls, name: str, config: Mapping[str, Any] | None = None) -> Detector:
        """See `detector_factory`."""
        return detector_factory(name, config)

    @property
    def known(self) -> geometry.Detector:
        """The detector as the kernels know it."""
        return self._known

    @property
    def pixel1(self) -> float:
        """Size of a pixel along the rows' axis, in m."""
        return self._known.pixel1_m

    @property
    def pixel2(self) -> float:
        """Size of a pixel along the columns' axis, in m."""
        return self._known.pixel2_m

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._known.shape


def detector_factory(name: str, config: Mapping[str, Any] | None = None) -> Detector:
    """The detector of that name; `config` may override pixel1, pixel2 and max_shape, and must give them for the name ``Detector``.

    Raises
    ------
    ConfigError
        The name is not known, or a value is missing.
    """
    told = {
        key: value
        for key, value in (config or {}).items()
        if key in ("pixel1", "pixel2", "max_shape", "pixel_corners") and value is not None
    }
    if name == "Detector":
        if missing := {"pixel1", "pixel2", "max_shape"} - told.keys():
            raise ConfigError(f"azint detector 'Detector': its configuration lacks {', '.join(sorted(missing))}.")
        return Detector(**told)
    known = named_detector(name)
    return Detector(**{"pixel1": known.pixel1_m, "pixel2": known.pixel2_m, "max_shape": known.shape, **told})
