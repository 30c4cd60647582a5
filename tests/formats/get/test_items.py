"""The compiled decoding of items, against plain NumPy on random input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock.formats.get._items import FULL_ITEMS, SLOTS, mark_slots, place_counted, place_full, place_partial, strip_padding
from penstock.simulate.get_frames import encode_frame

ALL = np.array([(aget, channel) for aget in range(4) for channel in range(68)])


def random_words(seed: int, n: int = 4000) -> NDArray[np.uint32]:
    """Items with any address, some with channels that do not exist."""
    rng = np.random.default_rng(seed)
    aget, channel, bucket, sample = (rng.integers(0, top, n) for top in (4, 72, 512, 4096))
    return (aget << 30 | channel << 23 | bucket << 14 | sample).astype(np.uint32)


def plain_partial(words: NDArray[np.uint32]) -> tuple[NDArray[np.int16], NDArray[np.bool_], int]:
    channel = words >> 23 & 127
    good = words[channel < 68]
    slot = (good >> 30) * 68 + (good >> 23 & 127)
    cube = np.zeros((SLOTS, 512), np.int16)
    cube[slot, good >> 14 & 511] = good & 0xFFF  # of repeated indices NumPy keeps the last, too
    return cube, np.bincount(slot, minlength=SLOTS) > 0, int((channel >= 68).sum())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("swap", [False, True], ids=["own order", "other order"])
def test_items_with_addresses_go_where_plain_numpy_puts_them(seed: int, swap: bool) -> None:
    words = random_words(seed)
    expected, there, bad = plain_partial(words)
    present, out = np.zeros(SLOTS, np.bool_), np.zeros((SLOTS, 512), np.int16)
    raw = words.byteswap() if swap else words

    found_bad = mark_slots(raw, swap, present)
    place_partial(raw, swap, np.arange(SLOTS), out)

    assert found_bad == bad
    np.testing.assert_array_equal(present, there)
    np.testing.assert_array_equal(out, expected)


def full_frame(seed: int, first_aget: int) -> tuple[NDArray[np.int16], NDArray[Any]]:
    samples = np.random.default_rng(seed).integers(0, 4096, (SLOTS, 512)).astype(np.int16)
    frame = encode_frame((0, 0), 0, 0, ALL, samples, readout="full", first_aget=first_aget)
    return samples, np.frombuffer(frame, np.uint16, offset=256)


@pytest.mark.parametrize("first_aget", range(4))
def test_a_full_readout_is_turned_over_whichever_chip_begins(first_aget: int) -> None:
    samples, raw = full_frame(1, first_aget)
    out = np.empty((SLOTS, 512), np.int16)

    assert len(raw) == FULL_ITEMS
    assert place_full(raw, True, out)
    np.testing.assert_array_equal(out, samples)


def plain_counted(words: NDArray[np.uint16]) -> NDArray[np.int16]:
    cube = np.zeros((4, 512, 68), np.int16)
    for aget in range(4):
        own = (words[words >> 14 == aget] & 0xFFF)[: 512 * 68]
        cube[aget].reshape(-1)[: len(own)] = own
    return cube.transpose(0, 2, 1).reshape(SLOTS, 512)


@pytest.mark.parametrize("seed", range(3))
def test_items_in_any_turn_of_the_chips_are_counted_as_plain_numpy_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = (rng.integers(0, 4, 150_000) << 14 | rng.integers(0, 4096, 150_000)).astype(np.uint16)
    out = np.zeros((SLOTS, 512), np.int16)

    bad = place_counted(words, False, out)

    np.testing.assert_array_equal(out, plain_counted(words))
    assert bad == sum(max(int((words >> 14 == aget).sum()) - 512 * 68, 0) for aget in range(4))


def test_a_full_readout_with_an_item_too_few_at_its_begin_is_left_to_counting() -> None:
    _, raw = full_frame(1, 0)
    shifted = np.concatenate([raw[1:], raw[:1]])

    assert not place_full(shifted, True, np.empty((SLOTS, 512), np.int16))


def test_an_item_of_the_wrong_chip_anywhere_leaves_a_full_readout_to_counting() -> None:
    _, raw = full_frame(1, 0)
    spoiled = raw.copy()
    spoiled[100_001] ^= np.uint16(0x4000).byteswap()

    assert not place_full(spoiled, True, np.empty((SLOTS, 512), np.int16))


def test_zeros_at_the_end_are_padding() -> None:
    assert strip_padding(np.array([0, 5, 0, 7, 0, 0], np.uint32)).tolist() == [0, 5, 0, 7]
    assert strip_padding(np.zeros(3, np.uint32)).size == 0
