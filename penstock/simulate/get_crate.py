"""Ring items of the FRIB crate as bytes (.evt files), for simulated runs and for tests of readers."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["begin_item", "end_item", "physics_item", "register_words", "ring_item", "scaler_item", "sis3300_words", "sis3316_words"]

BEGIN_RUN, END_RUN, SCALERS, PHYSICS = 1, 2, 20, 30
BODY_HEADER_BYTES = 20
BUFFER_WORDS = 4095
"""Words that a buffer of the VM-USB holds at most."""
GROUP_MARK, END_MARK = 0xFADC, 0xFFFF
WRAPPED = 0x80000
TITLE_BYTES = 81


def ring_item(kind: int, body: bytes, *, body_header: bool = True) -> bytes:
    """A ring item of any type, with or without the header that carries a time stamp."""
    head = struct.pack("<IQII", BODY_HEADER_BYTES, 0, 0, 0) if body_header else bytes(4)
    return struct.pack("<II", 8 + len(head) + len(body), kind) + head + body


def begin_item(run: int, start: int, title: str) -> bytes:
    """Begin of a run: number, Unix time (s), title."""
    return ring_item(BEGIN_RUN, struct.pack("<IIII", run, 0, start, 1) + title.encode()[: TITLE_BYTES - 1].ljust(TITLE_BYTES, b"\0"))


def end_item(run: int, stop: int, elapsed: int) -> bytes:
    """End of a run: number, Unix time (s), duration (s)."""
    return ring_item(END_RUN, struct.pack("<IIII", run, elapsed, stop, 1) + bytes(TITLE_BYTES))


def scaler_item(start: int, stop: int, timestamp: int, words: NDArray[np.uint32]) -> bytes:
    """A record of the scalers between two offsets (s), read at a Unix time (s)."""
    return ring_item(SCALERS, struct.pack("<6I", start, stop, timestamp, 1, len(words), 1) + words.astype("<u4").tobytes())


def physics_item(event: int, timestamp: int, modules: bytes, *, buffer_words: int = BUFFER_WORDS) -> bytes:
    """An event: its number, time stamp and modules, cut into buffers of the VM-USB with a count before each."""
    body = struct.pack("<II", event, timestamp) + modules + struct.pack("<H", END_MARK)
    pieces = (body[at : at + 2 * buffer_words] for at in range(0, len(body), 2 * buffer_words))
    return ring_item(PHYSICS, b"".join(struct.pack("<H", len(piece) // 2) + piece for piece in pieces))


def register_words(value: int) -> bytes:
    """The V977 coincidence register."""
    return struct.pack("<HH", 0x0977, value)


def sis3300_words(samples: NDArray[np.uint16], *, tag: int = 0x1903, last: int | None = None) -> bytes:
    """A SIS3300 or SIS3301: eight channels, in groups of two.

    Parameters
    ----------
    samples
        (samples, 8).
    tag
        0x1903 SIS3300, 0x1904 and 0x1905 SIS3301.
    last
        Where in the ring of each group the last sample stands; None where the ring did not fill.
    """
    count = len(samples)
    parts = [struct.pack("<HHI", tag, 0xF, 0)]
    for group in range(4):
        pairs = samples[:, [2 * group + 1, 2 * group]]
        if last is not None and last < count - 1:
            pairs = np.roll(pairs, last + 1, axis=0)
        trigger = 0 if last is None else WRAPPED | last
        parts += [struct.pack("<HII", GROUP_MARK, trigger, count), pairs.astype("<u2").tobytes(), struct.pack("<H", END_MARK)]
    return b"".join(parts)


def sis3316_words(traces: Mapping[int, NDArray[np.uint16]]) -> bytes:
    """A SIS3316: the channels that fired, each with an even number of samples; it stands last in an event."""
    heads = {channel: struct.pack("<HIHHH", channel << 4, 0, 0, len(samples) // 2, 0) for channel, samples in traces.items()}
    return struct.pack("<H", 0x1906) + b"".join(heads[channel] + samples.astype("<u2").tobytes() for channel, samples in traces.items())
