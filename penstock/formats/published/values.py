"""Values that a reducer publishes, as arrays that HDF5 can hold.

Standard arrays have kind ``b``, ``i``, ``u``, ``f`` (16 to 64 bits), ``c`` (64 or 128 bits), ``S`` (bytes of one length), ``V`` (opaque, or
packed fields of these kinds), or ``O``: text of any length, every element a `str`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import PenstockError

__all__ = ["NotPublishable", "as_array", "standard_dtype"]

_PLAIN = "biuS"


class NotPublishable(PenstockError, TypeError):
    """A value that HDF5 cannot hold."""


def as_array(value: object) -> NDArray[Any] | None:
    """The value as a standard array; None for None. An array that is standard already is returned itself, not a copy.

    Numbers become 64 bits wide, text becomes UTF-8 of any length, None among numbers becomes NaN. Bytes keep their length: as a string
    where they are text without a NUL, else opaque. Masked elements of floating-point arrays become NaN.

    Raises
    ------
    NotPublishable
        HDF5 has no such type, or a list has no single type and shape.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _from_text(np.array(value, dtype=object))
    if isinstance(value, bytes | bytearray | memoryview):
        return _from_bytes(bytes(value))
    if isinstance(value, list | tuple):
        return _from_sequence(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _from_integer(int(value))
    if isinstance(value, np.ma.MaskedArray):
        value = _without_mask(value)
    return _standard(np.asarray(value), value)


def standard_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that an array of this dtype is published with.

    Raises
    ------
    NotPublishable
        HDF5 has no such type.
    """
    kind = dtype.kind
    if kind in _PLAIN or (kind == "f" and dtype.itemsize <= 8) or (kind == "c" and dtype.itemsize <= 16):
        return np.dtype("S1") if dtype.itemsize == 0 else dtype
    if kind in "UT":
        return np.dtype(object)
    if kind == "V" and (dtype.names is not None or dtype.itemsize > 0):
        return _packed(dtype)
    if kind in "Mm":
        raise NotPublishable(
            f"{dtype} is a time, which HDF5 does not know. Publish seconds as float64, nanoseconds as int64, or text, with an attribute that says which."
        )
    if kind in "fc":
        raise NotPublishable(f"{dtype} is wider than HDF5 readers know. Publish it as {'float64' if kind == 'f' else 'complex128'}.")
    raise NotPublishable(f"{dtype} has no type in HDF5. Publish numbers, text, or arrays of them.")


def _packed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.names is None:
        return np.dtype((np.void, dtype.itemsize))
    assert dtype.fields is not None
    fields: list[Any] = []
    for name in dtype.names:
        base, shape = dtype.fields[name][0].base, dtype.fields[name][0].shape
        if base.kind == "U":
            fields.append((name, f"S{max(1, base.itemsize)}", shape))
            continue
        if base.kind in "OT":
            raise NotPublishable(f"field {name!r} holds Python objects. Give it a fixed type, such as a number or 'S20'.")
        try:
            fields.append((name, standard_dtype(base), shape))
        except NotPublishable as error:
            raise NotPublishable(f"field {name!r}: {error}") from None
    return np.dtype(fields)


def _standard(array: NDArray[Any], value: object) -> NDArray[Any]:
    if array.dtype.kind == "O":
        return _from_objects(array, value)
    dtype = standard_dtype(array.dtype)
    if dtype == array.dtype:
        return array
    if dtype.names is not None:
        return _pack(array, dtype)
    return _from_text(array.astype(dtype)) if dtype.kind == "O" else array.astype(dtype)


def _pack(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    assert dtype.names is not None
    packed = np.zeros(array.shape, dtype)
    for name in dtype.names:
        field = array[name]
        if field.dtype.kind == "U":
            field = np.char.encode(field, "utf-8")
        packed[name] = _pack(field, packed[name].dtype) if field.dtype.names is not None else field
    return packed


def _from_text(array: NDArray[Any]) -> NDArray[Any]:
    for text in array.ravel().tolist():
        if "\0" in text:
            raise NotPublishable(f"{text[:40]!r} has a NUL, at which HDF5 ends text. Publish it as bytes.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise NotPublishable(f"{text[:40]!r} cannot be written as UTF-8 ({error.reason}). Publish it as bytes.") from None
    return array


def _from_bytes(data: bytes) -> NDArray[Any]:
    try:
        text = b"\0" not in data and data.decode()
    except UnicodeDecodeError:
        text = False
    return np.array(data, dtype=f"S{max(1, len(data))}") if text is not False else np.array(np.void(data))


def _from_integer(value: int) -> NDArray[Any]:
    if -(2**63) <= value < 2**63:
        return np.array(value, dtype=np.int64)
    if 0 <= value < 2**64:
        return np.array(value, dtype=np.uint64)
    raise NotPublishable(f"{value} does not fit in 64 bits. Publish it as a float, or as text.")


def _from_sequence(value: list[Any] | tuple[Any, ...]) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise NotPublishable(f"a list of {len(value)} has no single shape and type ({error}). Publish an array.") from None
    if array.dtype.kind in "SU" and not all(isinstance(leaf, str | bytes) for leaf in _leaves(value, array.ndim)):
        raise NotPublishable("a list mixes text with something else. Publish a list of one type.")
    return _standard(array, value)


def _leaves(value: Any, depth: int) -> Iterator[Any]:
    if depth == 0:
        yield value
        return
    for item in value:
        yield from _leaves(item, depth - 1)


def _from_objects(array: NDArray[Any], value: object) -> NDArray[Any]:
    leaves = array.ravel().tolist()
    if leaves and all(isinstance(leaf, str) for leaf in leaves):
        return _from_text(array)
    if all(leaf is None or isinstance(leaf, int | float | complex | np.number) for leaf in leaves):
        numbers = np.array([np.nan if leaf is None else leaf for leaf in leaves])
        if numbers.dtype.kind in "iufc":
            return _standard(numbers.reshape(array.shape), value)
    kinds = sorted({type(leaf).__name__ for leaf in leaves})
    shown = type(value).__name__ if array.ndim == 0 else f"{type(value).__name__} of {', '.join(kinds[:4])}"
    raise NotPublishable(f"{shown} has no type in HDF5. Publish numbers, text, arrays or lists of them, or a dict as a group.")


def _without_mask(value: np.ma.MaskedArray[Any, Any]) -> NDArray[Any]:
    if value.dtype.kind in "fc":
        filled: NDArray[Any] = value.filled(np.nan)
        return filled
    if np.ma.getmaskarray(value).any():
        raise NotPublishable(f"a masked array of {value.dtype} has no value for masked elements. Publish value.filled(...).")
    return np.asarray(value.data)
