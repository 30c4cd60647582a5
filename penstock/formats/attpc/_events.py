"""One event's datasets as arrays, and what is wrong with those that cannot be used."""

from __future__ import annotations

from typing import Any

import numpy as np
from h5py import AttributeManager, h5d, h5s
from numpy.typing import NDArray

from penstock.core.errors import BadEvent
from penstock.formats.traces import GET_SAMPLES, SIS3300

__all__ = [
    "DAMAGE",
    "GET_COLUMNS",
    "check_get_shape",
    "check_sis_shape",
    "damage",
    "read_get",
    "read_register",
    "read_row",
    "read_sis",
    "read_untouched",
    "read_whole_number",
]

HARDWARE_COLUMNS = 5
"""CoBo, AsAd, AGET, channel, pad."""
GET_COLUMNS = HARDWARE_COLUMNS + GET_SAMPLES
MOST_ROWS = 32_768
"""More traces than channels that electronics with 16-bit pad numbers can have."""
MODULES = {SIS3300: "SIS3300", 1904: "SIS3301", 1905: "SIS3301", 1906: "SIS3316"}
MOST_SIS_WORDS = 1 << 24
"""More than the memory of any of the digitisers holds."""

DAMAGE = (BadEvent, OSError, KeyError, RuntimeError, ValueError, NotImplementedError)
"""What HDF5 raises for damaged content; `damage` tells those errors of OSError that are the disk's.

TypeError is not among them, since it tells of a mistake in a program: where h5py raises it for a type of the file, it is
turned into BadEvent at once.
"""


def check_get_shape(shape: tuple[int, ...] | None) -> int:
    """The number of traces of a GET matrix of that shape; None is that of a dataset without values."""
    if shape is None or len(shape) != 2 or shape[1] != GET_COLUMNS:
        raise BadEvent(f"GET matrix has the shape {shape}, expected (traces, {GET_COLUMNS}): {GET_SAMPLES} samples a trace")
    if shape[0] > MOST_ROWS:
        raise BadEvent(f"GET matrix has {shape[0]} traces, expected at most {MOST_ROWS}")
    return shape[0]


def check_sis_shape(shape: tuple[int, ...] | None, module: int) -> None:
    """Whether the matrix of a FRIB module can have that shape."""
    if shape is None or len(shape) != 2 or shape[0] == 0 or shape[0] * shape[1] > MOST_SIS_WORDS:
        raise BadEvent(f"{MODULES[module]} matrix has the shape {shape}, expected (samples, channels)")


def read_get(dataset: h5d.DatasetID, out: NDArray[np.int16]) -> None:
    """Read a GET matrix into `out`, int16 (traces, 517)."""
    if _fits(_type_of(dataset), np.dtype(np.int16)):
        dataset.read(h5s.ALL, h5s.ALL, out)
    else:
        out[...] = _as_integers(read_untouched(dataset), np.dtype(np.int16), "GET matrix")


def read_sis(dataset: h5d.DatasetID, module: int) -> NDArray[np.uint16]:
    """The matrix of a FRIB module, uint16 (samples, channels)."""
    if not _fits(_type_of(dataset), np.dtype(np.uint16)):
        return _as_integers(read_untouched(dataset), np.dtype(np.uint16), f"{MODULES[module]} matrix")
    matrix = np.empty(dataset.shape, np.uint16)
    dataset.read(h5s.ALL, h5s.ALL, matrix)
    return matrix


def read_register(dataset: h5d.DatasetID) -> int:
    """The word of the V977 coincidence register; -1 where the dataset is empty."""
    if _fits(_type_of(dataset), np.dtype(np.int32)) and dataset.shape == (1,):
        word = np.empty(1, np.int32)
        dataset.read(h5s.ALL, h5s.ALL, word)
        return int(word[0])
    words = read_untouched(dataset)
    return int(_as_integers(words, np.dtype(np.int32), "V977 register").flat[0]) if words.size else -1


def read_untouched(dataset: h5d.DatasetID) -> NDArray[Any]:
    """A dataset as it lies in the file; a row of none where it has no values."""
    kind = _type_of(dataset)
    if dataset.shape is None:
        return np.empty(0, kind)
    values = np.empty(dataset.shape, kind)
    dataset.read(h5s.ALL, h5s.ALL, values)
    return values


def read_row(dataset: h5d.DatasetID, what: str) -> NDArray[Any]:
    """All numbers of a dataset in one row."""
    values = np.ravel(read_untouched(dataset))
    if values.dtype.kind not in "iuf":
        raise BadEvent(f"{what} has the type {values.dtype}, expected numbers")
    return values


def read_whole_number(attributes: AttributeManager, name: str) -> int:
    """The attribute `name`, which is there."""
    try:
        return int(attributes[name])
    except (TypeError, ValueError, OverflowError) as error:
        raise BadEvent(f"attribute {name!r} is no whole number ({error})") from error


def damage(error: Exception) -> str | None:
    """Why an event's content cannot be used, or None where the error is one of the disk or the system."""
    if isinstance(error, BadEvent):
        return str(error)
    # HDF5 passes on the errno of the operating system; damaged content has none.
    if isinstance(error, OSError) and error.errno is not None:
        return None
    # A filter that this installation lacks makes no event bad: elsewhere it can be read.
    if any(words in str(error) for words in ("is not registered", "can't open directory", "unable to load plugin")):
        return None
    return f"unreadable: {str(error).strip(chr(34))}"


def _type_of(dataset: h5d.DatasetID) -> np.dtype[Any]:
    try:
        kind: np.dtype[Any] = dataset.dtype
    except TypeError as error:
        raise BadEvent(f"a dataset holds no numbers ({error})") from error
    return kind


def _fits(found: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    return found.kind in "iu" and np.can_cast(found, wanted)


def _as_integers(values: NDArray[Any], wanted: np.dtype[Any], what: str) -> NDArray[Any]:
    if values.dtype.kind not in "iuf":
        raise BadEvent(f"{what} has the type {values.dtype}, expected integers")
    if values.dtype.kind == "f":
        if not np.all(np.isfinite(values)):
            raise BadEvent(f"{what} holds values that are not finite")
        values = np.rint(values)
    limits = np.iinfo(wanted)
    if values.size and (values.min() < limits.min or values.max() > limits.max):
        raise BadEvent(f"{what} holds values from {values.min()} to {values.max()}, expected {limits.min} to {limits.max}")
    return values.astype(wanted)
