"""A store in a bucket, as a place of a store: what is committed lies there, the cache has copies."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from penstock.core.canonical import Key
from penstock.core.errors import ConfigError, StoreError
from penstock.store._files import translate_errors, write_atomically
from penstock.store._manifest import Manifest
from penstock.store._objects import Bucket, Listed, open_bucket
from penstock.store._objects_address import Address
from penstock.store._objects_cache import (
    fetch,
    forget,
    is_cached,
    manifest_name,
    name_of,
    open_cache,
    publish,
    read_marker,
    short_in_bucket,
    write_marker,
)
from penstock.store._objects_errors import FORBIDDEN, code_of
from penstock.store._places import Entry, FolderCensus, home_of

__all__ = ["ObjectPlace"]

MARKER = "penstock-store.json"
IDENTITY = "penstock-store-id"
"""Tells the store from others that share an index, the same from every host."""
_TOGETHER = 500
"""So many manifests are in memory at a time."""
_ABANDONED_S = 7 * 24 * 3600.0
"""Uploads in parts that nobody finished for so long are given up when the trash is emptied, in seconds."""


class ObjectPlace:
    """A store in a bucket, with its cache folder as root.

    Parameters
    ----------
    layout
        Number of the layout that a new store gets.
    create
        Whether a store is made where there is none.

    Raises
    ------
    StoreError
        There is no store at the address, or the server does not keep conditional puts.
    """

    def __init__(self, address: Address, root: Path, layout: int, *, create: bool) -> None:
        self.root = root
        self.name = address.url
        open_cache(root, address)
        self.bucket: Bucket = open_bucket(address)
        there = self.bucket.read_many([MARKER, IDENTITY])
        if MARKER not in there and not create:
            raise StoreError(
                f"store {self.name}: there is none. Correct the address, or run: penstock run in the folder of an experiment.toml."
            )
        with translate_errors(root):
            self._refuse_another(there)
            self.marker = there.get(MARKER) or self.bucket.create(MARKER, json.dumps({"layout": layout}) + "\n")
            if not (root / IDENTITY).exists():
                made = there.get(IDENTITY) or self.bucket.create(IDENTITY, uuid.uuid4().hex[:12] + "\n")
                write_atomically(root / IDENTITY, made)
            known = read_marker(root)
            if known is None or not known[1]:
                self._refuse_without_condition(self.marker)
            if known is None or known[0] != address:
                write_marker(root, address)

    def home(self, key: str) -> Path:
        """The folder of a key in the cache, after its artifact was fetched."""
        return fetch(self.bucket, self.root, key)

    def local(self, manifest: Manifest) -> Path:
        """The folder of a key in the cache, after the files of `manifest` were fetched."""
        return fetch(self.bucket, self.root, manifest.key, manifest)

    def manifest(self, key: str) -> Manifest:
        """The manifest in the bucket; a copy in the cache that is of another attempt is replaced."""
        text = self.bucket.read(manifest_name(key))
        if text is None:
            raise FileNotFoundError(f"{self.name}/{manifest_name(key)}")
        manifest = Manifest.loads(text, f"{self.name}/{manifest_name(key)}")
        if is_cached(home_of(self.root, key)):
            self.local(manifest)
        return manifest

    def manifests(self, keys: Iterable[str] | None = None) -> Iterator[tuple[Key, str, str]]:
        """Key, text and name of manifests, read many at a time."""
        wanted = sorted(self.census().published) if keys is None else list(keys)
        for start in range(0, len(wanted), _TOGETHER):
            for name, text in self.bucket.read_many(manifest_name(key) for key in wanted[start : start + _TOGETHER]).items():
                yield Key(name.split("/")[2]), text, f"{self.name}/{name}"

    def short(self, manifest: Manifest) -> str:
        """Which file is missing in the bucket or has another size."""
        return short_in_bucket(self.bucket, manifest)

    def changed(self, manifest: Manifest) -> str:
        """Which file in the bucket does not match its checksum; copies in the cache are not looked at."""
        for file in manifest.files:
            if self.bucket.hash(f"{name_of(manifest.key)}/{file.name}") != file.sha256:
                return f"{file.name} does not match its checksum"
        return ""

    def publish(self, manifest: Manifest) -> Manifest:
        """Upload the files and publish the manifest once."""
        return publish(self.bucket, self.root, manifest)

    def write(self, name: str, text: str) -> Path:
        """Write a small object; the path that it would have in the cache."""
        self.bucket.write(name, text)
        return self.root / name

    def names(self, folder: str) -> list[str]:
        """Small objects below `folder`."""
        return [name.removeprefix(f"{folder}/") for name in self.bucket.listing(f"{folder}/")]

    def texts(self, folder: str, names: Iterable[str] | None = None) -> Iterator[tuple[str, str]]:
        """Their content, many at once."""
        wanted = self.names(folder) if names is None else list(names)
        found = self.bucket.read_many(f"{folder}/{name}" for name in wanted)
        yield from ((name, found[f"{folder}/{name}"]) for name in wanted if f"{folder}/{name}" in found)

    def set_aside(self, key: Key) -> None:
        """Rename the manifest in the bucket, if it is still there, and forget the copy in the cache."""
        name = manifest_name(key)
        if self.bucket.read(name) is not None:
            self.bucket.move(name, f"{name_of(key)}/manifest.damaged.json")
        forget(self.root, key)

    def census(self) -> ObjectCensus:
        """What one listing of the bucket has, and attempts in the cache."""
        listed = self.bucket.listing("objects/")
        published = {Key(n.split("/")[2]): item.modified for n, item in listed.items() if n.split("/")[3:] == ["manifest.json"]}
        return ObjectCensus(FolderCensus(self.root, published), published, _by_home(self.root, listed))

    def discard(self, path: Path, name: str) -> None:
        """Move objects to the trash of the bucket, the manifest first, and remove what the cache has of them."""
        base = path.relative_to(self.root).as_posix()
        names = sorted(self.bucket.listing(f"{base}/"), key=lambda n: (not n.endswith("/manifest.json"), n))
        for found in names:
            self.bucket.move(found, f"trash/{name}/{found.removeprefix(f'{base}/')}")
        if path.exists():
            forget(self.root, path.name)
            shutil.rmtree(path)

    def empty_trash(self) -> int:
        """Remove what lies in the trash of the bucket, and give up uploads that nobody finished for a week."""
        names = self.bucket.listing("trash/")
        for name in names:
            self.bucket.remove(name)
        try:
            self.bucket.drop_uploads(_ABANDONED_S)
        except ConfigError as error:
            if code_of(error) not in FORBIDDEN:
                raise
            raise ConfigError(
                f"store {self.name}: the trash is empty, but unfinished uploads cannot be given up ({code_of(error)}). Ask for the rights "
                "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload, or let a rule of the bucket do that."
            ) from error
        return len({name.split("/")[1] for name in names})

    def _refuse_another(self, there: Mapping[str, str]) -> None:
        """A cache outlives its store where the bucket was emptied, or where the address now means another server."""
        path = self.root / IDENTITY
        if not path.exists():
            return
        known = path.read_text()
        # Another process may have made the store, and this file, since the bucket was read.
        if there.get(IDENTITY) != known and self.bucket.read(IDENTITY) != known:
            raise ConfigError(
                f"[store] cache: {self.root} is of another store, which lay at {self.name} before. If that is meant, remove the folder; "
                "if not, correct [store] path and endpoint_url."
            )

    def _refuse_without_condition(self, standing: str) -> None:
        """Put the marker, which is there, on condition that it is not: a server that lets this pass lets two committers win."""
        if self.bucket.put_if_absent(MARKER, standing):
            raise StoreError(
                f"store {self.name}: {self.bucket.address.server} ignores 'If-None-Match: *' of a put, so that two processes could publish one key. "
                "Use a server that keeps conditional puts (see docs, object store), or a store in a folder."
            )


@dataclass(frozen=True, slots=True)
class ObjectCensus:
    """What lies under ``objects/`` of a bucket, and what attempts left in the cache."""

    cache: FolderCensus
    published: dict[Key, float]
    listed: dict[Path, dict[Path, Listed]] = field(repr=False)

    def homes(self) -> list[Path]:
        """Folders of keys in the bucket, and those in the cache that hold attempts alone; copies there are left to eviction."""
        return sorted({*self.listed, *(home for home in self.cache.homes() if not is_cached(home) or home in self.listed)})

    def attempts(self, home: Path) -> list[Path]:
        """The folders of attempts in either place."""
        return sorted(
            {*self.cache.attempts(home), *(home / p.relative_to(home).parts[0] for p in self.listed.get(home, {}) if p.parent != home)}
        )

    def entries(self, path: Path) -> list[Entry]:
        """Objects and local files at and below `path`; what lies in both places is counted once."""
        home = next((h for h in (path, *path.parents) if h in self.listed), None)
        there = self.listed[home] if home is not None else {}
        found = {p: Entry(p, item.size, item.modified) for p, item in there.items() if p.is_relative_to(path)}
        for entry in self.cache.entries(path):
            known = found.get(entry.path)
            found[entry.path] = entry if known is None else Entry(entry.path, known.size, max(known.modified, entry.modified))
        return list(found.values())


def _by_home(root: Path, listed: dict[str, Listed]) -> dict[Path, dict[Path, Listed]]:
    homes: dict[Path, dict[Path, Listed]] = {}
    for name, item in listed.items():
        path = root / name
        homes.setdefault(home_of(root, name.split("/")[2]), {})[path] = item
    return homes
