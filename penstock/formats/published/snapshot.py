"""Published trees as HDF5 files: the same groups, datasets and attributes that clients see over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.errors import PenstockError
from penstock.formats.published.tree import Array, Group, PublishedTree

if TYPE_CHECKING:
    import h5py

__all__ = ["SnapshotFailed", "write_copy", "write_snapshot"]

_LARGEST_ATTRIBUTE = 64_000
"""Bytes. An attribute shares the 64 KiB of its object's header."""


class SnapshotFailed(PenstockError, OSError):
    """The file of a snapshot could not be written."""


def write_snapshot(tree: object, path: Path, *, nexus: bool = True) -> dict[str, str]:
    """Write a published dictionary to an HDF5 file; it is whole or absent, and equal trees give equal bytes.

    The caller holds the lock of the tree, if it has one; to hold it only for a copy, use `PublishedTree.copy` and `write_copy`.

    Parameters
    ----------
    nexus
        Whether groups get attributes that say what to plot, where the tree has none.

    Returns
    -------
    Why values were left out, by path; attributes as ``path@name``.

    Raises
    ------
    NotPublishable
        `tree` is no dictionary.
    SnapshotFailed
        The file cannot be written.
    """
    return write_copy(PublishedTree(tree, nexus).copy(), path)


def write_copy(root: Group, path: Path) -> dict[str, str]:
    """Write a copied tree; see `write_snapshot`.

    Raises
    ------
    SnapshotFailed
        The file cannot be written.
    """
    import h5py

    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    left_out = dict(root.left_out)
    try:
        with h5py.File(temporary, "w", libver=("earliest", "v110")) as file:
            _write_group(file, root, left_out)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise SnapshotFailed(
            f"snapshot {path}: it cannot be written ({error}). Name a file in a folder that exists, with space."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return left_out


def _write_group(group: h5py.Group, copied: Group, left_out: dict[str, str]) -> None:
    _write_attributes(group, copied.attributes, left_out)
    for name, member in copied.members.items():
        if isinstance(member, Group):
            _write_group(group.create_group(name), member, left_out)
        else:
            dataset = group.create_dataset(name, **_stored(member.value), track_times=False)
            _write_attributes(dataset, member.attributes, left_out)


def _write_attributes(node: h5py.Group | h5py.Dataset, attributes: dict[str, Array], left_out: dict[str, str]) -> None:
    for name, value in attributes.items():
        if value is not None and value.nbytes > _LARGEST_ATTRIBUTE:
            left_out[f"{node.name}@{name}"] = f"attributes in files hold at most {_LARGEST_ATTRIBUTE} bytes, this has {value.nbytes}."
            continue
        stored = _stored(value)
        node.attrs.create(name, stored.pop("data"), **stored)


def _stored(value: Array) -> dict[str, Any]:
    """The arguments with which h5py stores a standard array."""
    import h5py

    if value is None:
        return {"data": h5py.Empty("f8")}
    if value.dtype.kind == "O":
        return {"data": value if value.ndim else value.item(), "dtype": h5py.string_dtype()}
    return {"data": value}
