"""Reads pickles that detectors send, without running what they ask for: numpy arrays, numpy scalars and plain containers, nothing else.

A pickle is a program; the one here may call only functions of this file. Arrays and dtypes are rebuilt from their checked
descriptions, never by numpy's own unpickling, which trusts sizes and flags.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import BadEvent
from penstock.stream._pickle_lengths import check_lengths
from penstock.stream.models import Frame

__all__ = ["loads"]

_MODULES = {"numpy.core.multiarray": "multiarray", "numpy._core.multiarray": "multiarray"}
_MODULES |= {"numpy.core.numeric": "numeric", "numpy._core.numeric": "numeric", "__builtin__": "builtins"}
_SIMPLE = re.compile(r"[biufcSUmM?]\d*")


class _Dtype:
    """A dtype under construction."""

    __slots__ = ("real",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, code: str) -> None:
        if code == "O" or code.startswith("O8"):
            raise BadEvent("an array of Python objects is not allowed. Send numbers, text or bytes.")
        self.real: np.dtype[Any] = np.dtype(code if _SIMPLE.fullmatch(code) else f"V{int(code.removeprefix('V'))}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take byte order, size, unit and fields from what `np.dtype.__reduce__` gave."""
        _, order, subarray, names, fields, size = state[:6]
        if order not in ("<", ">", "=", "|"):
            raise BadEvent(f"a dtype has byte order {order!r}, expected '<', '>', '=' or '|'.")
        if subarray is not None:
            base, shape = subarray
            self.real = np.dtype((_real(base), shape))
        elif names is not None:
            formats = [_real(fields[name][0]) for name in names]
            offsets = [fields[name][1] for name in names]
            self.real = np.dtype({"names": list(names), "formats": formats, "offsets": offsets, "itemsize": size})
        elif self.real.kind in "mM":
            unit, count = state[8][1][:2]
            self.real = np.dtype(f"{order}{self.real.kind}8[{int(count)}{re.sub('[^a-zA-Z]', '', unit.decode())}]")
        else:
            size = self.real.itemsize if size < 0 else int(size)
            size = size // 4 if self.real.kind == "U" else size
            self.real = np.dtype(f"{'=' if order == '|' else order}{self.real.kind}{size}")


def _real(dtype: object) -> np.dtype[Any]:
    if not isinstance(dtype, _Dtype):
        raise BadEvent(f"an array has {type(dtype).__name__} for its dtype.")
    return dtype.real


class _Array:
    """An array under construction."""

    __slots__ = ("real",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.real: NDArray[Any] = np.empty(0, np.int8)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take shape, dtype, order and content from what `np.ndarray.__reduce__` gave."""
        shape, dtype, fortran, content = state[-4:]
        self.real = _filled(shape, _real(dtype), "F" if fortran else "C", content)


def _filled(shape: tuple[int, ...], dtype: np.dtype[Any], order: Any, content: Any) -> NDArray[Any]:
    """A writable array of its own."""
    raw = content.encode("latin1") if isinstance(content, str) else bytes(memoryview(content))
    if min(shape, default=0) < 0 or len(raw) != math.prod(shape) * dtype.itemsize:
        raise BadEvent(f"an array of shape {shape} and dtype {dtype} has {len(raw)} bytes, expected {math.prod(shape) * dtype.itemsize}.")
    if not raw and (dtype.itemsize or not shape):
        return np.zeros(shape, dtype, order)
    return np.frombuffer(raw, np.uint8).copy().view(dtype).reshape(shape, order=order)


class _Calls:
    """What a pickle may call. Bound methods of this object cannot be changed from within a pickle, as functions could."""

    __slots__ = ()

    def reconstruct(self, *_: object) -> _Array:
        return _Array()

    def dtype(self, code: str, *_: object) -> _Dtype:
        return _Dtype(code)

    def scalar(self, dtype: object, content: Any = b"") -> Any:
        return _filled((), _real(dtype), "C", content)[()]

    def from_buffer(self, content: Any, dtype: object, shape: Any, order: str, *_: object) -> _Array:
        array = _Array()
        array.real = _filled(shape if isinstance(shape, tuple) else (shape,), _real(dtype), order, content)
        return array

    def encode(self, text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise BadEvent(f"text encoded as {encoding!r} is not allowed, only 'latin1'.")
        return text.encode("latin1")

    def octets(self, content: Any = b"") -> bytes:
        return bytes(content.encode("latin1") if isinstance(content, str) else memoryview(content))

    def octet_array(self, content: Any = b"", *_: object) -> bytearray:
        return bytearray(self.octets(content))


_CALLS = _Calls()
_ALLOWED: dict[tuple[str, str], Callable[..., Any] | str] = {
    ("multiarray", "_reconstruct"): _CALLS.reconstruct,
    ("multiarray", "scalar"): _CALLS.scalar,
    ("numeric", "_frombuffer"): _CALLS.from_buffer,
    ("numpy", "dtype"): _CALLS.dtype,
    ("numpy", "ndarray"): "ndarray",
    ("_codecs", "encode"): _CALLS.encode,
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "bytes"): _CALLS.octets,
    ("builtins", "bytearray"): _CALLS.octet_array,
    **{("builtins", kind.__name__): kind for kind in (bool, complex, dict, float, frozenset, list, set, tuple)},
}


_DAMAGE = (pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, LookupError, RecursionError, TypeError, ValueError)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        allowed = _ALLOWED.get((_MODULES.get(module, module), name))
        if allowed is None:
            raise BadEvent(f"the pickle asks for {f'{module}.{name}'!r}; only numpy arrays and plain containers are allowed.")
        return allowed


def _finished(value: Any, seen: dict[int, tuple[Any, Any]]) -> Any:
    """`value` with arrays in place of those under construction; lists and dicts are changed in place.

    Parameters
    ----------
    seen
        Containers by id, each with what became of it: a pickle of some bytes can share one a million times.
    """
    if isinstance(value, (_Array, _Dtype)):
        return value.real
    if not isinstance(value, (list, dict, tuple)):
        return value
    if id(value) in seen:
        return seen[id(value)][1]
    if isinstance(value, tuple):
        finished = tuple([_finished(item, seen) for item in value])
        seen[id(value)] = value, finished
        return finished
    seen[id(value)] = value, value
    for key, item in enumerate(value) if isinstance(value, list) else value.items():
        value[key] = _finished(item, seen)
    return value


def loads(frame: Frame, where: str = "pickle") -> Any:
    """The value in a pickle of any protocol, written by Python 2 or 3, with numpy 1 or 2.

    Arrays are writable and own their memory.

    Parameters
    ----------
    where
        What is read, for the message.

    Raises
    ------
    BadEvent
        The pickle is damaged, or asks for anything but numpy arrays and scalars, numbers, text, bytes and plain containers.
    """
    pickled = bytes(frame)
    try:
        check_lengths(pickled)
        return _finished(_Reader(io.BytesIO(pickled), encoding="latin1").load(), {})
    except BadEvent as error:
        raise BadEvent(f"{where}: {error}") from None
    except _DAMAGE as error:
        raise BadEvent(f"{where}: not a whole pickle of {len(frame)} bytes ({type(error).__name__}: {error}).") from error
