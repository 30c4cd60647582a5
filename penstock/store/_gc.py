"""Garbage collection: roots are refs, claims and age; it says first what would go, and moves it to the trash."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from penstock.core.canonical import Key
from penstock.core.errors import DamagedArtifact
from penstock.store._claims import EXPIRY_S
from penstock.store._files import make_folder
from penstock.store._manifest import Manifest
from penstock.store._store import Store

__all__ = ["Garbage", "collect", "empty_trash", "find_garbage"]

SPARE_S = 24 * 3600.0
"""Younger things are never garbage, in seconds."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """A folder that nothing refers to: a whole artifact, or the leavings of an attempt that did not win."""

    path: Path
    key: Key
    what: str
    size: int


def find_garbage(store: Store, *, spare_s: float = SPARE_S) -> list[Garbage]:
    """What no ref, claim or younger artifact needs, older than `spare_s` seconds."""
    now = time.time()
    claimed = {Key(k) for k, (_, beat) in store.index.claims().items() if now - beat < EXPIRY_S}
    manifests = {Key(p.parent.name): p for p in store.manifests()}
    young = {k for k, p in manifests.items() if now - p.stat().st_mtime < spare_s}
    needed = _closure(store, {*(k for _, k in store.refs()), *claimed, *young})
    garbage = []
    for home in sorted((store.root / "objects").glob("*/*")):
        key = Key(home.name)
        if key not in manifests and key not in claimed:
            garbage += _old(home, key, "attempts without a result", now, spare_s)
        elif key in manifests and key not in needed:
            garbage += _old(home, key, "artifact without a ref", now, spare_s)
        elif key in manifests and key not in claimed:
            kept = {Path(f.name).parts[0] for f in store.manifest(key).files}
            for attempt in sorted(p for p in home.iterdir() if p.is_dir() and p.name not in kept):
                garbage += _old(attempt, key, "attempt that did not win", now, spare_s)
    return garbage


def collect(store: Store, garbage: list[Garbage]) -> None:
    """Move garbage to the trash folder of the store."""
    trash = store.root / "trash"
    make_folder(trash, store.root)
    for item in garbage:
        if item.path == store.home(item.key):
            store.index.forget(item.key)
        item.path.replace(trash / f"{item.key}-{item.path.name}-{time.time_ns()}")


def empty_trash(store: Store) -> int:
    """Remove what lies in the trash; the number of folders."""
    folders = list((store.root / "trash").glob("*"))
    for folder in folders:
        shutil.rmtree(folder)
    return len(folders)


def _closure(store: Store, roots: set[Key]) -> set[Key]:
    needed: set[Key] = set()
    queue = list(roots)
    while queue:
        key = queue.pop()
        path = store.home(key) / "manifest.json"
        if key in needed or not path.exists():
            continue
        needed.add(key)
        try:
            queue += [Key(k) for k in Manifest.read(path).inputs.values()]
        except DamagedArtifact:
            continue
    return needed


def _old(path: Path, key: Key, what: str, now: float, spare_s: float) -> list[Garbage]:
    files = [p for p in path.rglob("*") if p.is_file()]
    newest = max((p.stat().st_mtime for p in [path, *files]), default=0.0)
    return [Garbage(path, key, what, sum(p.stat().st_size for p in files))] if now - newest >= spare_s else []
