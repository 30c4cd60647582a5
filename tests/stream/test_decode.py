from __future__ import annotations

import os
import struct
import subprocess
import sys
from contextlib import suppress
from typing import Any

import bitshuffle
import lz4.block
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from penstock.core.errors import BadEvent
from penstock.kernels.decode import decode, knows_encoding

IMAGE = np.random.default_rng(1).poisson(3, (37, 123)).astype(np.uint16)


def compressed(image: NDArray[Any], block: int = 1024) -> bytes:
    coded = bitshuffle.compress_lz4(np.ascontiguousarray(image), block)
    return struct.pack(">QI", image.nbytes, block * image.itemsize) + coded.tobytes()


def literals_only(raw: bytes) -> bytes:
    """An LZ4 block that repeats nothing."""
    rest = len(raw) - 15
    return bytes([0xF0]) + b"\xff" * (rest // 255) + bytes([rest % 255]) + raw


def transposed_bits(items: NDArray[Any]) -> bytes:
    """Bitshuffle by its definition: bit k of all items, then bit k + 1."""
    bits = np.unpackbits(items.view(np.uint8).reshape(len(items), -1), axis=1, bitorder="little")
    return np.packbits(bits.T, axis=1, bitorder="little").tobytes()


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i4", "f4", "f8"])
def test_a_blob_made_by_the_definition_is_decoded(dtype: str) -> None:
    items = np.random.default_rng(2).integers(0, 100, 64 + 64 + 24 + 3).astype(dtype)
    blocks = [literals_only(transposed_bits(part)) for part in (items[:64], items[64:128], items[128:152])]
    blob = struct.pack(">QI", items.nbytes, 64 * items.itemsize)
    blob += b"".join(struct.pack(">I", len(block)) + block for block in blocks) + items[152:].tobytes()

    found = decode(blob, "bslz4", items.dtype, (5, 31), "image")

    np.testing.assert_array_equal(found, items.reshape(5, 31))
    assert found.dtype == items.dtype
    assert found.flags.writeable


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["u1", "u2", "u4", "i8"]), st.integers(0, 40), st.integers(1, 40), st.sampled_from([8, 64, 1024]), st.integers(0, 2**31)
)
def test_what_the_library_encodes_is_decoded(dtype: str, rows: int, columns: int, block: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 60, (rows, columns)).astype(dtype)

    np.testing.assert_array_equal(decode(compressed(image, block), "bslz4", image.dtype, image.shape, "image"), image)


@pytest.mark.parametrize("encoding", ["bs16-lz4<", "bslz4", "bslz4<", "bs16lz4<"])
def test_names_of_bitshuffle_lz4(encoding: str) -> None:
    assert knows_encoding(encoding)
    np.testing.assert_array_equal(decode(compressed(IMAGE), encoding, IMAGE.dtype, IMAGE.shape, "image"), IMAGE)


@pytest.mark.parametrize("encoding", ["lz4<", "lz4"])
def test_a_plain_lz4_block_is_decoded(encoding: str) -> None:
    blob = lz4.block.compress(IMAGE.tobytes(), store_size=False)

    np.testing.assert_array_equal(decode(memoryview(blob), encoding, IMAGE.dtype, IMAGE.shape, "image"), IMAGE)


def test_pixels_that_are_not_compressed_are_taken_as_they_are() -> None:
    np.testing.assert_array_equal(decode(IMAGE.tobytes(), "<", IMAGE.dtype, list(IMAGE.shape), "image"), IMAGE)


def test_the_byte_order_of_the_encoding_is_followed() -> None:
    found = decode(compressed(IMAGE.astype(">u2")), "bs16-lz4>", IMAGE.dtype, IMAGE.shape, "image")

    assert found.dtype == np.dtype("=u2")
    np.testing.assert_array_equal(found, IMAGE)


def test_shuffled_units_may_differ_from_the_items() -> None:
    image = np.arange(64, dtype=np.uint32).reshape(8, 8)

    np.testing.assert_array_equal(decode(compressed(image.view(np.uint16)), "bs16-lz4<", image.dtype, image.shape, "image"), image)


