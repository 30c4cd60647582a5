"""A published tree as readers see it: groups, datasets and attributes by path.

It looks at the dictionary as it is now: whoever makes one holds the lock of the dictionary, if it has one, as long as it is in use.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import PenstockError
from penstock.formats.published._sorting import MAX_DEPTH, Entries, sort_entries
from penstock.formats.published.defaults import default_attributes
from penstock.formats.published.values import NotPublishable, as_array, standard_dtype

__all__ = ["Dataset", "Group", "Layout", "NotInTree", "PublishedTree"]

Array = NDArray[Any] | None
"""A standard array, or None for a dataset or attribute without a value."""


class NotInTree(PenstockError, KeyError):
    """Nothing lies at the path, or not what was asked for."""

    def __str__(self) -> str:
        return str(self.args[0])


_TOO_DEEP = f"it lies more than {MAX_DEPTH} groups deep."


@dataclass(frozen=True, slots=True)
class Layout:
    """Type and shape of a dataset; the shape is None where it holds no value."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...] | None


@dataclass(slots=True)
class Dataset:
    """A copy of a dataset."""

    value: Array
    attributes: dict[str, Array] = field(default_factory=dict)


@dataclass(slots=True)
class Group:
    """A copy of a group and all below it: datasets, then groups, each in published order.

    Attributes
    ----------
    left_out
        Of the root: why values are not in the copy, by path; attributes as ``path@name``.
    """

    members: dict[str, Group | Dataset] = field(default_factory=dict)
    attributes: dict[str, Array] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


