from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toybench import make_groups, make_hits, make_summary, same_records
from toyline.schemas import Groups

from penstock.core.schema import Records, Rejection

MAKERS = st.sampled_from([make_hits, make_groups, make_summary])


@given(MAKERS, st.integers(1, 20), st.lists(st.integers(0, 20), max_size=4))
def test_parts_concatenate_to_the_whole(make: object, n_events: int, cuts: list[int]) -> None:
    whole: Records = make(n_events)  # type: ignore[operator]
    whole.rejections = [Rejection(0, "bad"), Rejection(n_events - 1, "left out", excluded=True)][: min(2, n_events)]
    edges = [0, *sorted(min(c, n_events) for c in cuts), n_events]

    parts = [whole.part(a, b) for a, b in itertools.pairwise(edges)]

    assert same_records(type(whole).concatenate(parts), whole)


def test_a_part_keeps_the_rows_of_its_events_in_nested_tables() -> None:
    whole = make_groups(10)

    part = whole.part(4, 5)

    groups = slice(*whole.offsets["groups"][4:6])
    members = slice(whole.offsets["members"][groups.start], whole.offsets["members"][groups.stop])
    assert part["groups"]["size"].tolist() == whole["groups"]["size"][groups].tolist()
    assert part["members"]["value"].tolist() == whole["members"]["value"][members].tolist()


def test_a_part_counts_its_rejections_from_its_first_event() -> None:
    whole = make_hits(6)
    whole.rejections = [Rejection(1, "a"), Rejection(4, "b")]

    assert list(whole.part(3, 6).rejections) == [Rejection(1, "b")]


def test_empty_records_have_events_and_no_rows() -> None:
    empty = Groups.empty(3)

    assert empty["events"]["event"].tolist() == [0, 0, 0]
    assert empty.offsets["groups"].tolist() == [0, 0, 0, 0]
    assert empty.offsets["members"].tolist() == [0]
    assert empty["members"]["value"].dtype == np.float32


def test_a_schema_is_named_with_its_version() -> None:
    assert Groups.schema_id() == "toy.groups/1"


def test_an_unknown_column_is_an_error() -> None:
    with pytest.raises(StopIteration):
        Groups.table("groups").column("sise")
