"""Frames of the GET electronics have the sizes and bits that are known of real ones."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.simulate.get_frames import Readout, encode_frame, encode_header

ALL = np.array([(aget, channel) for aget in range(4) for channel in range(68)])
NOISE = np.array([(aget, channel) for aget in range(4) for channel in (11, 22, 45, 56)])


@pytest.mark.parametrize(
    "channels, readout, size",
    [(ALL[:0], "partial", 256), (ALL[:1], "partial", 2304), (NOISE, "partial", 33_024), (ALL, "partial", 557_312), (ALL, "full", 278_784)],
    ids=["empty", "one channel", "noise channels", "all channels", "full readout"],
)
def test_frames_have_the_sizes_of_recorded_ones(channels: np.ndarray, readout: Readout, size: int) -> None:
    frame = encode_frame((4, 0), 8, 0x12C50F11C, channels, np.full((len(channels), 512), 300, np.int16), readout=readout)

    assert len(frame) == size
    assert int.from_bytes(frame[1:4], "big") * 256 == size


def test_the_header_says_type_event_time_and_board() -> None:
    header = encode_header((4, 2), 8, 0x12C50F11C, 1, 4, 0x2200)

    assert header[:28].hex() == "0800008900000105000100040000220000012c50f11c000000080402"


def test_the_hit_pattern_of_all_channels_but_those_of_noise_is_the_recorded_one() -> None:
    signal = [channel for channel in range(68) if channel not in (11, 22, 45, 56)]

    header = encode_header((0, 0), 0, 0, 2, 2, 0, hits=[signal, [], [0], [67]])

    assert header[31:40].hex() == "1ffeffdfffffbff7ff"
    assert header[40:49].hex() == "100000000000000000"
    assert header[49:58].hex() == "180000000000000000"
    assert header[58:67].hex() == "100000000000000001"


def test_items_of_a_partial_readout_carry_their_address_in_the_order_of_the_electronics() -> None:
    samples = np.arange(2 * 512).reshape(2, 512).astype(np.int16)

    frame = encode_frame((0, 0), 0, 0, np.array([(0, 5), (1, 5)]), samples, first_aget=1)

    words = np.frombuffer(frame, ">u4", offset=256)
    assert words[:3].tolist() == [1 << 30 | 5 << 23 | 512, 5 << 23 | 0, 1 << 30 | 5 << 23 | 1 << 14 | 513]


def test_zero_suppression_leaves_samples_out_but_not_those_of_noise_channels() -> None:
    samples = np.tile(np.arange(512, dtype=np.int16), (2, 1))

    frame = encode_frame((0, 0), 0, 0, np.array([(0, 5), (0, 11)]), samples, threshold=500)

    assert int.from_bytes(frame[12:16], "big") == 11 + 512
