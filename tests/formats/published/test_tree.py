"""A published dictionary, read by path."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from penstock.formats.published import FixedTree, Layout, NotInTree, NotPublishable, PublishedTree, Publisher


def make_tree() -> dict[Any, Any]:
    return {
        "image": np.arange(12).reshape(3, 4),
        "image_attrs": {"units": "counts", "what": object()},
        "scan one": {"x": [1, 2, 3], "_attrs": {"motor": "sx"}},
        "scan one_attrs": {"motor": "above", "mode": "step"},
        "_attrs": {"title": "tea"},
    }


def test_dictionaries_are_groups_and_all_else_datasets() -> None:
    tree = PublishedTree(make_tree())

    assert list(tree.paths()) == [("/", True), ("/image", False), ("/scan one", True), ("/scan one/x", False)]
    assert tree.members("/") == {"image": False, "scan one": True}
    assert tree.layout("/scan one/x") == Layout(np.dtype(np.int64), (3,))


def test_attributes_come_from_beside_and_from_within() -> None:
    tree = PublishedTree(make_tree(), nexus=False)

    assert tree.attributes("/") == {"title": np.array("tea", object)}
    assert tree.attributes("/image") == {"units": np.array("counts", object)}
    assert tree.attributes("/scan one") == {"motor": np.array("sx", object), "mode": np.array("step", object)}


def test_a_read_value_is_a_copy() -> None:
    published = make_tree()
    value = PublishedTree(published).read("/image")

    published["image"][:] = 0

    assert value is not None
    assert value.sum() == 66


def test_a_part_is_read_with_all_dimensions() -> None:
    value = PublishedTree(make_tree()).read("/image", lambda layout: (slice(0, 3, 2), [0, 3]))

    np.testing.assert_array_equal(value, [[0, 3], [8, 11]])


def test_what_cannot_be_published_is_left_out_with_a_reason() -> None:
    copied = PublishedTree({"a": {"b": object()}, 3: 1, "c/d": 1, "e_attrs": 5, "f": 1, "f_attrs": {"g": {1}}}).copy()

    assert list(copied.members) == ["f", "a"]
    assert copied.left_out == {
        "/3": "the key is int, not text. Publish it as '3'.",
        "/c/d": "the name is empty, '.', '..' or has a '/'. Nest dicts to make groups.",
        "/e_attrs": "names that end in '_attrs' hold attributes in a dict; this is int.",
        "/f@g": "set has no type in HDF5. Publish numbers, text, arrays or lists of them, or a dict as a group.",
        "/a/b": "object has no type in HDF5. Publish numbers, text, arrays or lists of them, or a dict as a group.",
    }


def test_a_dictionary_that_holds_itself_ends() -> None:
    published: dict[str, Any] = {"x": 1}
    published["self"] = published

    left_out = PublishedTree(published).copy().left_out

    assert left_out == {"/self" * 33: "it lies more than 32 groups deep."}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("/none", "/none: there is no 'none'.", id="absent"),
        pytest.param("/image_attrs", "/image_attrs: there is no 'image_attrs'.", id="hidden"),
        pytest.param("/scan one", "/scan one is a group, not a dataset.", id="group"),
    ],
)
def test_a_path_without_a_dataset_is_named(path: str, message: str) -> None:
    with pytest.raises(NotInTree, match=f"^{re.escape(message)}$"):
        PublishedTree(make_tree()).layout(path)


def test_a_dataset_has_no_members() -> None:
    with pytest.raises(NotInTree, match=r"^/image is a dataset, not a group\.$"):
        PublishedTree(make_tree()).members("/image")


def test_only_a_dictionary_can_be_published() -> None:
    with pytest.raises(NotPublishable, match=r"^publish is list, not a dict\. Publish a dict of names and values\.$"):
        PublishedTree([1])


def test_a_publisher_holds_a_tree_until_it_is_replaced() -> None:
    publisher = Publisher()
    with publisher.read() as tree:
        assert list(tree.paths()) == [("/", True)]

    first = FixedTree({"a": 1})
    publisher.replace(first)

    assert publisher.current() is first
    assert publisher.count == 1
    with publisher.read() as tree:
        assert tree.members("/") == {"a": False}


def test_a_publisher_reads_with_the_lock_held() -> None:
    class Lock:
        held = False

        def __enter__(self) -> None:
            self.held = True

        def __exit__(self, *error: object) -> None:
            self.held = False

    lock = Lock()
    publisher = Publisher()
    publisher.replace(FixedTree({}, lock))

    with publisher.read():
        assert lock.held
    assert not lock.held
