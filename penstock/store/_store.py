"""The store in a folder: immutable artifacts, an index, refs that move, and traces of failures."""

from __future__ import annotations

import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from penstock.core.canonical import Json, Key, digest_key
from penstock.core.errors import ArtifactMissing, ConfigError, DamagedArtifact, StoreError
from penstock.core.schema import Records
from penstock.store._files import hash_file, make_folder, seal, translate_errors, write_atomically
from penstock.store._index import Index, IndexedArtifact, IndexedFailure
from penstock.store._manifest import Counts, DataFile, Manifest
from penstock.store._reading import data_folder, read_artifact

__all__ = ["Damage", "Failure", "Store"]

LAYOUT = 1
"""Number of the folder layout."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, where in the run, and with which traceback."""

    key: Key
    run: int | None
    stage: str
    error: str
    events: str
    traceback: str
    content: bool
    """True where the same input would fail again."""


@dataclass(frozen=True, slots=True)
class Damage:
    """An artifact of which `verify` says that it is not what its manifest promises."""

    key: Key
    problem: str


class Store:
    """Artifacts under ``objects/``, names under ``refs/``, failures under ``attempts/``, and the index.

    Parameters
    ----------
    root
        Folder of the store; created with its first use.
    index
        The index database, where the store itself lies on a network file system.
    """

    def __init__(self, root: Path, *, index: Path | None = None, create: bool = True) -> None:
        self.root = root
        if root.exists() and not root.is_dir():
            raise StoreError(f"store {root}: is a file, not a folder. Name another store in experiment.toml.")
        marker = root / "penstock-store.json"
        if not marker.exists():
            if not create:
                raise StoreError(
                    f"store {root}: there is none. Name it with --store, or run a command in the folder of an experiment.toml."
                )
            with translate_errors(root):
                root.mkdir(parents=True, exist_ok=True)
                write_atomically(marker, json.dumps({"layout": LAYOUT}) + "\n")
        layout = _layout(marker)
        if layout > LAYOUT:
            raise StoreError(f"store {root}: layout {layout}, this penstock knows up to {LAYOUT}. Upgrade penstock.")
        if not os.access(root, os.W_OK):
            raise StoreError(f"store {root}: cannot be written. Give this user write permission, or name another store in experiment.toml.")
        database = index or root / "index.sqlite"
        with translate_errors(database.parent):
            database.parent.mkdir(parents=True, exist_ok=True)
            self.index = Index(database)

    def close(self) -> None:
        """Close the index."""
        self.index.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def home(self, key: str) -> Path:
        """The folder of a key."""
        return self.root / "objects" / key[:2] / key

    def has(self, key: str) -> bool:
        """Whether an artifact lies under `key`: its manifest is there, and every file with its size."""
        try:
            manifest = self.manifest(key)
        except (ArtifactMissing, DamagedArtifact):
            return False
        return not _missing_or_short(self.home(key), manifest)

    def manifest(self, key: str) -> Manifest:
        """The manifest under `key`."""
        try:
            return Manifest.read(self.home(key) / "manifest.json")
        except FileNotFoundError:
            raise ArtifactMissing(f"store {self.root}: no artifact {key[:10]}. List them with: penstock store ls") from None

    def data_folder(self, key: str) -> Path:
        """The folder that holds the data files of an artifact."""
        return data_folder(self.home(key), self.manifest(key))

    def read(
        self, manifest: Manifest, schema: type[Records], start: int = 0, stop: int | None = None, tables: Iterable[str] | None = None
    ) -> Records:
        """The events at positions [start, stop) of an artifact; see `read_artifact`."""
        return read_artifact(self.home(manifest.key), manifest, schema, start, stop, tables)

    def resolve(self, prefix: str) -> Key:
        """The key that begins with `prefix`, of which people type ten characters."""
        found = self.index.find(prefix.lower())
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigError(f"key {prefix!r} is not unique: {', '.join(k[: len(prefix) + 4] for k in found[:5])}. Give more characters.")
        if len(prefix) == 32 and self.has(prefix):
            return Key(prefix)
        raise ArtifactMissing(f"store {self.root}: no artifact {prefix!r}. List them with: penstock store ls")

    def add(self, file: Path, schema: str) -> Key:
        """Keep a calibration, geometry or mask file as an artifact; its key is of its schema and content."""
        digest = hash_file(file)
        recipe: dict[str, Json] = {"asset": schema, "sha256": digest}
        key = digest_key(recipe)
        if self.has(key):
            return key
        home, name = self.home(key), uuid.uuid4().hex[:12]
        with translate_errors(self.root):
            make_folder(home / name, self.root)
            copy = home / name / file.name
            shutil.copyfile(file, copy)
            seal(copy)
            now = datetime.now(UTC).isoformat()
            manifest = Manifest(
                key=key,
                stage="asset",
                schema=schema,
                storage="file",
                subject=file.name,
                run=None,
                n_events=0,
                block=1,
                counts=Counts(0, 0),
                files=(DataFile(f"{name}/{file.name}", copy.stat().st_size, digest, schema, 0, 0),),
                rejections=(),
                recipe=recipe,
                origins={},
                inputs={},
                code={"version": 0, "fingerprint": "", "locked": True},
                environment={"host": socket.gethostname(), "numerics": ""},
                times={"finished": now},
            )
            write_atomically(home / "manifest.json", manifest.dumps())
        self.enter(manifest, f"assets/{schema}/{key.short}-{file.name}")
        return key

    def enter(self, manifest: Manifest, ref: str | None) -> None:
        """Enter a committed artifact into the index and move `ref` to it; nothing is written where that is so already."""
        with translate_errors(self.root):
            if not self.index.existing([manifest.key]):
                self.index.put(_indexed(manifest))
            if ref is not None and self.index.refs([ref]).get(ref) != manifest.key:
                self.set_ref(ref, manifest.key)

    def set_ref(self, ref: str, key: str) -> None:
        """Point the name ``experiment/preset/subject/stage`` to `key`."""
        path = self.root / "refs" / ref
        make_folder(path.parent, self.root)
        write_atomically(path, key + "\n")
        self.index.set_ref(ref, key)

    def refs(self) -> Iterator[tuple[str, Key]]:
        """Every ref and its key, read from the files."""
        base = self.root / "refs"
        for path in sorted(p for p in base.rglob("*") if p.is_file() and not p.name.startswith(".")):
            yield path.relative_to(base).as_posix(), Key(path.read_text().strip())

    def record_failure(self, failure: Failure) -> Path:
        """Keep a failure under ``attempts/`` and in the index."""
        folder = self.root / "attempts"
        make_folder(folder, self.root)
        now = datetime.now(UTC)
        path = folder / f"{failure.key}-{now:%Y%m%dT%H%M%S%f}.json"
        content: dict[str, Json] = {
            "key": failure.key,
            "run": failure.run,
            "stage": failure.stage,
            "error": failure.error,
            "events": failure.events,
            "traceback": failure.traceback,
            "content": failure.content,
            "at": now.isoformat(),
        }
        write_atomically(path, json.dumps(content, indent=1) + "\n")
        self.index.put_failure(failure.key, IndexedFailure(failure.error, failure.content, now.isoformat()))
        return path

    def verify(self, keys: Sequence[Key] | None = None) -> Iterator[tuple[Key, Damage | None]]:
        """Re-hash artifacts. A damaged one is set aside (``manifest.damaged.json``), so that the next run recomputes it."""
        for key in keys if keys is not None else [Key(m.parent.name) for m in self.manifests()]:
            try:
                manifest = self.manifest(key)
                problem = _missing_or_short(self.home(key), manifest) or _changed(self.home(key), manifest)
            except DamagedArtifact as error:
                problem = str(error)
            if problem:
                self.set_aside(key)
            yield key, Damage(key, problem) if problem else None

    def set_aside(self, key: Key) -> None:
        """Rename the manifest of a damaged artifact, which then no longer exists."""
        path = self.home(key) / "manifest.json"
        path.replace(path.with_name("manifest.damaged.json"))
        self.index.forget(key)

    def manifests(self) -> Iterator[Path]:
        """Every manifest of the store."""
        yield from sorted((self.root / "objects").glob("*/*/manifest.json"))

    def rebuild(self) -> int:
        """Make the index anew from manifests, refs and recorded failures; the number of artifacts."""
        self.index.clear()
        count = 0
        for path in sorted((self.root / "attempts").glob("*.json")):
            content = json.loads(path.read_text())
            self.index.put_failure(content["key"], IndexedFailure(content["error"], content["content"], content["at"]))
        for path in self.manifests():
            self.index.put(_indexed(Manifest.read(path)))
            count += 1
        for name, key in self.refs():
            self.index.set_ref(name, key)
        return count

    def export(self, key: Key, folder: Path) -> list[Path]:
        """Copy the data files and the manifest of an artifact into `folder` under names that say what they are."""
        manifest = self.manifest(key)
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{manifest.subject}.{manifest.stage}"
        copies = []
        base = data_folder(self.home(key), manifest)
        for file in manifest.files:
            source = self.home(key) / file.name
            inside = source.relative_to(base)
            target = folder / stem / inside if manifest.storage == "files" else folder / f"{stem}{inside.name[inside.name.index('.') :]}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            copies.append(target)
        target = folder / f"{stem}.manifest.json"
        target.write_text(manifest.dumps())
        return [*copies, target]


def _layout(marker: Path) -> int:
    try:
        return int(json.loads(marker.read_text())["layout"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"store {marker.parent}: {marker.name} is damaged ({error}). Write {json.dumps({'layout': LAYOUT})} into it, then run: penstock store verify"
        ) from error


def _indexed(manifest: Manifest) -> IndexedArtifact:
    return IndexedArtifact(
        key=manifest.key,
        stage=manifest.stage,
        subject=manifest.subject,
        recipe=manifest.recipe,
        size=manifest.size,
        events_in=manifest.counts.events_in,
        events_out=manifest.counts.events_out,
        created=str(manifest.times["finished"]),
    )


def _missing_or_short(home: Path, manifest: Manifest) -> str:
    for file in manifest.files:
        path = home / file.name
        if not path.is_file():
            return f"{file.name} is missing"
        if path.stat().st_size != file.size:
            return f"{file.name} has {path.stat().st_size} bytes, the manifest says {file.size}"
    return ""


def _changed(home: Path, manifest: Manifest) -> str:
    for file in manifest.files:
        if hash_file(home / file.name) != file.sha256:
            return f"{file.name} does not match its checksum"
    return ""
