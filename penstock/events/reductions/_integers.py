"""Exact sums of integers in 64 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.core.errors import BadRun
from penstock.events.reductions.base import Array

__all__ = ["sum_type", "summed"]


def sum_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type of the sum of values of a type: integers of 64 bits, or float64."""
    return np.dtype({"u": np.uint64, "i": np.int64}.get(dtype.kind, np.float64))


def summed(one: Array, other: Array) -> Array:
    """The sum of two arrays of a `sum_type`.

    Raises
    ------
    BadRun
        A sum of integers needs more than 64 bits.
    """
    total: Array = one + other
    if total.dtype.kind == "u":
        wrapped = total < one
    elif total.dtype.kind == "i":
        wrapped = ((one < 0) == (other < 0)) & ((total < 0) != (one < 0))
    else:
        return total
    if wrapped.any():
        raise BadRun("a sum needs more than 64 bits. Set valid_max (and valid_min) so that values which are no counts are masked.")
    return total
