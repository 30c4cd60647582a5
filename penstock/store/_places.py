"""Where the files of a store lie: what a folder and a bucket have in common, and the folder."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from penstock.core.canonical import Key
from penstock.store._files import hash_file, make_folder, write_atomically
from penstock.store._manifest import Manifest

__all__ = ["Census", "Entry", "Folder", "Place", "home_of"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of a store: its size in bytes, and when it was last written, in seconds since 1970."""

    path: Path
    size: int
    modified: float


class Census(Protocol):
    """What lies under ``objects/``, for garbage collection. Paths are below the root of the place, wherever the files lie."""

    @property
    def published(self) -> dict[Key, float]:
        """When the manifest of each artifact was written, in seconds since 1970."""

    def homes(self) -> Sequence[Path]:
        """The folder of every key that has anything."""

    def attempts(self, home: Path) -> Sequence[Path]:
        """The folders of attempts in the folder of a key."""

    def entries(self, path: Path) -> Sequence[Entry]:
        """Everything at and below `path`."""


class Place(Protocol):
    """Where the files of a store lie.

    Attributes
    ----------
    root
        A local folder: the store itself, or the cache of one that lies elsewhere.
    name
        How messages call the place.
    """

    root: Path
    name: str

    def home(self, key: str) -> Path:
        """The local folder of a key, with what there is of its artifact."""

    def local(self, manifest: Manifest) -> Path:
        """The same, with the files that `manifest` names."""

    def manifest(self, key: str) -> Manifest:
        """The manifest under `key`; FileNotFoundError where there is no artifact."""

    def manifests(self, keys: Iterable[str] | None = None) -> Iterator[tuple[Key, str, str]]:
        """Key, text and name of the manifests under `keys`, those that are there; of all artifacts without `keys`."""

    def short(self, manifest: Manifest) -> str:
        """Which file of an artifact is missing or has another size; empty where none."""

    def changed(self, manifest: Manifest) -> str:
        """Which file of an artifact does not match its checksum; empty where none."""

    def publish(self, manifest: Manifest) -> Manifest:
        """Publish an artifact whose files lie in the local folder of its key; the manifest that stands afterwards."""

    def write(self, name: str, text: str) -> Path:
        """Write a small file, whole or not at all; `name` is relative to the root."""

    def names(self, folder: str) -> list[str]:
        """Names below `folder` of the small files there, in order."""

    def texts(self, folder: str, names: Iterable[str] | None = None) -> Iterator[tuple[str, str]]:
        """Name and content of the small files below `folder`: of all, or of those of `names` that are there."""

    def set_aside(self, key: Key) -> None:
        """Rename the manifest under `key` to ``manifest.damaged.json``, if it is there."""

    def census(self) -> Census:
        """What lies under ``objects/``."""

    def discard(self, path: Path, name: str) -> None:
        """Move what lies at and below `path` to the trash, under `name`; nothing happens where it has gone."""

    def empty_trash(self) -> int:
        """Remove what lies in the trash; the number of folders."""


def home_of(root: Path, key: str) -> Path:
    """The folder of a key below the root of a store or cache."""
    return root / "objects" / key[:2] / key


class Folder:
    """A store in a folder, which all its users see as the same path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = str(root)

    def home(self, key: str) -> Path:
        """The folder of a key."""
        return home_of(self.root, key)

    def local(self, manifest: Manifest) -> Path:
        """The folder of the artifact's key."""
        return self.home(manifest.key)

    def manifest(self, key: str) -> Manifest:
        """Read the manifest under `key`."""
        return Manifest.read(self.home(key) / "manifest.json")

    def manifests(self, keys: Iterable[str] | None = None) -> Iterator[tuple[Key, str, str]]:
        """Key, text and path of the manifests that are there."""
        paths = self._published() if keys is None else (self.home(key) / "manifest.json" for key in keys)
        for path in paths:
            try:
                text = path.read_text(errors="replace")
            except FileNotFoundError:
                continue
            yield Key(path.parent.name), text, str(path)

    def short(self, manifest: Manifest) -> str:
        """Which file is missing or has another size."""
        return short_in(self.home(manifest.key), manifest)

    def changed(self, manifest: Manifest) -> str:
        """Which file does not match its checksum."""
        for file in manifest.files:
            try:
                digest = hash_file(self.home(manifest.key) / file.name)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                return f"{file.name} cannot be read ({error.strerror})"
            if digest != file.sha256:
                return f"{file.name} does not match its checksum"
        return ""

    def publish(self, manifest: Manifest) -> Manifest:
        """Write the manifest; for files that are the same whoever writes them, such as those that users add."""
        write_atomically(self.home(manifest.key) / "manifest.json", manifest.dumps())
        return manifest

    def write(self, name: str, text: str) -> Path:
        """Write a small file under a temporary name and rename it."""
        path = self.root / name
        make_folder(path.parent, self.root)
        write_atomically(path, text)
        return path

    def names(self, folder: str) -> list[str]:
        """Small files below `folder`, those that are being written left out."""
        base = self.root / folder
        return sorted(p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file() and not p.name.startswith("."))

    def texts(self, folder: str, names: Iterable[str] | None = None) -> Iterator[tuple[str, str]]:
        """Their content, read as they are asked for."""
        for name in self.names(folder) if names is None else names:
            with suppress(FileNotFoundError):
                yield name, (self.root / folder / name).read_text(errors="replace")

    def set_aside(self, key: Key) -> None:
        """Rename the manifest, if it is there."""
        path = self.home(key) / "manifest.json"
        with suppress(FileNotFoundError):
            path.replace(path.with_name("manifest.damaged.json"))

    def census(self) -> FolderCensus:
        """What lies under ``objects/``, looked up as it is asked for."""
        return FolderCensus(self.root, {Key(p.parent.name): p.stat().st_mtime for p in self._published()})

    def discard(self, path: Path, name: str) -> None:
        """Rename a folder into the trash, unless somebody else has."""
        make_folder(self.root / "trash", self.root)
        with suppress(FileNotFoundError):
            path.replace(self.root / "trash" / name)

    def empty_trash(self) -> int:
        """Remove what lies in the trash."""
        folders = list((self.root / "trash").glob("*"))
        for folder in folders:
            shutil.rmtree(folder)
        return len(folders)

    def _published(self) -> Iterator[Path]:
        yield from sorted((self.root / "objects").glob("*/*/manifest.json"))


@dataclass(frozen=True, slots=True)
class FolderCensus:
    """What lies under ``objects/`` of a folder."""

    root: Path
    published: dict[Key, float]

    def homes(self) -> list[Path]:
        """The folder of every key."""
        return sorted((self.root / "objects").glob("*/*"))

    def attempts(self, home: Path) -> list[Path]:
        """The folders of attempts in the folder of a key."""
        return sorted(p for p in home.iterdir() if p.is_dir()) if home.is_dir() else []

    def entries(self, path: Path) -> list[Entry]:
        """A folder and the files below it."""
        found = [path, *(p for p in path.rglob("*") if p.is_file())] if path.is_dir() else []
        return [Entry(p, p.stat().st_size if p.is_file() else 0, p.stat().st_mtime) for p in found]


def short_in(home: Path, manifest: Manifest) -> str:
    """Which file of an artifact is missing in the folder `home`, or has another size; empty where none."""
    for file in manifest.files:
        path = home / file.name
        if not path.is_file():
            return f"{file.name} is missing"
        if path.stat().st_size != file.size:
            return f"{file.name} has {path.stat().st_size} bytes, the manifest says {file.size}"
    return ""
