"""The index of a capture: what lies where in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.formats.captures._source import Damage

__all__ = ["ELSEWHERE", "Index"]

I8 = NDArray[np.int64]

ELSEWHERE = -1
"""Offset of a frame that does not lie in the file in one piece: its item is decoded when it is asked for."""


@dataclass(frozen=True, slots=True)
class Index:
    """What lies where in a capture, in the order of the file.

    Attributes
    ----------
    spans
        (items, 2): where each item begins and ends.
    numbers, created_at
        (items,): event number; ns since 1970 UTC, or the least int64 where unknown.
    first_entry
        (items + 1,): entries of item i are those from ``first_entry[i]`` up to ``first_entry[i + 1]``.
    heads
        (name, typ) by number.
    head
        (entries,): number of the entry's head.
    first_frame
        (entries + 1,): frames of an entry, in the same way.
    frames
        (frames, 2): offset (or `ELSEWHERE`) and length.
    damage
        What could not be read.
    """

    spans: I8
    numbers: I8
    created_at: I8
    first_entry: I8
    heads: list[tuple[str, str]]
    head: NDArray[np.int32]
    first_frame: I8
    frames: I8
    damage: list[Damage]
