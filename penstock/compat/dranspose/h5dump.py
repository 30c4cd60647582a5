"""``dranspose.helpers.h5dump``: nested dictionaries written to HDF5."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from penstock.formats.published import PublishedTree, write_copy

__all__ = ["dump"]


def dump(data: dict[str, Any], filename: str | Path, lock: AbstractContextManager[Any] | None = None) -> None:
    """Write a tree as reducers publish it to a file; what HDF5 cannot hold is left out with a warning.

    Parameters
    ----------
    lock
        Held while the tree is copied.

    Raises
    ------
    NotPublishable
        `data` is no dictionary.
    SnapshotFailed
        The file cannot be written.
    """
    with lock or nullcontext():
        copied = PublishedTree(data, nexus=False).copy()
    for path, reason in write_copy(copied, Path(filename)).items():
        logging.getLogger(__name__).warning("%s is left out of %s: %s", path, filename, reason)
