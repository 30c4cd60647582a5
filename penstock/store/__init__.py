"""Where results live: artifacts, manifests, index, claims, refs, garbage collection.

Light: `penstock.store.attempts`, which writes artifacts, is imported where stages are computed.
"""

from penstock.store._claims import Claims
from penstock.store._failures import Failure
from penstock.store._files import hash_file, translate_errors
from penstock.store._gc import Garbage, collect, empty_trash, find_garbage
from penstock.store._index import IndexedArtifact, IndexedFailure, StageTotals
from penstock.store._index_address import read_index_place
from penstock.store._manifest import Counts, DataFile, Manifest
from penstock.store._reading import data_folder, read_artifact, rejections_among
from penstock.store._store import Damage, Store

__all__ = [
    "Claims",
    "Counts",
    "Damage",
    "DataFile",
    "Failure",
    "Garbage",
    "IndexedArtifact",
    "IndexedFailure",
    "Manifest",
    "StageTotals",
    "Store",
    "collect",
    "data_folder",
    "empty_trash",
    "find_garbage",
    "hash_file",
    "read_artifact",
    "read_index_place",
    "rejections_among",
    "translate_errors",
]
