"""The local side of a store in a bucket: a cache folder with the layout of a store, in which attempts are computed as well.

The cache may be removed at any time when nothing runs: what is committed lies in the bucket.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.core.errors import ConfigError, DamagedArtifact, StoreError
from penstock.store._files import CACHE_MARKER, hash_file, make_folder, seal, share, translate_errors, write_atomically
from penstock.store._manifest import DataFile, Manifest
from penstock.store._objects import Bucket, open_bucket
from penstock.store._objects_address import Address
from penstock.store._places import home_of, short_in

__all__ = ["bucket_of", "fetch", "forget", "manifest_name", "name_of", "open_cache", "publish", "read_marker", "write_marker"]


def name_of(key: str) -> str:
    """The name of a key's folder in the bucket."""
    return f"objects/{key[:2]}/{key}"


def manifest_name(key: str) -> str:
    """The name of a manifest in the bucket."""
    return f"{name_of(key)}/manifest.json"


def open_cache(root: Path, address: Address) -> None:
    """Make a folder the cache of a bucket, or see that it is.

    Raises
    ------
    ConfigError
        The folder is a store, or the cache of another bucket.
    """
    if (root / "penstock-store.json").exists():
        raise ConfigError(f"[store] cache: {root} is a store itself. Name another folder for the cache of {address.url}.")
    with translate_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        found = read_marker(root)
    if found is not None and found[0].url != address.url:
        raise ConfigError(f"[store] cache: {root} is the cache of {found[0].url}. Name another folder for the cache of {address.url}.")


