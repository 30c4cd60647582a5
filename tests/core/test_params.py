from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from penstock.core.canonical import canonical_json
from penstock.core.params import Params, field_paths


class Inner(Params):
    """Inner values."""

    min_points: int = Field(default=3, ge=1)
    """Fewest points."""
    late: float = Field(default=0.0, json_schema_extra={"neutral": 0.0})
    """Came with a later release."""


class Outer(Params):
    """Outer values."""

    threshold: float = Field(default=40.0, gt=0)
    """In ADC."""
    window: tuple[int, int] = (0, 512)
    """In buckets."""
    cluster: Inner = Inner()
    """Nested."""


def test_the_identity_of_parameters_holds_every_value_nested_ones_too() -> None:
    assert Outer().identity() == {"threshold": 40.0, "window": [0, 512], "cluster": {"min_points": 3}}


def test_a_new_parameter_at_its_neutral_value_leaves_old_keys_valid() -> None:
    assert Inner(late=0.0).identity() == {"min_points": 3}


def test_a_new_parameter_at_another_value_stands_in_the_key() -> None:
    assert Inner(late=0.5).identity() == {"min_points": 3, "late": 0.5}


@given(st.integers(1, 1000))
def test_an_integer_and_the_equal_float_are_one_identity(value: int) -> None:
    assert canonical_json(Outer(threshold=value).identity()) == canonical_json(Outer(threshold=float(value)).identity())


@pytest.mark.parametrize(
    "values",
    [{"threshold": 0}, {"threshold": float("nan")}, {"threshold": float("inf")}, {"treshold": 3}, {"cluster": {"min_points": 0}}],
    ids=["bound", "nan", "infinity", "unknown", "nested bound"],
)
def test_a_value_that_cannot_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Outer.model_validate(values)


def test_parameters_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Outer().threshold = 3.0


def test_field_paths_name_nested_fields() -> None:
    assert list(field_paths(Outer)) == ["threshold", "window", "cluster.min_points", "cluster.late"]


def test_parameters_survive_the_way_to_a_worker() -> None:
    params = Outer(window=(3, 4), cluster=Inner(late=1e-17))

    assert Outer.model_validate_json(params.model_dump_json()) == params
