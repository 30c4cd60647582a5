from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.canonical import Key, canonical_json, digest_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_canonical_json_has_sorted_keys_and_no_white_space() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "Bρ"}) == '{"a":"Bρ","b":[1,2.5,null]}'


@given(JSON)
def test_canonical_json_reads_back_as_the_same_value(value: object) -> None:
    assert json.loads(canonical_json(value)) == value  # type: ignore[arg-type]


@given(st.dictionaries(st.text(), JSON, max_size=6), st.randoms())
def test_a_key_does_not_depend_on_the_order_of_fields(value: dict[str, object], random: object) -> None:
    names = list(value)
    random.shuffle(names)  # type: ignore[attr-defined]

    assert digest_key({name: value[name] for name in names}) == digest_key(value)  # type: ignore[arg-type]


@given(JSON, JSON)
def test_values_with_different_text_have_different_keys(one: object, other: object) -> None:
    same_text = canonical_json(one) == canonical_json(other)  # type: ignore[arg-type]

    assert (digest_key(one) == digest_key(other)) == same_text  # type: ignore[arg-type]


def test_a_key_stays_what_it_was_in_the_first_release() -> None:
    assert digest_key({"recipe": "penstock/1", "params": {"threshold": 40.0}}) == "72vonhxmlkivyk5ndb3qbir6lkn3uod6"


def test_nan_has_no_canonical_form() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"threshold": float("nan")})


def test_people_see_ten_characters_of_a_key() -> None:
    assert Key("abcdefghijklmnopqrstuvwxyz234567").short == "abcdefghij"
