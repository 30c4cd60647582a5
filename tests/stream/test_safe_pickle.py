from __future__ import annotations

import os
import pickle
import pickletools
from collections import OrderedDict
from contextlib import suppress
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import BadEvent
from penstock.stream.safe_pickle import loads

VALUES: dict[str, Any] = {
    "matrix": np.arange(6).reshape(2, 3),
    "matrix in Fortran order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big-endian": np.arange(3, dtype=">u2"),
    "empty": np.zeros((0, 3), np.float32),
    "no axis": np.array(3, ">u2"),
    "text array": np.array(["ab", "cde"]),
    "bytes array": np.array([b"ab", b"cde"]),
    "bool array": np.array([True, False]),
    "complex array": np.array([1 + 2j]),
    "void array": np.zeros(2, "V3"),
    "times": np.array(["2020-01-01", "2021-01-01"], "M8[ns]"),
    "records": np.array([(1, 2.0)], dtype=[("a", "i2"), ("b", ">f8")]),
    "records with arrays": np.zeros(2, dtype=[("a", "i2", (3, 2)), ("b", "U4")]),
    "scalar": np.float32(2.5),
    "numpy bool": np.bool_(True),
    "numpy text": np.str_("ab"),
    "no numpy text": np.str_(""),
    "duration": np.timedelta64(5, "s"),
    "dtype": np.dtype([("a", ">i4")]),
    "bytes": b"abc\xff",
    "no bytes": b"",
    "bytearray": bytearray(b"xy"),
    "sets": [{1, 2}, frozenset([3])],
    "nested": {"a": [1, (2, np.arange(2))], "b": None, "c": OrderedDict(x=np.arange(3)), "d": 10**30, "e": 2 + 3j},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_arrays_scalars_and_containers_of_every_protocol_come_back(value: Any, protocol: int) -> None:
    found = loads(pickle.dumps(value, protocol))

    assert type(found) is type(value)
    assert repr(found) == repr(value)


def test_arrays_of_numpy_1_are_read() -> None:
    frame = pickle.dumps(np.arange(4, dtype="u4"), 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")

    assert b"numpy.core" in frame
    np.testing.assert_array_equal(loads(frame), np.arange(4))


def test_an_array_written_by_python_2_is_read() -> None:
    frame = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02u2K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x01\x00\xff\x00tb."
    )

    np.testing.assert_array_equal(loads(frame), np.array([1, 255], np.uint16))


def test_arrays_are_writable_and_a_view_of_the_frame_will_do() -> None:
    found = loads(memoryview(pickle.dumps(np.arange(3))))

    found[0] = 7
    assert found.tolist() == [7, 1, 2]


def test_a_list_that_holds_itself_is_read() -> None:
    loop: list[Any] = [np.arange(2)]
    loop.append(loop)

    found = loads(pickle.dumps(loop))

    assert found[1] is found
    assert found[0].tolist() == [0, 1]


class Harmful:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.recipe = (call, arguments)

    def __reduce__(self) -> Any:
        return self.recipe


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Harmful(os.system, "true"), "posix.system"),
        (Harmful(eval, "1"), "builtins.eval"),
        (Harmful(getattr, [], "append"), "builtins.getattr"),
        (np.ma.masked_array([1]), "numpy.ma.core._mareconstruct"),
        (date(2024, 1, 1), "datetime.date"),
        (np.load, "numpy.load"),
    ],
    ids=["system", "eval", "getattr", "masked array", "date", "numpy function"],
)
def test_any_other_global_is_refused_by_name(value: Any, name: str) -> None:
    with pytest.raises(
        BadEvent, match=rf"^contrast: the pickle asks for '({name})'; only numpy arrays and plain containers are allowed\.$"
    ):
        loads(pickle.dumps(value), "contrast")


def test_the_type_of_arrays_cannot_be_called() -> None:
    with pytest.raises(BadEvent, match="not a whole pickle"):
        loads(b"\x80\x02cnumpy\nndarray\nK\x04\x85R.")


