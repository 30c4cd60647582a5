"""Compressed images of detectors: bitshuffle-LZ4 as in HDF5 chunks, and plain LZ4 blocks.

Encodings are named as by Dectris: ``bs32-lz4<``, ``lz4<``, ``<`` (the last character is the byte order), or ``bslz4``.
"""

from __future__ import annotations

import math
import os
import re
import struct
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import BadEvent

__all__ = ["decode", "knows_encoding"]

_ENCODING = re.compile(r"(bs(8|16|32|64)?-?(?=lz4))?(lz4)?([<>])?")
_HEADER = struct.Struct(">QI")
_SIZE = struct.Struct(">I")


def knows_encoding(encoding: object) -> bool:
    """Whether `decode` can decode it."""
    return isinstance(encoding, str) and encoding != "" and _ENCODING.fullmatch(encoding) is not None


def decode(
    blob: bytes | memoryview, encoding: object, dtype: np.dtype[Any], shape: tuple[int, ...] | list[int], where: str
) -> NDArray[Any]:
    """The array in a blob; writable, in the byte order of the machine.

    Parameters
    ----------
    encoding
        As `knows_encoding` accepts it. A byte order in it goes before that of `dtype`.
    where
        What is decoded, for the message.

    Raises
    ------
    BadEvent
        The encoding is unknown, or the blob is damaged or of another size.
    """
    found = _ENCODING.fullmatch(encoding) if isinstance(encoding, str) else None
    if not encoding or found is None:
        raise BadEvent(f"{where}: encoding {encoding!r} is unknown, expected such as 'bs32-lz4<', 'lz4<', '<', 'bslz4'.")
    if not isinstance(shape, (list, tuple)) or not all(type(side) is int and side >= 0 for side in shape):
        raise BadEvent(f"{where}: field 'shape' is {shape!r}, expected a list of whole numbers.")
    shuffled, bits, lz4, order = found.groups()
    expected = math.prod(shape) * dtype.itemsize
    if shuffled:
        raw: Any = _bitshuffle_lz4(blob, expected, int(bits) // 8 if bits else dtype.itemsize, where)
    else:
        raw = _lz4(blob, expected, where) if lz4 else bytearray(blob)
    if len(raw) != expected:
        raise BadEvent(f"{where}: the data have {len(raw)} bytes, expected {expected} for shape {list(shape)} of {dtype}.")
    stored = np.dtype(f"{order}{dtype.kind}{dtype.itemsize}") if order else dtype
    return np.ndarray(tuple(shape), stored, raw).astype(dtype.newbyteorder("="), copy=False)


def _lz4(blob: bytes | memoryview, expected: int, where: str) -> bytearray:
    import lz4.block

    try:
        raw: bytearray = lz4.block.decompress(blob, uncompressed_size=expected, return_bytearray=True)
    except lz4.block.LZ4BlockError as error:
        raise BadEvent(f"{where}: the LZ4 block of {len(blob)} bytes is damaged or longer than {expected} bytes when decoded.") from error
    return raw


def _bitshuffle_lz4(blob: bytes | memoryview, expected: int, itemsize: int, where: str) -> NDArray[np.uint8]:
    if len(blob) < _HEADER.size:
        raise BadEvent(f"{where}: the bitshuffle-LZ4 blob has {len(blob)} bytes, fewer than its header of {_HEADER.size}.")
    total, block_bytes = _HEADER.unpack_from(blob)
    if total != expected:
        raise BadEvent(f"{where}: the bitshuffle-LZ4 blob announces {total} bytes, expected {expected}.")
    block, rest = divmod(block_bytes, itemsize)
    if not block or block % 8 or rest or total % itemsize:
        raise BadEvent(f"{where}: the bitshuffle-LZ4 blob has blocks of {block_bytes} bytes, expected a multiple of {8 * itemsize}.")
    _check_blocks(blob, total // itemsize, block, itemsize, where)
    if not total:
        return np.empty(0, np.uint8)
    coded = np.frombuffer(blob, np.uint8)[_HEADER.size :]
    try:
        items = _bitshuffle().decompress_lz4(coded, (total // itemsize,), np.dtype(f"V{itemsize}"), block)
    except Exception as error:
        raise BadEvent(f"{where}: a block of the bitshuffle-LZ4 blob is damaged ({error}).") from error
    return items.view(np.uint8)  # type: ignore[no-any-return]


def _check_blocks(blob: bytes | memoryview, items: int, block: int, itemsize: int, where: str) -> None:
    """The library trusts the sizes of blocks and would read past the end of a cut blob."""
    full, rest = divmod(items, block)
    position = _HEADER.size
    last = len(blob) - _SIZE.size
    for number in range(full + (rest >= 8)):
        if position <= last:
            position += _SIZE.unpack_from(blob, position)[0]
        position += _SIZE.size
        if position > len(blob):
            raise BadEvent(f"{where}: the bitshuffle-LZ4 blob of {len(blob)} bytes is cut within block {number}.")
    position += rest % 8 * itemsize
    if position != len(blob):
        raise BadEvent(f"{where}: the bitshuffle-LZ4 blob has {len(blob)} bytes, its blocks need {position}.")


@cache
def _bitshuffle() -> ModuleType:
    """The library, with one thread: workers are parallel already, and threads cost more than a small image.

    OpenMP reads the variable once, when the library is loaded.
    """
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        import bitshuffle
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
    return bitshuffle  # type: ignore[no-any-return]
