"""Parameters: typed values from bytes, defaults, and a hash of their contents."""

from __future__ import annotations

import pytest

from penstock.core.errors import ConfigError
from penstock.stream.parameters import (
    BinaryParameter,
    BoolParameter,
    FloatParameter,
    IntParameter,
    ParameterBase,
    StrParameter,
    WorkParameter,
    hash_parameters,
    resolve_parameters,
)

KINDS = [
    (StrParameter, "ä b"),
    (BinaryParameter, b"\x00\xff"),
    (IntParameter, -3),
    (FloatParameter, 2.5e-3),
    (BoolParameter, True),
    (BoolParameter, False),
]


@pytest.mark.parametrize("kind, value", KINDS)
def test_a_value_survives_the_way_through_bytes(kind: type[ParameterBase], value: object) -> None:
    parameter = kind(name="p")

    assert parameter.read(parameter.write(value)) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kind, data, message",
    [
        (IntParameter, b"2.5", "'2.5' is not a whole number"),
        (FloatParameter, b"two", "'two' is not a number"),
        (BoolParameter, b"perhaps", "'perhaps' is not 'True' or 'False'"),
        (StrParameter, b"\xff", "is not text"),
    ],
)
def test_bytes_of_the_wrong_type_are_refused_with_the_name(kind: type[ParameterBase], data: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=f"parameter 'p': .*{message}|parameter 'p': {message}"):
        kind(name="p").read(data)


def test_described_parameters_have_their_default_and_others_no_value() -> None:
    found = resolve_parameters([IntParameter(name="n", default=4), StrParameter(name="s")], {"s": b"x", "free": b"y"})

    assert {name: p.value for name, p in found.items()} == {"free": None, "n": 4, "s": "x"}
    assert found["n"].data == b"4"


def test_two_descriptions_of_different_types_are_refused() -> None:
    with pytest.raises(ConfigError, match="'n' is described as int and as str"):
        resolve_parameters([IntParameter(name="n"), StrParameter(name="n")], {})


def test_the_hash_is_of_names_and_contents_alone() -> None:
    one = {name: WorkParameter(name=name, data=data) for name, data in (("a", b"1"), ("b", b"2"))}
    again = {name: WorkParameter(name=name, data=data) for name, data in (("b", b"2"), ("a", b"1"))}
    other = {name: WorkParameter(name=name, data=data) for name, data in (("a", b"12"), ("b", b""))}

    assert hash_parameters(one) == hash_parameters(again) != hash_parameters(other)
    assert one["a"].uuid != again["a"].uuid


def test_long_values_are_shown_shortened() -> None:
    shown = repr(WorkParameter(name="blob", data=b"x" * 500, value=b"x" * 500))

    assert len(shown) < 300
    assert "..." in shown
