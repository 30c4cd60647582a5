from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from penstock.compat.spyral.constructor import arguments_of
from penstock.core.canonical import digest_key
from penstock.core.errors import ConfigError
from penstock.core.params import field_paths


@dataclass
class Inner:
    """Parameters within parameters."""

    depth: int = 3
    names: list[str] = field(default_factory=lambda: ["a"])


@dataclass
class Outer:
    """Parameters as a group declares them."""

    threshold: float
    table: Path
    inner: Inner = field(default_factory=Inner)
    mode: str | None = None
    derived: int = field(init=False, default=7)


class Phase:
    """Takes parameters, and two plain values."""

    def __init__(self, outer: Outer, scale: float = 2.0, where: Path | None = None) -> None:
        self.outer, self.scale, self.where = outer, scale, where


class Greedy:
    """Takes whatever comes."""

    def __init__(self, *values: int, **others: int) -> None:
        self.values, self.others = values, others


def test_fields_of_dataclasses_become_parameters_with_the_values_given(tmp_path: Path) -> None:
    made = arguments_of(Phase, (Outer(1, tmp_path / "x"),), {})

    assert list(field_paths(made)) == [
        "outer.threshold",
        "outer.table",
        "outer.inner.depth",
        "outer.inner.names",
        "outer.mode",
        "scale",
        "where",
    ]
    assert made().model_dump()["outer"] == {
        "threshold": 1,
        "table": str(tmp_path / "x"),
        "inner": {"depth": 3, "names": ["a"]},
        "mode": None,
    }


def test_a_phase_is_built_again_from_what_travelled_as_json(tmp_path: Path) -> None:
    made = arguments_of(Phase, (Outer(1.5, tmp_path, Inner(4), "fast"),), {"where": tmp_path})

    phase = made.model_validate_json(made().model_dump_json()).build()

    assert phase.outer == Outer(1.5, tmp_path, Inner(4), "fast")
    assert (phase.scale, phase.where) == (2.0, tmp_path)


def test_values_are_checked_against_the_annotations() -> None:
    made = arguments_of(Phase, (Outer(1.0, Path("x")),), {})

    with pytest.raises(ValidationError, match=r"outer\.inner\.depth"):
        made.model_validate({"outer": {"inner": {"depth": "deep"}}})


def test_a_file_stands_in_the_key_with_its_content_and_not_with_its_place(tmp_path: Path) -> None:
    def key(path: Path) -> str:
        return digest_key(arguments_of(Phase, (Outer(1.0, path),), {})().identity())

    (tmp_path / "elsewhere").mkdir()
    one, same, other = tmp_path / "gas.txt", tmp_path / "elsewhere" / "gas.txt", tmp_path / "other" / "gas.txt"
    other.parent.mkdir()
    one.write_text("H2")
    same.write_text("H2")
    other.write_text("D2")

    assert key(one) == key(same) != key(other)
    assert key(tmp_path / "absent" / "gas.txt") != key(one)


def test_a_file_that_changes_in_place_changes_the_key(tmp_path: Path) -> None:
    path = tmp_path / "gas.txt"
    path.write_text("H2")
    params = arguments_of(Phase, (Outer(1.0, path),), {})()
    before = params.identity()

    path.write_text("CO2")

    assert params.identity() != before


def test_named_arguments_of_any_number_are_taken() -> None:
    assert arguments_of(Greedy, (), {"a": 1, "b": 2})().build().others == {"a": 1, "b": 2}


class Mode(Enum):
    """A choice."""

    FAST = "fast"
    SLOW = "slow"


@dataclass
class Loose:
    """A field whose annotation says nothing."""

    thing: Any = None
    inner: Inner | None = None


class Takes:
    """Takes loose parameters."""

    def __init__(self, loose: Loose) -> None:
        self.loose = loose


@pytest.mark.parametrize("value", [1, 2.5, "x", True, None, [1, "a"], (1, 2), {"a": [1]}, Mode.SLOW], ids=str)
def test_without_a_useful_annotation_the_type_is_that_of_the_value(value: object) -> None:
    params = arguments_of(Takes, (Loose(value),), {})()

    assert type(params).model_validate_json(params.model_dump_json()).build().loose == Loose(value)
    assert digest_key(params.identity())


@pytest.mark.parametrize(
    ("phase", "arguments", "message"),
    [
        (Phase, (), "phase 'Phase': missing a required argument: 'outer'. Give it what its constructor takes."),
        (
            Takes,
            (Loose([object()]),),
            "phase Takes.loose.thing: a value of type 'list' cannot stand in a key. Give numbers, text, paths, lists of these, or a dataclass of these.",
        ),
        (Greedy, (1, 2), "phase 'Greedy': its constructor takes any number of arguments (*values); give them names."),
    ],
    ids=["missing", "no value", "any number"],
)
def test_arguments_that_cannot_stand_in_a_key_are_refused(phase: type, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        arguments_of(phase, arguments, {})
