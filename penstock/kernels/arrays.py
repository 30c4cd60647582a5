"""The array namespace: NumPy or CuPy, an argument ``xp`` of stages that compute on a device. What both do not share is here."""

from __future__ import annotations

from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["DeviceArray", "Namespace", "to_host"]

Namespace: TypeAlias = ModuleType
"""NumPy or CuPy: what is called of it exists in both, by the same name, with the same meaning."""
DeviceArray: TypeAlias = Any
"""An array of the namespace; CuPy is not installed everywhere and has no types."""


def to_host(values: DeviceArray) -> NDArray[Any]:
    """An array in the memory of the process, be it there already or on a device."""
    fetched: NDArray[Any] = values.get() if hasattr(values, "get") else np.asarray(values)
    return fetched
