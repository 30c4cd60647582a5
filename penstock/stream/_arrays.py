"""Pixels, samples and tables of messages as arrays, without a copy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import BadEvent
from penstock.stream.models import Frame

__all__ = ["array_of", "dtype_of"]

_known: dict[str, np.dtype[Any]] = {}


def dtype_of(name: object, field: str, where: str) -> np.dtype[Any]:
    """The dtype of this name, numbers only.

    Raises
    ------
    BadEvent
        It is no name of a numeric dtype.
    """
    try:
        return _known[name]  # type: ignore[index]
    except (KeyError, TypeError):
        pass
    try:
        dtype = np.dtype(name) if isinstance(name, str) else None
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if dtype is None or dtype.kind not in "biufc":
        raise BadEvent(f"{where}: field {field!r} is {name!r}, expected the name of a numeric dtype such as 'uint16'.")
    _known[str(name)] = dtype
    return dtype


def array_of(frame: Frame, dtype: np.dtype[Any], shape: Any, where: str) -> NDArray[Any]:
    """A read-only view of a frame.

    Raises
    ------
    BadEvent
        The frame does not hold exactly `shape` values of `dtype`.
    """
    try:
        array: NDArray[Any] = np.ndarray(shape, dtype, frame)
    except (TypeError, ValueError, OverflowError):
        raise BadEvent(_misfit(len(frame), dtype, shape, where)) from None
    if array.nbytes != len(frame):
        raise BadEvent(_misfit(len(frame), dtype, shape, where))
    if array.flags.writeable:
        array.flags.writeable = False
    return array


def _misfit(found: int, dtype: np.dtype[Any], shape: Any, where: str) -> str:
    if not isinstance(shape, (list, tuple)) or not all(isinstance(side, int) and side >= 0 for side in shape):
        return f"{where}: field 'shape' is {shape!r}, expected a list of whole numbers."
    return f"{where}: the data have {found} bytes, expected {math.prod(shape) * dtype.itemsize} for shape {list(shape)} of {dtype}."