def test_what_a_pickle_may_call_cannot_be_changed_by_one() -> None:
    change = b"\x80\x02cnumpy\ndtype\n(N}U\x08__call__U\x01xs\x86b."

    with pytest.raises(BadEvent):
        loads(change)

    assert loads(pickle.dumps(np.arange(2))).tolist() == [0, 1]


def test_an_array_of_python_objects_is_refused() -> None:
    with pytest.raises(BadEvent, match=r"^pickle: an array of Python objects is not allowed\. Send numbers, text or bytes\.$"):
        loads(pickle.dumps(np.array([[], None], dtype=object)))


def test_records_with_python_objects_are_refused() -> None:
    with pytest.raises(BadEvent, match="Python objects"):
        loads(pickle.dumps(np.zeros(1, dtype=[("a", "i4"), ("b", "O")])))


def test_an_array_whose_content_does_not_fit_its_shape_is_refused() -> None:
    frame = pickle.dumps(np.arange(4, dtype=np.uint8), 2).replace(b"K\x04\x85", b"K\x09\x85")

    with pytest.raises(BadEvent, match=r"^pickle: an array of shape \(9,\) and dtype uint8 has 4 bytes, expected 9\.$"):
        loads(frame)


def test_bytes_of_a_length_are_refused() -> None:
    with pytest.raises(BadEvent, match="not a whole pickle"):
        loads(b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.")


def test_text_in_another_encoding_is_refused() -> None:
    with pytest.raises(BadEvent, match=r"^pickle: text encoded as 'zlib' is not allowed, only 'latin1'\.$"):
        loads(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00zlib\x86R.")


def test_a_dtype_of_an_odd_byte_order_is_refused() -> None:
    frame = pickle.dumps(np.arange(2), 2).replace(b"X\x01\x00\x00\x00<", b"X\x01\x00\x00\x00,")

    with pytest.raises(BadEvent, match=r"^pickle: a dtype has byte order ',', expected '<', '>', '=' or '\|'\.$"):
        loads(frame)


def test_an_array_with_another_thing_for_its_dtype_is_refused() -> None:
    frame = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\x01K\x01\x85U\x02u1\x89U\x01xtb."

    with pytest.raises(BadEvent, match=r"^pickle: an array has str for its dtype\.$"):
        loads(frame)


@pytest.mark.parametrize("frame", [b"", b"\x80\x05", b"{}", pickle.dumps([1.5, 2])[:-4]], ids=["empty", "begun", "JSON", "cut"])
def test_a_damaged_pickle_is_a_bad_event(frame: bytes) -> None:
    with pytest.raises(BadEvent, match=rf"^pickle: not a whole pickle of {len(frame)} bytes"):
        loads(frame)


@pytest.mark.parametrize(
    "asks",
    [b"\x8e" + b"\xff" * 7 + b"\x0fabc", b"\x96" + b"\xff" * 7 + b"\x0fabc", b"Nr\xff\xff\xff\x7f.", b"Np999999999\n."],
    ids=["bytes", "bytearray", "place", "place as text"],
)
def test_a_pickle_that_asks_for_all_memory_is_a_bad_event(asks: bytes) -> None:
    with pytest.raises(BadEvent, match=rf"^pickle: not a whole pickle of {len(asks) + 2} bytes \(opcode b'.*' at \d does not fit\)\.$"):
        loads(b"\x80\x05" + asks)


def test_a_deep_nest_is_a_bad_event() -> None:
    with pytest.raises(BadEvent, match="not a whole pickle of 200002 bytes"):
        loads(b"]" * 100_001 + b"a" * 100_000 + b".")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_byte_is_either_read_or_a_bad_event(data: st.DataObject) -> None:
    frame = bytearray(pickletools.optimize(pickle.dumps([np.arange(3), np.float64(1), {"a": np.array(["x"])}], 2)))
    frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 127))

    with suppress(BadEvent):
        loads(bytes(frame))


def test_a_value_that_shares_itself_many_times_takes_no_time() -> None:
    value: tuple[object, ...] = (1, 2)
    for _ in range(60):
        value = (value, value)

    found = loads(pickle.dumps(value, 2))

    assert found[0] is found[1]
