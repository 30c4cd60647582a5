"""The store, in a folder or a bucket: immutable artifacts, an index, refs that move, and traces of failures."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from penstock.core.canonical import Json, Key, digest_key
from penstock.core.errors import ArtifactMissing, ConfigError, DamagedArtifact, StoreError
from penstock.core.schema import Records
from penstock.store._failures import Failure, read_failure
from penstock.store._files import hash_file, make_folder, seal, translate_errors, write_atomically
from penstock.store._index import IndexedArtifact
from penstock.store._index_place import open_index
from penstock.store._manifest import Counts, DataFile, Manifest
from penstock.store._objects_address import default_cache, find_address
from penstock.store._objects_cache import evict
from penstock.store._objects_place import ObjectPlace
from penstock.store._places import Folder, Place
from penstock.store._reading import data_folder, read_artifact

__all__ = ["Damage", "Store"]

LAYOUT = 1
"""Number of the folder layout."""
_TOGETHER = 500
"""So many rows go into the index in one transaction."""
_KEY = re.compile(r"[a-z2-7]{32}")


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
        Folder of the store, or the address ``s3://bucket/prefix`` of one in a bucket; created with its first use.
    index
        The index: another path, where the store itself lies on a network file system, or ``postgresql://user@host/database``.
    create
        Whether a store is made where there is none.
    cache
        Local folder for attempts and for copies of artifacts, of a store in a bucket; all workers must see it as the same path.
    options
        ``endpoint_url``, ``region`` and ``addressing`` of a store in a bucket. Credentials come from the environment.

    Attributes
    ----------
    root
        A local folder: the store, or the cache of a store in a bucket.
    name
        How messages call the store.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        index: Path | str | None = None,
        create: bool = True,
        cache: Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        found = find_address(Path(root))
        if found is None:
            self._place: Place = _open_folder(Path(root), create=create)
        else:
            address, base = found[0].with_options(options or {}), found[1]
            place = ObjectPlace(address, cache or default_cache(address, base), LAYOUT, create=create)
            _check_layout(place.marker, place.name)
            self._place = place
        self.root = self._place.root
        self.name = self._place.name
        if not os.access(self.root, os.W_OK):
            raise StoreError(
                f"store {self.root}: cannot be written. Give this user write permission, or name another store in experiment.toml."
            )
        self.index = open_index(index or self.root / "index.sqlite", self.root)

    @property
    def place(self) -> Place:
        """Where the files lie."""
        return self._place

    def close(self) -> None:
        """Close the index."""
        self.index.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def home(self, key: str) -> Path:
        """The local folder of a key; of a store in a bucket, after what there is of its artifact was fetched."""
        return self._place.home(key)

    def has(self, key: str) -> bool:
        """Whether an artifact lies under `key`: its manifest is there, and every file with its size."""
        return self.standing(key) is not None

    def standing(self, key: str) -> Manifest | None:
        """The manifest of the artifact under `key`; None where there is none, or a file is missing or has another size."""
        try:
            manifest = self.manifest(key)
        except (ArtifactMissing, DamagedArtifact):
            return None
        return None if self._place.short(manifest) else manifest

    def manifest(self, key: str) -> Manifest:
        """The manifest under `key`."""
        try:
            return self._place.manifest(key)
        except FileNotFoundError:
            raise ArtifactMissing(f"store {self.name}: no artifact {key[:10]}. List them with: penstock store ls") from None

    def data_folder(self, key: str) -> Path:
        """The folder that holds the data files of an artifact."""
        manifest = self.manifest(key)
        return data_folder(self._place.local(manifest), manifest)

    def read(
        self, manifest: Manifest, schema: type[Records], start: int = 0, stop: int | None = None, tables: Iterable[str] | None = None
    ) -> Records:
        """The events at positions [start, stop) of an artifact; see `read_artifact`."""
        return read_artifact(self._place.local(manifest), manifest, schema, start, stop, tables)

    def resolve(self, prefix: str) -> Key:
        """The key that begins with `prefix`, of which people type ten characters."""
        found = self.index.find(prefix.lower())
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigError(f"key {prefix!r} is not unique: {', '.join(k[: len(prefix) + 4] for k in found[:5])}. Give more characters.")
        if len(prefix) == 32 and self.has(prefix):
            return Key(prefix)
        raise ArtifactMissing(f"store {self.name}: no artifact {prefix!r}. List them with: penstock store ls")

    def add(self, file: Path, schema: str) -> Key:
        """Keep a calibration, geometry or mask file as an artifact; its key is of its schema and content."""
        digest = hash_file(file)
        recipe: dict[str, Json] = {"asset": schema, "sha256": digest}
        key = digest_key(recipe)
        ref = f"assets/{schema}/{key.short}-{file.name}"
        if self.has(key):
            self.enter(self.manifest(key), ref)
            return key
        self.set_aside(key)
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
            self._place.publish(manifest)
        self.enter(manifest, ref)
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
        self._place.write(f"refs/{ref}", key + "\n")
        self.index.set_ref(ref, key)

    def refs(self) -> Iterator[tuple[str, Key]]:
        """Every ref and its key, read from the files."""
        for name, text in self._place.texts("refs"):
            if not _KEY.fullmatch(text.strip()):
                raise StoreError(
                    f"store {self.name}: refs/{name} holds {text[:40]!r}, not a key. Remove it; the next penstock run writes it anew."
                )
            yield name, Key(text.strip())

    def record_failure(self, failure: Failure) -> Path:
        """Keep a failure under ``attempts/`` and in the index."""
        now = datetime.now(UTC)
        path = self._place.write(f"attempts/{failure.name(now)}", failure.dumps(now))
        self.index.put_failure(failure.key, failure.indexed(now))
        return path

    def failed_attempts(self, known: Mapping[str, str]) -> dict[str, str]:
        """The stage of each recorded failure, by its file's name; empty for a file that is no record.

        Parameters
        ----------
        known
            What an earlier call gave, which is not read again.
        """
        names = self._place.names("attempts")
        found = {name: known[name] for name in names if name in known}
        for name, text in self._place.texts("attempts", [name for name in names if name not in known]):
            try:
                found[name] = read_failure(text, name)[0].stage
            except DamagedArtifact:
                found[name] = ""
        return found

    def verify(self, keys: Sequence[Key] | None = None) -> Iterator[tuple[Key, Damage | None]]:
        """Re-hash artifacts. A damaged one is set aside (``manifest.damaged.json``), so that the next run recomputes it."""
        for key in keys if keys is not None else self.keys():
            try:
                problem = self._problem(key)
            except ArtifactMissing:
                # Collected, or set aside by somebody else, since the keys were listed.
                if keys is not None:
                    raise
                continue
            if problem:
                self.set_aside(key)
            yield key, Damage(key, problem) if problem else None

    def _problem(self, key: Key) -> str:
        """What is wrong with the artifact that stands under `key`; empty where nothing."""
        try:
            manifest = self.manifest(key)
            problem = self._place.short(manifest) or self._place.changed(manifest)
            if problem and self.manifest(key).files != manifest.files:
                # Another one has taken its place meanwhile.
                return self._problem(key)
        except DamagedArtifact as error:
            return str(error)
        return problem

    def set_aside(self, key: Key) -> None:
        """Rename the manifest of a damaged artifact, if there is one: it then no longer exists."""
        self._place.set_aside(key)
        self.index.forget(key)

    def keys(self) -> list[Key]:
        """The key of every artifact."""
        return sorted(self._place.census().published)

    def manifests(self) -> Iterator[Manifest]:
        """Every manifest of the store."""
        for _, text, where in self._place.manifests():
            yield Manifest.loads(text, where)

    def rebuild(self) -> int:
        """Make the index anew from manifests, refs and recorded failures; the number of artifacts.

        Raises
        ------
        DamagedArtifact
            Some cannot be read; all others were entered.
        """
        self.index.clear()
        count, damaged = 0, []
        for name, text in self._place.texts("attempts"):
            try:
                failure, at = read_failure(text, f"attempts/{name}")
                self.index.put_failure(failure.key, failure.indexed(at))
            except DamagedArtifact as error:
                damaged.append(str(error))
        waiting: list[IndexedArtifact] = []
        for _, text, where in self._place.manifests():
            try:
                waiting.append(_indexed(Manifest.loads(text, where)))
            except DamagedArtifact as error:
                damaged.append(str(error))
            if len(waiting) == _TOGETHER:
                self.index.put(*waiting)
                count, waiting = count + len(waiting), []
        self.index.put(*waiting)
        refs = list(self.refs())
        for start in range(0, len(refs), _TOGETHER):
            self.index.set_refs(refs[start : start + _TOGETHER])
        if damaged:
            raise DamagedArtifact(
                f"store {self.name}: the index holds {count + len(waiting)} artifacts; left out, of {len(damaged)}: {damaged[0]}"
            )
        return count + len(waiting)

    def evict(self, *, spare_s: float, keep_bytes: int = 0) -> tuple[int, int]:
        """Remove copies of artifacts from the cache of a store in a bucket; see `evict` of the cache.

        Returns
        -------
        removed, left
            Number of copies that were removed, and bytes of those that are left.

        Raises
        ------
        ConfigError
            The store is a folder.
        """
        if not isinstance(self._place, ObjectPlace):
            raise ConfigError(f"store {self.name}: is a folder and has no cache. Remove what nothing needs with: penstock store gc --yes")
        with translate_errors(self.root):
            return evict(self.root, spare_s=spare_s, keep_bytes=keep_bytes)

    def export(self, key: Key, folder: Path) -> list[Path]:
        """Copy the data files and the manifest of an artifact into `folder` under names that say what they are."""
        manifest = self.manifest(key)
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{manifest.subject}.{manifest.stage}"
        copies = []
        home = self._place.local(manifest)
        base = data_folder(home, manifest)
        for file in manifest.files:
            source = home / file.name
            inside = source.relative_to(base)
            target = folder / stem / inside if manifest.storage == "files" else folder / f"{stem}{inside.name[inside.name.index('.') :]}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            copies.append(target)
        target = folder / f"{stem}.manifest.json"
        target.write_text(manifest.dumps())
        return [*copies, target]


def _open_folder(root: Path, *, create: bool) -> Folder:
    if root.exists() and not root.is_dir():
        raise StoreError(f"store {root}: is a file, not a folder. Name another store in experiment.toml.")
    marker = root / "penstock-store.json"
    if not marker.exists():
        if not create:
            raise StoreError(f"store {root}: there is none. Name it with --store, or run a command in the folder of an experiment.toml.")
        with translate_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            write_atomically(marker, json.dumps({"layout": LAYOUT}) + "\n")
    _check_layout(marker.read_text(), str(root))
    return Folder(root)


def _check_layout(text: str, name: str) -> None:
    try:
        layout = int(json.loads(text)["layout"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"store {name}: penstock-store.json is damaged ({error}). Write {json.dumps({'layout': LAYOUT})} into it, then run: penstock store verify"
        ) from error
    if layout > LAYOUT:
        raise StoreError(f"store {name}: layout {layout}, this penstock knows up to {LAYOUT}. Upgrade penstock.")


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
