"""The body of a physics item: modules of the FRIB crate, read out by a VM-USB controller.

Words have 16 bits, little-endian. A module that does not end as it should keeps the channels before, and ends the event.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import BadEvent

__all__ = ["CrateEvent", "FribTrace", "read_physics", "strip_buffer_words"]

BUFFER_COUNT = 0x0FFF
"""Bits of a VM-USB buffer word that count the words behind it."""
END_TAG = 0xFFFF
V977_TAG = 0x0977
SIS3300_GROUPS = 4
GROUP_MARK = 0xFADC
WRAPPED, WRITE_POINTER = 0x80000, 0x1FFFF
"""Bits of a trigger word: the ring was full, and where the last sample stands."""


@dataclass(frozen=True, slots=True, eq=False)
class FribTrace:
    """Samples of one channel of a digitiser: module by its tag (1903, ...), uint16 (samples,) ADC counts."""

    module: int
    channel: int
    samples: NDArray[np.uint16]


@dataclass(slots=True)
class CrateEvent:
    """What a physics item holds.

    Attributes
    ----------
    register
        Word of the V977, -1 where there is none.
    damage
        Why reading stopped before the end, empty where it did not.
    """

    event: int
    timestamp: int
    register: int = -1
    traces: list[FribTrace] = field(default_factory=list)
    damage: str = ""


def strip_buffer_words(body: bytes) -> bytes:
    """The words of a body without those that the VM-USB puts before each of its buffers."""
    pieces = []
    position = 0
    while position + 2 <= len(body):
        count = int.from_bytes(body[position : position + 2], "little") & BUFFER_COUNT
        pieces.append(body[position + 2 : position + 2 + 2 * count])
        position += 2 + 2 * count
    return b"".join(pieces)


def read_physics(body: bytes) -> CrateEvent:
    """Decode the body of a physics item.

    Parameters
    ----------
    body
        As it lies in the file, buffer words included.

    Returns
    -------
    CrateEvent
        Traces ascending by module and channel.
    """
    words = _Words(strip_buffer_words(body))
    found = CrateEvent(words.u4(), words.u4())
    try:
        while words.left >= 2 and (tag := words.u2()) != END_TAG:
            if tag == V977_TAG:
                found.register = words.u2()
            elif tag in MODULES:
                read, number = MODULES[tag]
                read(words, number, found.traces)
            else:
                found.damage = f"unknown module {tag:#06x}"
                break
    except BadEvent as error:
        found.damage = str(error)
    found.traces.sort(key=lambda t: (t.module, t.channel))
    return found


class _Words:
    """A body that is read from its start."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._position

    def take(self, size: int) -> int:
        """Position of the next `size` bytes."""
        if self.left < size:
            raise BadEvent(f"the item ends {size - self.left} bytes too early")
        self._position += size
        return self._position - size

    def u2(self) -> int:
        at = self.take(2)
        return int.from_bytes(self._data[at : at + 2], "little")

    def u4(self) -> int:
        at = self.take(4)
        return int.from_bytes(self._data[at : at + 4], "little")

    def header(self, form: struct.Struct) -> tuple[int, ...]:
        return form.unpack_from(self._data, self.take(form.size))

    def array(self, count: int) -> NDArray[np.uint16]:
        return np.frombuffer(self._data, "<u2", count, self.take(2 * count))


_SIS3300_HEADER, _GROUP_HEADER, _SIS3316_HEADER = struct.Struct("<HI"), struct.Struct("<HII"), struct.Struct("<IHHH")


def _read_sis3300(words: _Words, module: int, traces: list[FribTrace]) -> None:
    """Groups of two channels that share a ring of samples, the odd channel first in each pair."""
    mask = 0x0FFF if module == 1903 else 0x3FFF
    words.header(_SIS3300_HEADER)
    for group in range(SIS3300_GROUPS):
        mark, trigger, count = words.header(_GROUP_HEADER)
        if mark != GROUP_MARK:
            raise BadEvent(f"module {module}, group {group}: found {mark:#06x}, expected the mark {GROUP_MARK:#06x}")
        pairs = words.array(2 * count).reshape(count, 2) & mask
        last = trigger & WRITE_POINTER
        if trigger & WRAPPED and last < count - 1:
            pairs = np.roll(pairs, -(last + 1), axis=0)
        if (trailer := words.u2()) != END_TAG:
            raise BadEvent(f"module {module}, group {group}: found {trailer:#06x}, expected the trailer {END_TAG:#06x}")
        traces += [FribTrace(module, 2 * group + odd, pairs[:, 1 - odd].astype(np.uint16)) for odd in (0, 1)]


def _read_sis3316(words: _Words, module: int, traces: list[FribTrace]) -> None:
    """Channels that fired, each with its own number of samples."""
    while words.left >= 2 and (head := words.u2()) != END_TAG:
        _, _, half, _ = words.header(_SIS3316_HEADER)
        traces.append(FribTrace(module, head >> 4 & 15, words.array(2 * half).astype(np.uint16)))


MODULES: dict[int, tuple[Callable[[_Words, int, list[FribTrace]], None], int]] = {
    0x1903: (_read_sis3300, 1903),
    0x1904: (_read_sis3300, 1904),
    0x1905: (_read_sis3300, 1905),
    0x1906: (_read_sis3316, 1906),
}