@pytest.mark.parametrize("encoding", ["", "none", "zstd", "bs32<", "bs12-lz4<", None, 3], ids=repr)
def test_an_unknown_encoding_is_named(encoding: object) -> None:
    assert not knows_encoding(encoding)
    with pytest.raises(
        BadEvent, match=rf"^image 3: encoding {encoding!r} is unknown, expected such as 'bs32-lz4<', 'lz4<', '<', 'bslz4'\.$"
    ):
        decode(b"", encoding, IMAGE.dtype, IMAGE.shape, "image 3")


BLOB = compressed(IMAGE)
HEADER = struct.Struct(">QI")
DAMAGED = {
    "cut within a block": ("bslz4", BLOB[:1000], "the bitshuffle-LZ4 blob of 1000 bytes is cut within block 2."),
    "cut within its last items": ("bslz4", BLOB[:-2], f"the bitshuffle-LZ4 blob has {len(BLOB) - 2} bytes, its blocks need {len(BLOB)}."),
    "too long": ("bslz4", BLOB + b"x", f"the bitshuffle-LZ4 blob has {len(BLOB) + 1} bytes, its blocks need {len(BLOB)}."),
    "cut within its header": ("bslz4", BLOB[:7], "the bitshuffle-LZ4 blob has 7 bytes, fewer than its header of 12."),
    "of another size": ("bslz4", HEADER.pack(9100, 2048) + BLOB[12:], "the bitshuffle-LZ4 blob announces 9100 bytes, expected 9102."),
    "of odd blocks": (
        "bslz4",
        HEADER.pack(9102, 18) + BLOB[12:],
        "the bitshuffle-LZ4 blob has blocks of 18 bytes, expected a multiple of 16.",
    ),
    "of no blocks": (
        "bslz4",
        HEADER.pack(9102, 0) + BLOB[12:],
        "the bitshuffle-LZ4 blob has blocks of 0 bytes, expected a multiple of 16.",
    ),
    "LZ4 cut": ("lz4<", b"\xf0\x00", "the LZ4 block of 2 bytes is damaged or longer than 9102 bytes when decoded."),
    "LZ4 too short": ("lz4<", literals_only(bytes(20)), "the data have 20 bytes, expected 9102 for shape [37, 123] of uint16."),
    "plain too short": ("<", bytes(20), "the data have 20 bytes, expected 9102 for shape [37, 123] of uint16."),
}


@pytest.mark.parametrize(("encoding", "blob", "message"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_blob_is_a_bad_event(encoding: str, blob: bytes, message: str) -> None:
    with pytest.raises(BadEvent) as caught:
        decode(blob, encoding, IMAGE.dtype, IMAGE.shape, "image 3")

    assert str(caught.value) == f"image 3: {message}"


def test_a_block_that_is_no_lz4_is_a_bad_event() -> None:
    size = struct.unpack_from(">I", BLOB, 12)[0]
    blob = BLOB[:16] + b"\xff" * size + BLOB[16 + size :]

    with pytest.raises(BadEvent, match=r"^image 3: a block of the bitshuffle-LZ4 blob is damaged"):
        decode(blob, "bslz4", IMAGE.dtype, IMAGE.shape, "image 3")


def test_a_shape_that_is_none_is_a_bad_event() -> None:
    with pytest.raises(BadEvent, match=r"^image 3: field 'shape' is \[-1, 4\], expected a list of whole numbers\.$"):
        decode(b"", "<", IMAGE.dtype, [-1, 4], "image 3")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(BLOB) - 1), st.integers(0, 255))
def test_a_changed_byte_never_does_more_than_raise(position: int, byte: int) -> None:
    blob = bytearray(BLOB)
    blob[position] = byte

    with suppress(BadEvent):
        assert decode(bytes(blob), "bslz4", IMAGE.dtype, IMAGE.shape, "image").shape == IMAGE.shape


def test_decoding_takes_one_thread_and_leaves_the_environment_alone() -> None:
    program = (
        "import os, struct, numpy as np\n"
        "from penstock.kernels.decode import decode\n"
        "before, threads = dict(os.environ), len(os.listdir('/proc/self/task'))\n"
        "decode(bytes.fromhex(os.environ['BLOB']), 'bslz4', np.dtype('u2'), (37, 123), 'image')\n"
        "assert dict(os.environ) == before\n"
        "print(len(os.listdir('/proc/self/task')) - threads)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | {"BLOB": BLOB.hex()}

    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert run.stdout == "0\n"
