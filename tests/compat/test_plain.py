from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.compat.spyral.plain import NotPlain, decode, encode

HERE, THERE = Path("/runs/one"), Path("/runs/two")
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    LEAVES | st.builds(Path, st.sampled_from(["/elsewhere/x", "relative"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text().filter(lambda k: not k.startswith("$")), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(VALUES)
def test_values_come_back_as_they_were(value: object) -> None:
    kept = json.loads(json.dumps(encode(value, HERE)))

    assert decode(kept, THERE) == value
    assert repr(decode(kept, THERE)) == repr(value)


def test_paths_in_the_workspace_move_with_it() -> None:
    kept = encode({"asset": HERE / "Mine_assets/x.npy", "text": f"{HERE}/log"}, HERE)

    assert decode(kept, THERE) == {"asset": THERE / "Mine_assets/x.npy", "text": f"{THERE}/log"}


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u8", "?"])
def test_arrays_come_back_with_their_type(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)

    found = decode(json.loads(json.dumps(encode([array, array.dtype.type(1)], HERE))), THERE)

    np.testing.assert_array_equal(found[0], array)
    assert found[0].dtype == array.dtype
    assert found[1] == 1


@pytest.mark.parametrize(
    ("value", "where"),
    [({"a": [1, object()]}, "x['a'][1] is of type 'object'"), ({1: 2}, "x is of type 'dict'"), ({"$a": 2}, "x is of type 'dict'")],
    ids=["inside", "key", "reserved key"],
)
def test_other_values_are_refused_with_their_place(value: object, where: str) -> None:
    with pytest.raises(NotPlain) as raised:
        encode(value, HERE, "x")

    assert str(raised.value) == where