def read_marker(root: Path) -> tuple[Address, bool] | None:
    """Whose cache the folder `root` is, and whether conditional puts were tried; None where it is no cache."""
    try:
        content = json.loads((root / CACHE_MARKER).read_text())
        return Address(**content["address"]), bool(content["conditional_put"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"cache {root}: {CACHE_MARKER} is damaged ({error}). Remove that file and run the same command again.") from error


def write_marker(root: Path, address: Address) -> None:
    """Say whose cache the folder `root` is, after conditional puts were tried."""
    write_atomically(root / CACHE_MARKER, json.dumps({"address": address.as_json(), "conditional_put": True}) + "\n")


def bucket_of(root: Path) -> Bucket | None:
    """The bucket whose cache the folder `root` is; None where it is a store itself."""
    found = read_marker(root)
    return open_bucket(found[0]) if found is not None else None


def fetch(bucket: Bucket, root: Path, key: str, manifest: Manifest | None = None) -> Path:
    """The folder of a key in the cache, after what the bucket has of its artifact was brought there, once.

    Parameters
    ----------
    manifest
        The manifest whose files are wanted; the one in the cache, then the one in the bucket, without.

    Raises
    ------
    DamagedArtifact
        A file in the bucket does not match its checksum. One that is missing or short is left out, as in a folder.
    """
    home = home_of(root, key)
    with translate_errors(root):
        if _is_whole(home, manifest) and _touch(home):
            return home
    if manifest is None:
        text = bucket.read(manifest_name(key))
        if text is None:
            return home
        manifest = Manifest.loads(text, f"{bucket.address.url}/{manifest_name(key)}")
    with translate_errors(root), _alone(root, key):
        if not _is_whole(home, manifest):
            _bring(bucket, root, home, manifest)
            _keep(root, home, manifest.dumps())
    return home


def publish(bucket: Bucket, root: Path, manifest: Manifest) -> Manifest:
    """Upload the files of an artifact from the cache, then publish its manifest once; the manifest that stands afterwards."""
    name = manifest_name(manifest.key)
    home = home_of(root, manifest.key)
    where = f"{bucket.address.url}/{name}"
    standing = bucket.read(name)
    if standing is None:
        bucket.upload({f"{name_of(manifest.key)}/{file.name}": home / file.name for file in manifest.files})
        _refuse_short(bucket, manifest)
        standing = bucket.create(name, manifest.dumps())
    found = Manifest.loads(standing, where)
    if found.files == manifest.files:
        with _alone(root, manifest.key):
            _keep(root, home, standing)
    return found


def short_in_bucket(bucket: Bucket, manifest: Manifest) -> str:
    """Which file of an artifact is missing in the bucket, or has another size; empty where none."""
    found = bucket.listing(f"{name_of(manifest.key)}/")
    for file in manifest.files:
        item = found.get(f"{name_of(manifest.key)}/{file.name}")
        if item is None:
            return f"{file.name} is missing"
        if item.size != file.size:
            return f"{file.name} has {item.size} bytes, the manifest says {file.size}"
    return ""


def forget(root: Path, key: str) -> None:
    """Let the cache hold no artifact under `key`; its files stay for attempts to come, or for eviction."""
    (home_of(root, key) / "manifest.json").unlink(missing_ok=True)


def is_cached(home: Path) -> bool:
    """Whether a folder of a key in the cache holds an artifact."""
    return (home / "manifest.json").exists()


def evict(root: Path, *, spare_s: float, keep_bytes: int = 0) -> tuple[int, int]:
    """Remove copies of artifacts from the cache, those unused for longest first, until `keep_bytes` are left.

    Parameters
    ----------
    spare_s
        Copies that were used within so many seconds stay in any case: a batch may be about to read them.

    Returns
    -------
    removed, left
        Number of copies that were removed, and bytes of those that are left.
    """
    copies = sorted((p.stat().st_mtime, p.parent) for p in (root / "objects").glob("*/*/manifest.json"))
    sizes = {home: sum(p.stat().st_size for p in home.rglob("*") if p.is_file()) for _, home in copies}
    left, removed, now = sum(sizes.values()), 0, time.time()
    for used, home in copies:
        if left <= keep_bytes or now - used < spare_s:
            break
        with _alone(root, home.name):
            manifest = home / "manifest.json"
            if not manifest.exists() or manifest.stat().st_mtime != used:
                continue
            forget(root, home.name)
            shutil.rmtree(home)
        left -= sizes[home]
        removed += 1
    return removed, left


def _touch(home: Path) -> bool:
    """Say by the time of its manifest that a copy was used just now; False where it was evicted meanwhile."""
    try:
        os.utime(home / "manifest.json")
    except FileNotFoundError:
        return False
    return True


def _keep(root: Path, home: Path, text: str) -> None:
    """Enter a manifest into the cache, whose time all may set who share the cache."""
    write_atomically(home / "manifest.json", text)
    share(home / "manifest.json", root)


def _is_whole(home: Path, manifest: Manifest | None) -> bool:
    try:
        cached = Manifest.read(home / "manifest.json")
    except (FileNotFoundError, DamagedArtifact):
        return False
    return not short_in(home, cached) and (manifest is None or manifest.files == cached.files)


def _bring(bucket: Bucket, root: Path, home: Path, manifest: Manifest) -> None:
    """Download the files that the cache lacks under other names, check them, then rename them."""
    for remains in home.glob(".incoming-*"):
        shutil.rmtree(remains)
    base = name_of(manifest.key)
    there = bucket.listing(f"{base}/")
    lacking = [f for f in manifest.files if not _has(home / f.name, f) and _fits(there.get(f"{base}/{f.name}"), f)]
    incoming = home / f".incoming-{uuid.uuid4().hex[:12]}"
    make_folder(incoming, root)
    paths = {file: incoming / str(number) for number, file in enumerate(lacking)}
    try:
        bucket.download({f"{base}/{file.name}": path for file, path in paths.items()})
        for file, path in paths.items():
            if hash_file(path) != file.sha256:
                raise DamagedArtifact(
                    f"{bucket.address.url}/{base}/{file.name}: does not match its checksum. Run: penstock store verify {manifest.key.short}"
                )
            seal(path)
            make_folder((home / file.name).parent, root)
            path.replace(home / file.name)
    finally:
        shutil.rmtree(incoming)


def _has(path: Path, file: DataFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size


def _fits(item: object, file: DataFile) -> bool:
    return getattr(item, "size", None) == file.size


def _refuse_short(bucket: Bucket, manifest: Manifest) -> None:
    problem = short_in_bucket(bucket, manifest)
    if problem:
        raise StoreError(f"store {bucket.address.url}: an upload did not arrive: {problem}. Run the same command again.")


@contextmanager
def _alone(root: Path, key: str) -> Iterator[None]:
    """One thread of one process at a time, among all that share the cache and whose keys begin alike."""
    folder = root / "locks"
    make_folder(folder, root)
    path = folder / key[:2]
    with path.open("a") as stream:
        share(path, root)
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
