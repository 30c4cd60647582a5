"""Attempts: one computation under one key, from block files to a published manifest.

Blocks are written by workers, each a file of its own with a small note beside it that carries its checksum. Commit
joins them in block order, publishes the manifest once (by hard link, or by conditional put into a bucket), and reads
back who won.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import SameKeyOtherBytes
from penstock.core.schema import Records, Rejection
from penstock.store import _folders, _ragged, _tables
from penstock.store._files import hash_file, link_file, make_folder, seal, sync_folder, write_atomically
from penstock.store._manifest import DataFile, Manifest
from penstock.store._objects import Bucket
from penstock.store._objects_cache import bucket_of, fetch, publish
from penstock.store._reading import read_artifact

__all__ = ["Attempt", "BlockNote", "keep_files", "read_note", "rejections_of", "sorted_notes", "tally", "write_block"]

PART_BYTES = 4 << 30
"""A data file is continued in a new part beyond this size."""


@dataclass(frozen=True, slots=True)
class BlockNote:
    """What a worker says of a block that it wrote."""

    block: int
    file: str
    size: int
    sha256: str
    n_events: int
    events_in: int
    rows: dict[str, int]
    rejections: tuple[tuple[int, str, bool], ...]
    """(position in the block, reason, excluded) of events that this stage left without a result."""
    inherited: tuple[tuple[int, str, bool], ...]
    """The same of events that an earlier stage left without one."""
    cpu_s: float
    environment: dict[str, str] = field(default_factory=dict)
    """What the manifest's environment says of the worker: device, numerics, image."""

    def dumps(self) -> str:
        """The note as JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> BlockNote:
        """Read a note."""
        content = json.loads(text)
        return cls(
            **{**content, **{name: tuple((int(p), str(r), bool(x)) for p, r, x in content[name]) for name in ("rejections", "inherited")}}
        )


def write_block(
    folder: Path,
    records: Records,
    *,
    block: int,
    size: int,
    events_in: int,
    cpu_s: float,
    inherited: Sequence[Rejection] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> BlockNote:
    """Write block number `block` (of at most `size` events) and its note into an attempt's ``blocks`` folder."""
    several = records.storage == "arrays" or (records.storage == "parquet" and len(records.tables) > 1)
    mark = uuid.uuid4().hex[:8]
    suffix = f"{mark}.folder" if several else "arrow" if records.storage == "parquet" else "h5"
    path = folder / f"{block:08d}.{suffix}"
    temporary = folder / f".{path.name}.{os.getpid()}-{mark}"
    if records.storage == "arrays":
        _folders.write_arrays(temporary, records)
    elif records.storage == "parquet":
        _tables.write_block(temporary, records, block * size)
    else:
        _ragged.write_block(temporary, records, size)
    return _enter(temporary, path, records, block, events_in, cpu_s, inherited, environment)


def keep_files(
    folder: Path, made: Path, records: Records, *, block: int = 0, cpu_s: float, environment: Mapping[str, str] = MappingProxyType({})
) -> BlockNote:
    """Take over a folder of files that a stage made, on the same disk, as block number `block` of an attempt."""
    path = folder / f"{block:08d}.{uuid.uuid4().hex[:8]}.folder"
    return _enter(made, path, records, block, records.n_events, cpu_s, (), environment)


def _enter(
    temporary: Path,
    path: Path,
    records: Records,
    block: int,
    events_in: int,
    cpu_s: float,
    inherited: Sequence[Rejection],
    environment: Mapping[str, str],
) -> BlockNote:
    length, digest = _weigh(temporary)
    note = BlockNote(
        block=block,
        file=path.name,
        size=length,
        sha256=digest,
        n_events=records.n_events,
        events_in=events_in,
        rows={t.name: int(records.offsets[t.name][-1]) for t in records.tables if t.per is not None},
        rejections=tuple((r.index, r.reason, r.excluded) for r in records.rejections),
        inherited=tuple((r.index, r.reason, r.excluded) for r in inherited),
        cpu_s=cpu_s,
        environment=dict(environment),
    )
    temporary.replace(path)
    write_atomically(path.parent / f"{block:08d}.json", note.dumps())
    return note


def _weigh(path: Path) -> tuple[int, str]:
    """Size and checksum of a block, be it a file or a folder."""
    return _folders.hash_folder(path) if path.is_dir() else (path.stat().st_size, hash_file(path))


