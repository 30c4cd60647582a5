"""Standard arrays as clients get them: bytes as in memory, or JSON.

Text in bytes is a 32-bit count, little-endian, and UTF-8, element by element. JSON has NaN and Infinity where there are some, as HSDS sends
them and its clients read them.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

__all__ = ["as_bytes", "as_json_value", "compress", "value_as_json"]

_SAMPLE = 1 << 16
_WORTH = 0.8


def as_bytes(array: NDArray[Any]) -> bytes:
    """The elements one after another, in the array's byte order."""
    if array.dtype.kind != "O":
        return array.tobytes()
    texts = [text.encode() for text in array.ravel().tolist()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def as_json_value(array: NDArray[Any] | None) -> Any:
    """Nested lists: fields as lists, complex numbers as pairs, opaque bytes in base64."""
    if array is None:
        return None
    if array.dtype.kind == "V" and array.dtype.names is None:
        return _plain([base64.b64encode(item.tobytes()).decode() for item in array.ravel()], array.shape)
    value = array.tolist()
    return value if array.dtype.kind in "biufO" else _listed(value)


def value_as_json(array: NDArray[Any] | None) -> bytes:
    """``{"value": ...}``."""
    if array is not None and array.dtype.kind in "biuf":
        native = np.asarray(array, array.dtype.newbyteorder("="), order="C")
        native = native.astype(np.float32) if native.dtype == np.float16 else native
        if native.dtype.kind != "f" or np.isfinite(native).all():
            value = native if native.ndim else native.item()
            return orjson.dumps({"value": value}, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps({"value": as_json_value(array)}).encode()


def compress(body: bytes) -> bytes | None:
    """The body in gzip; None where a sample shows that it is not worth the time."""
    if len(body) > 2 * _SAMPLE:
        middle = len(body) // 2
        if len(zlib.compress(body[middle : middle + _SAMPLE], 1)) > _WORTH * _SAMPLE:
            return None
    squeezer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return squeezer.compress(body) + squeezer.flush()


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    if isinstance(value, complex):
        return [value.real, value.imag]
    return value


def _plain(flat: list[Any], shape: tuple[int, ...]) -> Any:
    if not shape:
        return flat[0]
    step = len(flat) // shape[0] if shape[0] else 0
    return [_plain(flat[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]
