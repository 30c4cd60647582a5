"""What viewers plot at once of a tree that does not say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from penstock.formats.published import PublishedTree, default_attributes

CURVE = [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        pytest.param({"a": CURVE}, {"signal": "a"}, id="curve"),
        pytest.param({"x": CURVE, "y": CURVE}, {"signal": "y", "axes": ["x"]}, id="y over x"),
        pytest.param({"I": CURVE, "radial_axis": CURVE}, {"signal": "I", "axes": ["radial_axis"]}, id="curve over its axis"),
        pytest.param({"x": CURVE, "y": CURVE, "roi": CURVE}, {"signal": "roi", "axes": ["x", "y"]}, id="scatter"),
        pytest.param({"roi": CURVE, "x": [1.0, 2.0]}, {"signal": "roi"}, id="axis of another length"),
        pytest.param({"a": CURVE, "image": np.zeros((2, 3))}, {"signal": "image", "axes": [".", "a"]}, id="image"),
        pytest.param(
            {"x": np.zeros(3), "y": np.zeros(3), "image": np.zeros((3, 3))}, {"signal": "image", "axes": ["y", "x"]}, id="square image"
        ),
        pytest.param({"a": CURVE, "image": np.zeros((3, 3))}, {"signal": "image"}, id="axis that could be either"),
        pytest.param({"I": np.zeros((5, 3)), "q": CURVE}, {"signal": "I", "axes": [".", "q"]}, id="profiles"),
        pytest.param({"I_errors": np.zeros((2, 3)), "I": CURVE}, {"signal": "I"}, id="errors are no signal"),
        pytest.param({"n": 5, "one": [1], "text": ["a", "b"], "a": CURVE}, {"signal": "a"}, id="only what can be plotted"),
    ],
)
def test_a_group_with_something_to_plot_is_nxdata(group: dict[str, Any], expected: dict[str, Any]) -> None:
    assert default_attributes(group) == {"/": {"NX_class": "NXdata", **expected}}


def test_groups_above_lead_to_the_member_of_most_dimensions() -> None:
    found = default_attributes({"n": 1, "a": {"v": CURVE}, "b": {"c": {"image": np.zeros((2, 3))}}})

    assert found == {
        "/": {"NX_class": "NXroot", "default": "b"},
        "/a": {"NX_class": "NXdata", "signal": "v"},
        "/b": {"NX_class": "NXentry", "default": "c"},
        "/b/c": {"NX_class": "NXdata", "signal": "image"},
    }


def test_a_tree_with_nothing_to_plot_gets_no_attributes() -> None:
    assert default_attributes({"n": 1, "a": {"text": "b"}}) == {}


@pytest.mark.parametrize("own", [{"_attrs": {"NX_class": "NXroot"}}, {"g": {"a": CURVE, "a_attrs": {"signal": 1}}}], ids=["root", "below"])
def test_a_tree_that_says_itself_is_left_as_it_is(own: dict[str, Any]) -> None:
    assert default_attributes({"v": CURVE, **own}) == {}


def test_own_attributes_stay_beside_the_added_ones() -> None:
    published = {"v": CURVE, "_attrs": {"title": "tea"}}

    attributes = PublishedTree(published).attributes("/")

    assert {name: value.item() for name, value in attributes.items() if value is not None} == {
        "NX_class": "NXdata",
        "signal": "v",
        "title": "tea",
    }
    assert published["_attrs"] == {"title": "tea"}


def test_no_attributes_are_added_where_that_is_off() -> None:
    assert PublishedTree({"v": CURVE}, nexus=False).attributes("/") == {}
