from __future__ import annotations

import json
import math

import numpy as np
import pytest
from figures import Goal, Row, format_table, json_line, missed


def test_the_ratio_says_how_many_times_better_ours_is() -> None:
    cost = Row("points cpu", "ms/event", 2.0, 50.0)
    fraction = Row("found", "", 0.9, 0.6, more_is_better=True)

    assert (cost.ratio, fraction.ratio) == (25.0, pytest.approx(1.5))


@pytest.mark.parametrize(
    "row",
    [
        Row("a", "s", 1.0),
        Row("a", "s", None, 1.0),
        Row("a", "s", 1.0, math.nan),
        Row("a", "s", 0.0, 1.0),
        Row("a", "s", 1.0, 0.0, more_is_better=True),
        Row("a", "s", 1.0, 2.0, comparable=False),
    ],
    ids=["no peer", "not measured", "peer has none", "ours is zero", "peer is zero", "not comparable"],
)
def test_there_is_no_ratio_without_two_figures(row: Row) -> None:
    assert row.ratio is None


def test_json_has_the_five_names_and_null_for_what_is_absent() -> None:
    rows = [Row("cpu", "ms/event", 2.0, 50.0, error=0.1), Row("wall", "s", math.nan)]

    assert json.loads(json_line(rows)) == [
        {"name": "cpu", "unit": "ms/event", "ours": 2.0, "peer": 50.0, "ratio": 25.0},
        {"name": "wall", "unit": "s", "ours": None, "peer": None, "ratio": None},
    ]


def test_json_is_one_line() -> None:
    assert "\n" not in json_line([Row("cpu", "s", 1.0)] * 3)


@pytest.mark.parametrize(
    ("goal", "kept"),
    [
        (Goal(10.0, "ratio"), True),
        (Goal(30.0, "ratio"), False),
        (Goal(3.0, side="most"), True),
        (Goal(3.0), False),
    ],
    ids=["ratio large enough", "ratio too small", "value small enough", "value too small"],
)
def test_a_goal_bounds_the_value_or_the_ratio(goal: Goal, kept: bool) -> None:
    assert goal.kept(Row("cpu", "s", 2.0, 50.0)) is kept


def test_a_goal_that_cannot_be_judged_counts_as_missed() -> None:
    row = Row("cpu", "s", 2.0, goal=Goal(10.0, "ratio"))

    assert missed([row, Row("wall", "s", 1.0)]) == [row]


def test_the_table_aligns_its_columns_and_names_the_verdicts() -> None:
    rows = [
        Row("points cpu", "ms/event", 2.0, 50.0, goal=Goal(10.0, "ratio")),
        Row("found", "", 0.5, 0.8, error=0.03, peer_error=0.02, more_is_better=True, goal=Goal(0.88)),
        Row("estimates cpu", "ms/event", 1.0, goal=Goal(6.0, "ratio")),
        Row("wall", "s", None),
    ]

    assert format_table("some figures", rows).splitlines() == [
        "some figures",
        "                                  ours        peer    ratio  goal",
        "points cpu (ms/event)                2          50  25.00 ×  ratio ≥ 10  kept",
        "found                       0.5 ± 0.03  0.8 ± 0.02   0.62 ×  ≥ 0.88      MISSED",
        "estimates cpu (ms/event)             1                       ratio ≥ 6   not judged",
        "wall (s)                  not measured",
    ]


@pytest.mark.parametrize(
    ("value", "kept"),
    [(0.1, True), (-0.1, True), (0.35, False), (-0.35, False), (0.29, True)],
    ids=["above", "below", "far above", "far below", "at the border"],
)
def test_a_goal_bounds_the_distance_from_its_centre(value: float, kept: bool) -> None:
    assert Goal(0.3, side="within").kept(Row("bias", "", value)) is kept


@pytest.mark.parametrize(
    ("goal", "kept"),
    [
        (Goal(0.9, sure=True), False),
        (Goal(0.8, sure=True), True),
        (Goal(1.1, side="most", sure=True), False),
        (Goal(0.2, side="within", centre=1.0, sure=True), True),
        (Goal(0.1, side="within", centre=1.0, sure=True), False),
    ],
    ids=["too little", "enough", "too much", "near enough", "too far"],
)
def test_a_sure_goal_holds_for_a_value_two_standard_errors_worse(goal: Goal, kept: bool) -> None:
    assert goal.kept(Row("pull width", "", 1.0, error=0.08)) is kept


def test_a_sure_goal_cannot_be_judged_without_an_error() -> None:
    assert Goal(0.5, sure=True).kept(Row("found", "", 0.9)) is None


def test_a_value_of_numpy_is_judged_too() -> None:
    row = Row("bias", "", np.float64(0.1), error=np.float64(0.01), goal=Goal(0.2, side="within", sure=True))

    assert missed([row]) == []


def test_goals_say_their_range() -> None:
    goals = [Goal(0.2, side="within", centre=1.0, sure=True), Goal(0.05, side="within"), Goal(0.98, sure=True)]

    assert [str(goal) for goal in goals] == ["0.8 to 1.2, 2 s.e.", "±0.05", "≥ 0.98, 2 s.e."]