def read_notes(folder: Path) -> dict[int, BlockNote]:
    """Notes of the blocks in `folder` that are whole, by block number; each block is re-hashed."""
    found = (read_note(folder, int(path.stem)) for path in sorted(folder.glob("[0-9]*.json")))
    return {note.block: note for note in found if note is not None}


def read_note(folder: Path, block: int) -> BlockNote | None:
    """The note of a block in `folder`, if the block is whole: size and checksum are compared."""
    try:
        note = BlockNote.loads((folder / f"{block:08d}.json").read_text())
        whole = (folder / note.file).exists() and _weigh(folder / note.file) == (note.size, note.sha256)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return note if whole else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A folder under a key in which one computation gathers its blocks."""

    root: Path
    home: Path
    name: str
    bucket: Bucket | None = None
    """Where the artifact goes, where `root` is the cache of a bucket."""

    @classmethod
    def begin(cls, root: Path, home: Path) -> Attempt:
        """Open a new attempt below `home`, the folder of the key."""
        attempt = cls(root, home, uuid.uuid4().hex[:12], bucket_of(root))
        make_folder(attempt.blocks, root)
        return attempt

    @property
    def folder(self) -> Path:
        """Where the attempt's files lie."""
        return self.home / self.name

    @property
    def blocks(self) -> Path:
        """Where workers put their blocks."""
        return self.folder / "blocks"

    @property
    def stop_file(self) -> Path:
        """Its presence tells workers to stop between blocks."""
        return self.folder / "stop"

    def adopt(self) -> dict[int, BlockNote]:
        """Take over the whole blocks of dead attempts at this key; their notes by block number."""
        notes: dict[int, BlockNote] = {}
        for other in sorted(self.home.glob("*/blocks")):
            if other == self.blocks:
                continue
            for number, note in read_notes(other).items():
                if number in notes:
                    continue
                source, target = other / note.file, self.blocks / note.file
                (_folders.link_folder if source.is_dir() else link_file)(source, target)
                write_atomically(self.blocks / f"{number:08d}.json", note.dumps())
                notes[number] = note
            shutil.rmtree(other.parent, ignore_errors=True)
        return notes

    def join(self, schema: type[Records], notes: Sequence[BlockNote], block: int, stem: str) -> tuple[DataFile, ...]:
        """Join the blocks, in order, into data files; a new part begins at each 4 GiB of blocks."""
        files = []
        parts = [list(notes)] if schema.storage in ("arrays", "files") else _parts(notes)
        for number, part in enumerate(parts):
            name = stem if number == 0 else f"{stem}.{number:03d}"
            n_events = sum(n.n_events for n in part)
            start = part[0].block * block
            for path, table in self._join_part(schema, [self.blocks / n.file for n in part], name, n_events, block):
                seal(path)
                relative = path.relative_to(self.home).as_posix()
                files.append(DataFile(relative, path.stat().st_size, hash_file(path), table, start, start + n_events))
        return tuple(files)

    def _join_part(
        self, schema: type[Records], sources: Sequence[Path], name: str, n_events: int, block: int
    ) -> Iterator[tuple[Path, str]]:
        """The data files of one part, and what each holds: the schema's first table goes by the name of the schema."""
        if schema.storage == "files":
            made = self.folder / "files"
            # The block stays until the commit is done, so that one that fails can be done again.
            _folders.link_folder(sources[0], made)
            yield from ((path, schema.name) for path in _folders.files_of(made))
        elif schema.storage == "arrays":
            yield from ((path, schema.name) for path in _folders.append_arrays(self.folder, name, schema, sources))
        elif schema.storage == "parquet":
            for table in schema.tables:
                first = table is schema.tables[0]
                path = self.folder / f"{name if first else f'{name}.{table.name}'}.parquet"
                _tables.append_blocks(path, schema, table, sources)
                yield path, schema.name if first else table.name
        else:
            path = self.folder / f"{name}.h5"
            _ragged.append_blocks(path, schema, sources, n_events, block)
            yield path, schema.name

    def publish(self, manifest: Manifest, schema: type[Records], tolerance: float) -> Manifest:
        """Publish the manifest once; the manifest that stands afterwards, ours or another's.

        Raises
        ------
        SameKeyOtherBytes
            Another process committed first, and its values differ by more than the stage's tolerance.
        StoreError, ConfigError
            The object store does not answer, or refuses. Nothing was published, or the next attempt adopts it.
        """
        standing = self._link(manifest) if self.bucket is None else publish(self.bucket, self.root, manifest)
        if standing.files == manifest.files:
            shutil.rmtree(self.blocks, ignore_errors=True)
            return standing
        if not _is_same(standing, manifest):
            if self.bucket is not None:
                fetch(self.bucket, self.root, standing.key, standing)
            _compare(self.home, standing, manifest, schema, tolerance)
        shutil.rmtree(self.folder, ignore_errors=True)
        return standing

    def _link(self, manifest: Manifest) -> Manifest:
        ours = self.folder / "manifest.json"
        write_atomically(ours, manifest.dumps())
        ours.chmod(0o444)
        sync_folder(self.folder)
        target = self.home / "manifest.json"
        try:
            os.link(ours, target)
        except OSError:
            # Over a network a link may be made although an error came back: the file says who won.
            if not target.exists():
                raise
        sync_folder(self.home)
        return Manifest.read(target)

    def abandon(self, *, keep_blocks: bool) -> None:
        """Leave the attempt; whole blocks may stay for the next one."""
        if not keep_blocks:
            shutil.rmtree(self.folder, ignore_errors=True)