class PublishedTree:
    """The tree of a reducer, read by path; the root is ``/``.

    Parameters
    ----------
    root
        The published dictionary.
    nexus
        Whether groups get attributes that say what to plot, where the tree has none (`penstock.formats.published.defaults`).

    Raises
    ------
    NotPublishable
        What is published is no dictionary.
    """

    def __init__(self, root: object, nexus: bool = True) -> None:
        if not isinstance(root, dict):
            raise NotPublishable(f"publish is {type(root).__name__}, not a dict. Publish a dict of names and values.")
        self._root = root
        self._nexus = nexus

    @functools.cached_property
    def _defaults(self) -> dict[str, dict[str, str | list[str]]]:
        return default_attributes(self._root)

    def paths(self) -> Iterator[tuple[str, bool]]:
        """Path of each group and dataset, parents first, and whether it is a group."""
        yield "/", True
        yield from self._below(self._root, "", 0)

    def _below(self, group: dict[Any, Any], path: str, depth: int) -> Iterator[tuple[str, bool]]:
        entries = sort_entries(group)
        for name in entries.datasets:
            yield f"{path}/{name}", False
        if depth >= MAX_DEPTH:
            return
        for name, member in entries.groups.items():
            yield f"{path}/{name}", True
            yield from self._below(member, f"{path}/{name}", depth + 1)

    def is_group(self, path: str) -> bool:
        """Whether a group lies at the path.

        Raises
        ------
        NotInTree
            Nothing lies there.
        """
        return isinstance(self._find(path), dict)

    def members(self, path: str) -> dict[str, bool]:
        """Names in the group, and which of them are groups; those that cannot be published are not among them.

        Raises
        ------
        NotInTree
            No group lies at the path.
        """
        entries = sort_entries(self._group(path))
        kept = {name: False for name, value in entries.datasets.items() if self._why_not(value) is None}
        return kept | dict.fromkeys(entries.groups if self._depth(path) < MAX_DEPTH else (), True)

    def refused(self, path: str) -> dict[str, str]:
        """Why entries of the group are not among its members, by name.

        Raises
        ------
        NotInTree
            No group lies at the path.
        """
        entries = sort_entries(self._group(path))
        reasons = {name: self._why_not(value) for name, value in entries.datasets.items()}
        if self._depth(path) >= MAX_DEPTH:
            reasons |= dict.fromkeys(entries.groups, _TOO_DEEP)
        return entries.refused | {name: reason for name, reason in reasons.items() if reason is not None}

    def attributes(self, path: str) -> dict[str, Array]:
        """Attributes of the group or dataset at the path, copied; those that cannot be published are not among them.

        Raises
        ------
        NotInTree
            Nothing lies there.
        """
        return self._convert_attributes(path, {})

    def layout(self, path: str) -> Layout:
        """Type and shape of the dataset at the path.

        Raises
        ------
        NotInTree
            No dataset lies there.
        NotPublishable
            HDF5 cannot hold it.
        """
        return _layout(self._dataset(path))

    def read(self, path: str, choose: Callable[[Layout], tuple[slice | list[int], ...]] | None = None) -> Array:
        """A copy of the dataset at the path, or of the part that `choose` takes, with as many dimensions.

        Parameters
        ----------
        choose
            Gets the layout and gives one slice or list of indices a dimension. It may raise, such as when the layout is not the one that a
            reader was told before.

        Raises
        ------
        NotInTree
            No dataset lies there.
        NotPublishable
            HDF5 cannot hold it.
        """
        return _copy(self._dataset(path), choose)

    def copy(self) -> Group:
        """A copy of the whole tree, with the reasons why values are not in it."""
        left_out: dict[str, str] = {}
        root = self._copy_group("/", left_out)
        root.left_out = left_out
        return root

    def _copy_group(self, path: str, left_out: dict[str, str]) -> Group:
        group = Group(attributes=self._convert_attributes(path, left_out))
        entries = self._entries(path)
        left_out |= {_join(path, name): reason for name, reason in entries.refused.items()}
        for name, value in entries.datasets.items():
            below = _join(path, name)
            try:
                group.members[name] = Dataset(_copy(value), self._convert_attributes(below, left_out))
            except NotPublishable as error:
                left_out[below] = str(error)
        for name in entries.groups:
            below = _join(path, name)
            if self._depth(path) < MAX_DEPTH:
                group.members[name] = self._copy_group(below, left_out)
            else:
                left_out[below] = _TOO_DEEP
        return group

    def _convert_attributes(self, path: str, left_out: dict[str, str]) -> dict[str, Array]:
        """Converted attributes; the reasons for those that cannot be go into `left_out`."""
        given: dict[Any, Any] = {}
        if path != "/":
            above, _, name = path.rpartition("/")
            given |= self._entries(above or "/").attributes.get(name, {})
        if self.is_group(path):
            given |= self._entries(path).own
            if self._nexus:
                given = self._defaults.get(path, {}) | given
        converted: dict[str, Array] = {}
        for name, value in list(given.items()):
            try:
                array = as_array(value)
            except NotPublishable as error:
                left_out[f"{path}@{name}"] = str(error)
                continue
            converted[str(name)] = None if array is None else array.copy()
        return converted

    def _entries(self, path: str) -> Entries:
        return sort_entries(self._group(path))

    def _find(self, path: str) -> object:
        value: object = self._root
        for name in path.split("/"):
            if not name:
                continue
            if not isinstance(value, dict) or name not in value or name.endswith("_attrs"):
                raise NotInTree(f"{path}: there is no {name!r}.")
            value = value[name]
        return value

    def _group(self, path: str) -> dict[Any, Any]:
        value = self._find(path)
        if not isinstance(value, dict):
            raise NotInTree(f"{path} is a dataset, not a group.")
        return value

    def _dataset(self, path: str) -> object:
        value = self._find(path)
        if isinstance(value, dict):
            raise NotInTree(f"{path} is a group, not a dataset.")
        return value

    @staticmethod
    def _depth(path: str) -> int:
        return path.rstrip("/").count("/")

    @staticmethod
    def _why_not(value: object) -> str | None:
        try:
            _layout(value)
        except NotPublishable as error:
            return str(error)
        return None


def _layout(value: object) -> Layout:
    if isinstance(value, np.ndarray) and value.dtype.kind != "O" and not isinstance(value, np.ma.MaskedArray):
        return Layout(standard_dtype(value.dtype), value.shape)
    array = as_array(value)
    return Layout(np.dtype(np.float64), None) if array is None else Layout(array.dtype, array.shape)


def _copy(value: object, choose: Callable[[Layout], tuple[slice | list[int], ...]] | None = None) -> Array:
    if not isinstance(value, np.ndarray) or value.dtype.kind == "O" or isinstance(value, np.ma.MaskedArray):
        value = as_array(value)
    parts = choose(_layout(value)) if choose is not None else ()
    if not isinstance(value, np.ndarray):
        return None
    part = value[tuple(p if isinstance(p, slice) else slice(None) for p in parts)]
    for dimension, chosen in enumerate(parts):
        if not isinstance(chosen, slice):
            part = np.take(part, chosen, axis=dimension)
    return as_array(np.array(part, subok=False))


def _join(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}"
