"""Garbage collection: roots are refs, claims and age; it says first what would go, and moves it to the trash."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from penstock.core.canonical import Key
from penstock.core.errors import DamagedArtifact
from penstock.store._claims import EXPIRY_S, Claims
from penstock.store._manifest import Manifest
from penstock.store._places import Census
from penstock.store._store import Store

__all__ = ["Garbage", "collect", "empty_trash", "find_garbage"]

SPARE_S = 24 * 3600.0
"""Younger things are never garbage, in seconds."""
_TOGETHER = 100
"""So many things are moved before refs are looked at again."""
_NO_RESULT = "attempts without a result"


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
    census = store.place.census()
    young = {key for key, written in census.published.items() if now - written < spare_s}
    needed, kept = _closure(store, {*(k for _, k in store.refs()), *claimed, *young})
    garbage = []
    for home in census.homes():
        key = Key(home.name)
        if key not in census.published and key not in claimed:
            garbage += _old(census, home, key, _NO_RESULT, now, spare_s)
        elif key in census.published and key not in needed:
            garbage += _old(census, home, key, "artifact without a ref", now, spare_s)
        elif key in kept and key not in claimed:
            for attempt in census.attempts(home):
                if attempt.name not in kept[key]:
                    garbage += _old(census, attempt, key, "attempt that did not win", now, spare_s)
    return garbage


def collect(store: Store, garbage: list[Garbage]) -> list[Garbage]:
    """Move garbage to the trash of the store, but for what has come into use since it was found; what was moved."""
    moved: list[Garbage] = []
    with Claims(store.index) as claims:
        for start in range(0, len(garbage), _TOGETHER):
            named = set(store.index.refs().values())
            # Who computes a key takes over what earlier attempts left: under our claim nobody does.
            moved += [item for item in garbage[start : start + _TOGETHER] if claims.take(item.key) and _move(store, claims, item, named)]
    return moved


def _move(store: Store, claims: Claims, item: Garbage, named: set[str]) -> bool:
    try:
        if item.path.name == item.key:
            # The ref of an artifact that was set aside still names its key.
            if store.has(item.key) if item.what == _NO_RESULT else item.key in named:
                return False
            store.index.forget(item.key)
        store.place.discard(item.path, f"{item.key}-{item.path.name}-{time.time_ns()}")
        return True
    finally:
        claims.release(item.key)


def empty_trash(store: Store) -> int:
    """Remove what lies in the trash; the number of folders."""
    return store.place.empty_trash()


def _closure(store: Store, roots: set[Key]) -> tuple[set[Key], dict[Key, set[str]]]:
    """The keys of all artifacts that `roots` were made from, and by key the attempts that hold files of the artifact."""
    needed: set[Key] = set()
    kept: dict[Key, set[str]] = {}
    level = roots
    while level:
        following: set[Key] = set()
        for key, text, where in store.place.manifests(sorted(level)):
            needed.add(key)
            try:
                manifest = Manifest.loads(text, where)
            except DamagedArtifact:
                continue
            kept[key] = {Path(f.name).parts[0] for f in manifest.files}
            following |= {Key(k) for k in manifest.inputs.values()}
        level = following - needed
    return needed, kept


def _old(census: Census, path: Path, key: Key, what: str, now: float, spare_s: float) -> list[Garbage]:
    entries = census.entries(path)
    newest = max((e.modified for e in entries), default=0.0)
    return [Garbage(path, key, what, sum(e.size for e in entries))] if now - newest >= spare_s else []
