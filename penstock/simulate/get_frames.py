"""Frames of the GET electronics as bytes (MFM format), for simulated runs and for tests of readers."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from penstock.simulate.tpc_electronics import FPN_CHANNELS, N_SAMPLES

__all__ = ["UNIT_BYTES", "Readout", "encode_frame", "encode_header"]

Readout = Literal["partial", "full"]
UNIT_BYTES = 256
META_TYPE, REVISION = 8, 5
CHANNELS, AGETS = 68, 4
FRAME_TYPES: dict[Readout, int] = {"partial": 1, "full": 2}
ITEM_BYTES: dict[Readout, int] = {"partial": 4, "full": 2}


def encode_frame(
    board: tuple[int, int],
    event: int,
    time: int,
    channels: NDArray[np.int64],
    samples: NDArray[np.int16],
    *,
    readout: Readout = "partial",
    threshold: int | None = None,
    pedestal: int = 350,
    first_aget: int = 0,
) -> bytes:
    """The frame that one AsAd board sends for one event.

    Parameters
    ----------
    board
        CoBo and AsAd.
    event
        Event id, 32 bits.
    time
        Ticks of 10 ns, 48 bits.
    channels
        (rows, 2): AGET and channel of each trace.
    samples
        (rows, 512), ADC counts of 0 to 4095.
    readout
        ``partial``: the given traces, each item with its address; ``full``: all 272 channels in the order of the electronics.
    threshold
        Zero suppression of a partial readout: only samples above it are sent, those of fixed-pattern noise always.
    pedestal
        What the channels hold that were not given, in a full readout.
    first_aget
        The AGET with which the rounds of the electronics begin.
    """
    if readout == "partial":
        items = _partial_items(channels, samples, threshold, first_aget)
    else:
        items = _full_items(channels, samples, pedestal, first_aget)
    hits = [[int(c) for a, c in channels if a == aget and c not in FPN_CHANNELS] for aget in range(AGETS)]
    body = items.tobytes()
    header = encode_header(board, event, time, FRAME_TYPES[readout], ITEM_BYTES[readout], items.size, hits=hits)
    return header + body + bytes(-len(body) % UNIT_BYTES)


def encode_header(
    board: tuple[int, int], event: int, time: int, frame_type: int, item_bytes: int, items: int, *, hits: list[list[int]] | None = None
) -> bytes:
    """The first block of a frame: sizes, event, board and hit pattern; multiplicities as many as hits."""
    hits = hits or [[] for _ in range(AGETS)]
    units = 1 + -(-items * item_bytes // UNIT_BYTES)
    fields = [
        (META_TYPE, 1),
        (units, 3),
        (0, 1),
        (frame_type, 2),
        (REVISION, 1),
        (1, 2),
        (item_bytes, 2),
        (items, 4),
        (time, 6),
        (event, 4),
        *((number, 1) for number in board),
        (0, 2),
        (0, 1),
        *((_hit_pattern(channels), 9) for channels in hits),
        *((len(channels), 2) for channels in hits),
        (0, 4),
        *((0, 2) for _ in hits),
    ]
    return b"".join(value.to_bytes(size, "big") for value, size in fields).ljust(UNIT_BYTES, b"\0")


def _hit_pattern(channels: list[int]) -> int:
    """72 bits: channel c is bit 67 - c, bit 68 is always set."""
    return 1 << CHANNELS | sum(1 << (CHANNELS - 1 - channel) for channel in channels)


def _partial_items(channels: NDArray[np.int64], samples: NDArray[np.int16], threshold: int | None, first_aget: int) -> NDArray[Any]:
    """Bucket slowest, then channel, the four AGETs in turn fastest."""
    order = np.lexsort(((channels[:, 0] - first_aget) % AGETS, channels[:, 1]))
    aget, channel = channels[order].astype(np.uint32).T
    heads = aget << np.uint32(30) | channel << np.uint32(23)
    buckets = np.arange(N_SAMPLES, dtype=np.uint32)[:, None] << np.uint32(14)
    turned = samples[order].T
    words = heads | buckets | turned.astype(np.uint32)
    if threshold is not None:
        loud = turned > threshold
        words = words[loud | np.isin(channel, FPN_CHANNELS)]
    return np.asarray(words, ">u4")


def _full_items(channels: NDArray[np.int64], samples: NDArray[np.int16], pedestal: int, first_aget: int) -> NDArray[Any]:
    """Bucket slowest, then pairs of channels, the four AGETs in turn, the two channels of the pair fastest."""
    cube = np.full((AGETS, CHANNELS, N_SAMPLES), pedestal, np.uint16)
    cube[channels[:, 0], channels[:, 1]] = samples.astype(np.uint16)
    cube |= np.arange(AGETS, dtype=np.uint16)[:, None, None] << np.uint16(14)
    turned = np.roll(cube, -first_aget, axis=0).reshape(AGETS, CHANNELS // 2, 2, N_SAMPLES)
    return np.asarray(turned.transpose(3, 1, 0, 2), ">u2")