def _parts(notes: Sequence[BlockNote]) -> list[list[BlockNote]]:
    parts: list[list[BlockNote]] = []
    size = 0
    for note in notes:
        if not parts or size + note.size > PART_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(note)
        size += note.size
    return parts


def _compare(home: Path, standing: Manifest, ours: Manifest, schema: type[Records], tolerance: float) -> None:
    if schema.storage == "files":
        worst = float("inf")
    else:
        worst = _greatest_difference(read_artifact(home, standing, schema), read_artifact(home, ours, schema))
    if not worst <= tolerance:
        raise SameKeyOtherBytes(
            f"{ours.subject}: stage {ours.stage!r}, artifact {ours.key.short}: two computations under one key differ by {worst:.3g} relative, the stage allows {tolerance:.3g}. "
            f"The first one stands ({standing.environment.get('host')}, numerics {standing.environment.get('numerics')!r}); compare the environments with: penstock explain {ours.key.short}"
        )


def _is_same(one: Manifest, other: Manifest) -> bool:
    return _contents(one) == _contents(other) and one.rejections == other.rejections


def _contents(manifest: Manifest) -> list[tuple[str, str]]:
    """Name within the attempt and checksum of each data file."""
    return [(f.name.partition("/")[2], f.sha256) for f in manifest.files]


def _greatest_difference(one: Records, other: Records) -> float:
    """The greatest relative difference of two values; infinite where rows, events or NaN do not lie at the same places."""
    if list(one.rejections) != list(other.rejections):
        return float("inf")
    if any(not np.array_equal(offsets, other.offsets[name]) for name, offsets in one.offsets.items()):
        return float("inf")
    pairs = [(values, other.columns[name][column]) for name, table in one.columns.items() for column, values in table.items()]
    return max((_relative_difference(np.asarray(a), np.asarray(b)) for a, b in pairs), default=0.0)


def _relative_difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    if one.shape != other.shape:
        return float("inf")
    differing = (one != other) & ~((one != one) & (other != other))
    if not differing.any():
        return 0.0
    ours, theirs = one[differing].astype("f8"), other[differing].astype("f8")
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return float("inf")
    return float(np.max(np.abs(ours - theirs) / np.maximum(np.abs(ours), np.finfo("f4").tiny)))


def rejections_of(notes: Sequence[BlockNote], block: int) -> tuple[tuple[int, str, bool], ...]:
    """Events without a result in all blocks, those that had none before included, with ascending positions in the artifact."""
    return tuple((n.block * block + p, r, x) for n in notes for p, r, x in sorted((*n.rejections, *n.inherited)))


def tally(notes: Sequence[BlockNote]) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Events that the stage rejected and that it excluded, by reason."""
    rejected: dict[str, int] = {}
    excluded: dict[str, int] = {}
    for _, reason, asked_for in (r for n in notes for r in n.rejections):
        counts = excluded if asked_for else rejected
        counts[reason] = counts.get(reason, 0) + 1
    return rejected, excluded


def sorted_notes(notes: Mapping[int, BlockNote]) -> list[BlockNote]:
    """Notes in the order of blocks."""
    return [notes[number] for number in sorted(notes)]
