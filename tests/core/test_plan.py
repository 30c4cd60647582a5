from __future__ import annotations

import pytest

from penstock.core.plan import differences, first_difference

OLD = {
    "recipe": "penstock/1",
    "subject": {"run": 1},
    "code": 1,
    "writes": "tpc.points/1",
    "params": {"threshold": 40.0, "cluster": {"min_points": 3}},
    "inputs": {"points": "k1"},
}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"recipe": "penstock/2"}, "recipe: penstock/1 -> penstock/2"),
        ({"subject": {"run": 2}, "code": 2}, "raw data differ"),
        ({"code": "1+f00"}, "code: 1 -> 1+f00"),
        ({"writes": "tpc.points/2"}, "writes: tpc.points/1 -> tpc.points/2"),
        ({"params": {"threshold": 40.0, "cluster": {"min_points": 5}}}, "cluster.min_points: 3 -> 5"),
        ({"params": {"threshold": 40.0, "cluster": {"min_points": 3}, "late": 1}}, "late: (absent) -> 1"),
        ({"inputs": {"points": "k2"}}, "input 'points' differs"),
    ],
    ids=["nothing", "recipe", "subject before code", "code", "schema", "nested parameter", "new parameter", "input"],
)
def test_the_first_difference_of_two_recipes_is_told_with_both_values(changes: dict[str, object], why: str) -> None:
    assert first_difference(OLD, OLD | changes) == why  # type: ignore[arg-type]


def test_differences_list_what_was_added_changed_and_removed() -> None:
    found = differences({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4, "e": 5}})

    assert list(found) == [("b.c", 2, 4), ("b.e", None, 5), ("b.d", 3, None), ("a", 1, None)]
