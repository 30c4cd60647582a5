"""Values as arrays that HDF5 can hold."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from penstock.formats.published import NotPublishable, as_array


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        pytest.param(5, np.int64, (), id="int"),
        pytest.param(2**63, np.uint64, (), id="int beyond int64"),
        pytest.param(2.5, np.float64, (), id="float"),
        pytest.param(True, np.bool_, (), id="bool"),
        pytest.param(1 + 2j, np.complex128, (), id="complex"),
        pytest.param(np.float32(1), np.float32, (), id="numpy scalar"),
        pytest.param("tür", object, (), id="text"),
        pytest.param(["a", "bc"], object, (2,), id="list of text"),
        pytest.param(np.array([["a", "bc"]]), object, (1, 2), id="array of text"),
        pytest.param(b"abc", "S3", (), id="bytes that are text"),
        pytest.param(b"\0\xff", "V2", (), id="bytes that are not"),
        pytest.param(b"", "S1", (), id="no bytes"),
        pytest.param([1, 2], np.int64, (2,), id="list of int"),
        pytest.param([], np.float64, (0,), id="empty list"),
        pytest.param([[1.0], [2.0]], np.float64, (2, 1), id="nested list"),
        pytest.param(np.zeros((2, 3), ">u2"), ">u2", (2, 3), id="big-endian"),
    ],
)
def test_a_value_keeps_its_type_and_shape(value: Any, dtype: Any, shape: tuple[int, ...]) -> None:
    array = as_array(value)

    assert array is not None
    assert array.dtype == np.dtype(dtype)
    assert array.shape == shape


def test_none_has_no_value() -> None:
    assert as_array(None) is None


def test_none_among_numbers_is_nan() -> None:
    array = as_array([0, None, 2.5])

    np.testing.assert_array_equal(array, [0, np.nan, 2.5])


def test_masked_elements_are_nan() -> None:
    array = as_array(np.ma.masked_equal([1.0, 2.0], 2.0))

    np.testing.assert_array_equal(array, [1.0, np.nan])


def test_fields_are_packed_and_text_in_them_is_utf8() -> None:
    given = np.zeros(1, np.dtype([("flag", "?"), ("value", "f8"), ("name", "U2"), ("pair", "i2", (2,))], align=True))
    given[0] = (True, 2.5, "ä", [1, 2])

    array = as_array(given)

    assert array is not None
    assert array.dtype == np.dtype([("flag", "?"), ("value", "f8"), ("name", "S8"), ("pair", "i2", (2,))])
    assert array[0]["name"] == "ä".encode()
    assert array[0]["pair"].tolist() == [1, 2]


@given(npst.arrays(npst.scalar_dtypes().filter(lambda d: d.kind in "biuf" and d.itemsize <= 8), npst.array_shapes(min_dims=0, max_side=4)))
def test_numeric_arrays_are_published_as_they_are(array: np.ndarray[Any, Any]) -> None:
    assert as_array(array) is array


@given(st.lists(st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.none()), min_size=1))
def test_lists_of_numbers_keep_their_values(values: list[float | None]) -> None:
    array = as_array(values)

    np.testing.assert_array_equal(np.asarray(array, float), [np.nan if v is None else v for v in values])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(
            np.datetime64("2026-01-01", "s"),
            "datetime64[s] is a time, which HDF5 does not know. Publish seconds as float64, nanoseconds as int64, or text, with an attribute that says which.",
            id="time",
        ),
        pytest.param(np.longdouble(1), "float128 is wider than HDF5 readers know. Publish it as float64.", id="long double"),
        pytest.param([1, "a"], "a list mixes text with something else. Publish a list of one type.", id="mixed"),
        pytest.param(2**64, "18446744073709551616 does not fit in 64 bits. Publish it as a float, or as text.", id="large"),
        pytest.param("a\0b", "'a\\x00b' has a NUL, at which HDF5 ends text. Publish it as bytes.", id="nul"),
        pytest.param("\udc80", "'\\udc80' cannot be written as UTF-8 (surrogates not allowed). Publish it as bytes.", id="surrogate"),
        pytest.param(
            {1, 2},
            "set has no type in HDF5. Publish numbers, text, arrays or lists of them, or a dict as a group.",
            id="object",
        ),
        pytest.param(
            [{"a": 1}],
            "list of dict has no type in HDF5. Publish numbers, text, arrays or lists of them, or a dict as a group.",
            id="list of dict",
        ),
        pytest.param(
            np.zeros(1, [("when", "M8[s]")]),
            "field 'when': datetime64[s] is a time, which HDF5 does not know. Publish seconds as float64, nanoseconds as int64, or text, with an attribute that says which.",
            id="time in a field",
        ),
        pytest.param(
            np.zeros(1, [("what", "O")]),
            "field 'what' holds Python objects. Give it a fixed type, such as a number or 'S20'.",
            id="object in a field",
        ),
        pytest.param(
            np.ma.masked_equal([1, 2], 2),
            "a masked array of int64 has no value for masked elements. Publish value.filled(...).",
            id="masked integers",
        ),
    ],
)
def test_what_hdf5_cannot_hold_is_refused_by_name(value: Any, message: str) -> None:
    with pytest.raises(NotPublishable, match=f"^{re.escape(message)}$"):
        as_array(value)


def test_a_ragged_list_is_refused() -> None:
    with pytest.raises(NotPublishable, match=r"^a list of 2 has no single shape and type \(.*\)\. Publish an array\.$"):
        as_array([[1], [1, 2]])
