"""Trees that reducers publish: nested dictionaries as HDF5 groups, datasets and attributes; no HTTP here.

A dictionary is a group, everything else a dataset. ``name_attrs``, a dictionary too, holds the attributes of ``name``; ``_attrs`` those of
the group in which it lies. Values become arrays as h5py would store them; what cannot is left out, with a reason.
"""

from penstock.formats.published.defaults import default_attributes
from penstock.formats.published.publisher import FixedTree, Published, Publisher
from penstock.formats.published.snapshot import SnapshotFailed, write_copy, write_snapshot
from penstock.formats.published.tree import Dataset, Group, Layout, NotInTree, PublishedTree
from penstock.formats.published.values import NotPublishable, as_array

__all__ = [
    "Dataset",
    "FixedTree",
    "Group",
    "Layout",
    "NotInTree",
    "NotPublishable",
    "Published",
    "PublishedTree",
    "Publisher",
    "SnapshotFailed",
    "as_array",
    "default_attributes",
    "write_copy",
    "write_snapshot",
]
