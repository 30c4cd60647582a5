"""The modules of the FRIB crate in a physics item: all lengths, wrapped rings, damage."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.formats.get._physics import CrateEvent, read_physics
from penstock.simulate.get_crate import physics_item, register_words, sis3300_words, sis3316_words

ITEM_HEADER = 28


def body(*modules: bytes, buffer_words: int = 4095) -> bytes:
    return physics_item(17, 4_000_000_000, b"".join(modules), buffer_words=buffer_words)[ITEM_HEADER:]


def traces(event: CrateEvent) -> dict[tuple[int, int], list[int]]:
    return {(t.module, t.channel): t.samples.tolist() for t in event.traces}


def ramp(length: int, top: int = 4096) -> np.ndarray:
    return (np.arange(8 * length).reshape(length, 8) * 7 % top).astype(np.uint16)


@pytest.mark.parametrize("buffer_words", [3, 100, 4095])
def test_buffer_words_anywhere_are_taken_out(buffer_words: int) -> None:
    event = read_physics(body(register_words(2), sis3300_words(ramp(60)), buffer_words=buffer_words))

    assert (event.event, event.timestamp, event.register, event.damage) == (17, 4_000_000_000, 2, "")
    assert traces(event) == {(1903, channel): ramp(60)[:, channel].tolist() for channel in range(8)}


@pytest.mark.parametrize("length", [0, 1, 500, 2048])
@pytest.mark.parametrize("last", [None, 0, 250, 5000], ids=["not full", "at the begin", "in the middle", "beyond the end"])
def test_digitisers_are_read_with_any_length_and_the_ring_from_its_oldest_sample(length: int, last: int | None) -> None:
    event = read_physics(body(sis3300_words(ramp(length), last=last)))

    assert traces(event) == {(1903, channel): ramp(length)[:, channel].tolist() for channel in range(8)}


def test_all_modules_of_one_event_are_read() -> None:
    chans = {3: np.array([1, 2, 3, 65535], np.uint16), 1: np.array([9, 8], np.uint16)}

    event = read_physics(
        body(
            register_words(65535),
            sis3300_words(ramp(10)),
            sis3300_words(ramp(6), tag=0x1904),
            sis3300_words(ramp(4), tag=0x1905),
            sis3316_words(chans),
        )
    )

    found = traces(event)
    assert event.register == 65535
    assert list(found) == [*((m, c) for m in (1903, 1904, 1905) for c in range(8)), (1906, 1), (1906, 3)]
    assert found[1906, 3] == [1, 2, 3, 65535]
    assert found[1905, 7] == ramp(4)[:, 7].tolist()


def test_the_sis3301_keeps_its_14_bits_and_the_sis3300_its_12() -> None:
    wide = ramp(20, 16384)

    found = traces(read_physics(body(sis3300_words(wide), sis3300_words(wide, tag=0x1904))))

    assert found[1904, 5] == wide[:, 5].tolist()
    assert found[1903, 5] == (wide[:, 5] & 0xFFF).tolist()


def test_an_item_cut_short_keeps_the_channels_that_are_whole() -> None:
    whole = body(register_words(1), sis3300_words(ramp(50)))

    event = read_physics(whole[: len(whole) - 200])

    assert event.register == 1
    assert list(traces(event)) == [(1903, channel) for channel in range(6)]
    assert event.damage == "the item ends 196 bytes too early"


@pytest.mark.parametrize(
    "modules, damage",
    [
        (b"\x99\x19\0\0", "unknown module 0x1999"),
        (sis3300_words(ramp(2)).replace(b"\xdc\xfa", b"\xdd\xfa", 1), "module 1903, group 0: found 0xfadd, expected the mark 0xfadc"),
        (sis3300_words(ramp(2))[:-2] + b"\0\0", "module 1903, group 3: found 0x0000, expected the trailer 0xffff"),
    ],
    ids=["unknown", "mark", "trailer"],
)
def test_damage_is_named_and_what_stands_before_it_stays(modules: bytes, damage: str) -> None:
    event = read_physics(body(register_words(3), modules))

    assert (event.register, event.damage) == (3, damage)
