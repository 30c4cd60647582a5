"""``[columns]`` of experiment.toml: what may stand there, and what is said of anything else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toybench import ToyExperiment

from penstock.config import RunColumn, evaluate_counting
from penstock.config._columns import ColumnSection, read_columns
from penstock.core.errors import ConfigError
from penstock.core.params import Params
from penstock.core.schema import Column, Records, Table
from penstock.core.stage import Pipeline, Stage

COUNTS = {"rows": 6.0, "events": 4.0, "rejected": 0.0}


def test_columns_come_in_the_order_of_the_file_with_the_unit_of_what_they_reduce(toy: ToyExperiment) -> None:
    toy.configure(
        "[columns]\n"
        'per_event = {stage = "toy.hits", value = "rows/events"}\n'
        'charge = {stage = "toy.hits", column = "charge", reduce = "median"}\n'
        'charges = {stage = "toy.hits", column = "charge", reduce = "count"}\n'
        'members = {stage = "toy.groups", table = "members", column = "value", reduce = "max"}\n'
    )

    columns = toy.load().columns

    assert [(c.name, c.unit) for c in columns] == [("per_event", ""), ("charge", "C"), ("charges", ""), ("members", "V")]
    assert [c.title for c in columns[:2]] == ["rows/events of toy.hits", "median of hits.charge [C] of toy.hits"]


@pytest.mark.parametrize(
    "column, message",
    [
        ('x = {stage = "toy.hit", value = "rows"}', r"'x': stage 'toy\.hit' is not in the pipeline \(.*\)\. Did you mean 'toy\.hits'\?"),
        (
            'x = {stage = "toy.hits", value = "row/events"}',
            r"value = 'row/events': 'row' is not counted \(events, .*\)\. Did you mean 'rows'\?",
        ),
        ('x = {stage = "toy.hits", value = "rows/"}', r"value = 'rows/' cannot be read\. Expected arithmetic such as 'rows/events'"),
        ('x = {stage = "toy.hits", value = "abs(rows)"}', r"'abs\(rows\)' is not allowed\. Expected names of counts, numbers"),
        ('x = {stage = "toy.hits", value = "rows ** 2"}', r"'rows \*\* 2' is not allowed"),
        ('x = {stage = "toy.hits", value = "rows.real"}', r"'rows\.real' is not allowed"),
        ('x = {stage = "toy.hits", value = "True"}', r"'True' is not allowed"),
        ('x = {stage = "toy.hits"}', r"found neither 'value' nor both 'column' and 'reduce'"),
        ('x = {stage = "toy.hits", column = "charge"}', r"found neither 'value' nor both 'column' and 'reduce'"),
        ('x = {stage = "toy.hits", value = "rows", reduce = "sum"}', r"found 'value' and 'reduce', expected either"),
        (
            'x = {stage = "toy.hits", column = "charge", reduce = "med"}',
            r"reduce = 'med' is not known \(mean, .*\)\. Did you mean 'median'\?",
        ),
        ('x = {stage = "toy.hits", column = "charg", reduce = "sum"}', r"has no column 'charg' \(.*\)\. Did you mean 'charge'\?"),
        (
            'x = {stage = "toy.hits", table = "hit", column = "charge", reduce = "sum"}',
            r"has no table 'hit' \(.*\)\. Did you mean 'hits'\?",
        ),
        ('x = {stage = "toy.hits", colum = "charge"}', r"'columns\.x\.colum' is not known\. Did you mean 'column'\?"),
        ('run = {stage = "toy.hits", value = "rows"}', r"'run': the run table has a column of that name already"),
        ('"toy.hits" = {stage = "toy.hits", value = "rows"}', r"has a column of that name already"),
        ('" " = {stage = "toy.hits", value = "rows"}', r"has a column of that name already \(run, .*\)\. Give it another name"),
    ],
)
def test_a_wrong_column_is_named_with_what_is_known(toy: ToyExperiment, column: str, message: str) -> None:
    toy.configure(f"[columns]\n{column}\n")

    with pytest.raises(ConfigError, match=message):
        toy.load()


class Twofold(Records):
    """Two tables with a column of one name."""

    name = "toy.twofold"
    tables = (
        Table("events", (Column("word", "U8"), Column("spectrum", "f4", shape=(16,))), per=None),
        Table("left", (Column("value", "f4", "V"),)),
        Table("right", (Column("value", "f4", "A"),)),
    )


TWOFOLD = Pipeline((Stage(name="toy.twofold", version=1, body="toy:body", params=Params, reads={}, writes=Twofold, lane="toy"),), ())


def _read(**fields: str) -> RunColumn:
    (column,) = read_columns({"x": ColumnSection(stage="toy.twofold", **fields)}, TWOFOLD, "here")
    return column


def test_a_column_of_several_tables_wants_the_table() -> None:
    with pytest.raises(
        ConfigError, match=r"column 'value' stands in several tables of 'toy\.twofold' \(left, right\)\. Say which with 'table'"
    ):
        _read(column="value", reduce="mean")

    assert _read(column="value", table="right", reduce="mean").unit == "A"


@pytest.mark.parametrize("column", ["word", "spectrum"])
def test_a_column_that_is_no_plain_number_is_refused(column: str) -> None:
    with pytest.raises(ConfigError, match=f"column '{column}' of 'events' holds no plain numbers"):
        _read(column=column, reduce="mean")


@pytest.mark.parametrize(
    "text, value",
    [("rows/events", 1.5), ("-rows + 2*(events - 1)", 0.0), ("100 * rejected / events", 0.0), ("3", 3.0), ("rows - -1.5", 7.5)],
)
def test_arithmetic_of_counts(text: str, value: float) -> None:
    assert evaluate_counting(text, COUNTS) == value


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.sampled_from("+-*/"))
def test_arithmetic_is_that_of_python(left: float, right: float, operator: str) -> None:
    counts = {"rows": left, "events": right}
    try:
        expected = eval(f"rows {operator} events", {}, counts)
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            evaluate_counting(f"rows {operator} events", counts)
        return

    assert math.isclose(evaluate_counting(f"rows {operator} events", counts), expected)


def test_a_name_that_was_not_checked_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'max\(rows, events\)' is no arithmetic"):
        evaluate_counting("max(rows, events)", COUNTS)
