"""The index: a cache of what the store holds, so that planning reads no manifest; rebuildable from the manifests.

SQLite on a local disk. Only the process that commits writes it. It also keeps the checksums of raw files beside the
size, mtime and inode under which they may be reused, the last failure of each key, and the claims.
"""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock.core.canonical import Json, Key
from penstock.core.errors import StoreError

__all__ = ["Index", "IndexedArtifact", "IndexedFailure"]

_MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE artifacts (
        key TEXT PRIMARY KEY, stage TEXT NOT NULL, subject TEXT NOT NULL, recipe TEXT NOT NULL, size INTEGER NOT NULL,
        events_in INTEGER NOT NULL, events_out INTEGER NOT NULL, created TEXT NOT NULL
    );
    CREATE TABLE refs (name TEXT PRIMARY KEY, key TEXT NOT NULL);
    CREATE TABLE raw_files (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode INTEGER, sha256 TEXT NOT NULL);
    CREATE TABLE failures (key TEXT PRIMARY KEY, error TEXT NOT NULL, content INTEGER NOT NULL, at TEXT NOT NULL);
    CREATE TABLE claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, heartbeat REAL NOT NULL);
    """,
)
"""Numbered migrations: entry N brings a database of version N to N + 1. Only ever append."""

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "afs", "9p"}
_MANY = 500


@dataclass(frozen=True, slots=True)
class IndexedArtifact:
    """What the index knows of an artifact."""

    key: Key
    stage: str
    subject: str
    recipe: Mapping[str, Json]
    size: int
    events_in: int
    events_out: int
    created: str


@dataclass(frozen=True, slots=True)
class IndexedFailure:
    """The last failure of a key; `content` where the same would happen again."""

    error: str
    content: bool
    at: str


class Index:
    """One SQLite database, safe for threads and for several processes of one host."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _refuse_network(path)
        self._lock = threading.RLock()
        try:
            _share(path)
            self._db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise StoreError(_explain(path, error)) from error
        try:
            with self._access():
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
            self._migrate()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def _migrate(self) -> None:
        with self._writing():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > len(_MIGRATIONS):
                raise StoreError(
                    f"index {self.path}: written by a newer penstock (version {version}, known are 1 to {len(_MIGRATIONS)}). Upgrade penstock, or remove the index and run: penstock store rebuild"
                )
            for number in range(version, len(_MIGRATIONS)):
                for statement in _MIGRATIONS[number].split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {number + 1}")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._access():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _access(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StoreError(_explain(self.path, error)) from error

    def _select(self, columns: str, table: str, by: str, values: Sequence[str]) -> Iterator[tuple[str, ...]]:
        for start in range(0, len(values), _MANY):
            some = values[start : start + _MANY]
            query = f"SELECT {columns} FROM {table} WHERE {by} IN ({','.join('?' * len(some))})"  # noqa: S608  names are ours
            with self._access():
                rows = self._db.execute(query, some).fetchall()
            yield from rows

    def existing(self, keys: Sequence[str]) -> set[str]:
        """Those of `keys` under which an artifact lies."""
        return {row[0] for row in self._select("key", "artifacts", "key", keys)}

    def artifacts(self, keys: Sequence[str] | None = None) -> dict[str, IndexedArtifact]:
        """Artifacts by key; all of them without `keys`."""
        columns = "key, stage, subject, recipe, size, events_in, events_out, created"
        if keys is None:
            with self._access():
                rows: Iterable[tuple[str, ...]] = self._db.execute(f"SELECT {columns} FROM artifacts ORDER BY created").fetchall()  # noqa: S608
        else:
            rows = self._select(columns, "artifacts", "key", keys)
        return {r[0]: IndexedArtifact(Key(r[0]), r[1], r[2], json.loads(r[3]), int(r[4]), int(r[5]), int(r[6]), r[7]) for r in rows}

    def find(self, prefix: str) -> list[Key]:
        """Keys that begin with `prefix`."""
        with self._access():
            rows = self._db.execute("SELECT key FROM artifacts WHERE key GLOB ? ORDER BY key", (f"{prefix}*",)).fetchall()
        return [Key(r[0]) for r in rows]

    def put(self, artifact: IndexedArtifact) -> None:
        """Enter an artifact and forget its failures."""
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO artifacts VALUES (?,?,?,?,?,?,?,?)",
                (
                    artifact.key,
                    artifact.stage,
                    artifact.subject,
                    json.dumps(artifact.recipe),
                    artifact.size,
                    artifact.events_in,
                    artifact.events_out,
                    artifact.created,
                ),
            )
            self._db.execute("DELETE FROM failures WHERE key = ?", (artifact.key,))

    def forget(self, key: str) -> None:
        """Remove an artifact that is no longer there."""
        with self._writing():
            self._db.execute("DELETE FROM artifacts WHERE key = ?", (key,))

    def clear(self) -> None:
        """Forget artifacts, refs and failures (before a rebuild); checksums of raw files stay."""
        with self._writing():
            for table in ("artifacts", "refs", "failures"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608

    def refs(self, names: Sequence[str] | None = None) -> dict[str, str]:
        """Key by ref name; all of them without `names`."""
        if names is not None:
            return dict(self._select("name, key", "refs", "name", names))  # type: ignore[arg-type]
        with self._access():
            return dict(self._db.execute("SELECT name, key FROM refs").fetchall())

    def set_ref(self, name: str, key: str) -> None:
        """Mirror a ref that has moved."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO refs VALUES (?,?)", (name, key))

    def raw_files(self, paths: Sequence[str]) -> dict[str, tuple[int, int, int, str]]:
        """(size, mtime_ns, inode, sha256) of registered raw files, by path."""
        columns = "path, size, mtime_ns, inode, sha256"
        return {r[0]: (int(r[1]), int(r[2]), int(r[3]), r[4]) for r in self._select(columns, "raw_files", "path", paths)}

    def put_raw_file(self, path: str, size: int, mtime_ns: int, inode: int, sha256: str) -> None:
        """Keep the checksum of a raw file."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO raw_files VALUES (?,?,?,?,?)", (path, size, mtime_ns, inode, sha256))

    def failures(self, keys: Sequence[str]) -> dict[str, IndexedFailure]:
        """Last failures by key."""
        return {r[0]: IndexedFailure(r[1], bool(r[2]), r[3]) for r in self._select("key, error, content, at", "failures", "key", keys)}

    def put_failure(self, key: str, failure: IndexedFailure) -> None:
        """Keep the failure of the last attempt under `key`."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO failures VALUES (?,?,?,?)", (key, failure.error, int(failure.content), failure.at))

    def claim(self, key: str, owner: str, is_dead: Iterable[str], expiry_s: float) -> bool:
        """Take the claim on `key` unless a living owner holds it.

        Parameters
        ----------
        is_dead
            Owners known to be dead, whose claims are taken over at once.
        expiry_s
            A claim without heartbeat for so long, in seconds, is taken over.
        """
        now = time.time()
        dead = set(is_dead)
        with self._writing():
            row = self._db.execute("SELECT owner, heartbeat FROM claims WHERE key = ?", (key,)).fetchone()
            if row and row[0] != owner and row[0] not in dead and now - row[1] < expiry_s:
                return False
            self._db.execute("INSERT OR REPLACE INTO claims VALUES (?,?,?)", (key, owner, now))
        return True

    def claim_owner(self, key: str) -> str | None:
        """Who holds the claim on `key`."""
        with self._access():
            row = self._db.execute("SELECT owner FROM claims WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def claims(self) -> dict[str, tuple[str, float]]:
        """(owner, heartbeat) of all claims by key."""
        with self._access():
            return {r[0]: (r[1], r[2]) for r in self._db.execute("SELECT key, owner, heartbeat FROM claims")}

    def heartbeat(self, owner: str) -> None:
        """Say that `owner` lives."""
        with self._writing():
            self._db.execute("UPDATE claims SET heartbeat = ? WHERE owner = ?", (time.time(), owner))

    def release(self, key: str, owner: str) -> None:
        """Give back a claim."""
        with self._writing():
            self._db.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, owner))


def _share(path: Path) -> None:
    """Let the group write the database where it may write the folder; SQLite gives its side files the same mode."""
    folder = path.parent.stat().st_mode
    if not path.exists() and folder & stat.S_ISGID and folder & stat.S_IWGRP:
        path.touch()
        path.chmod(0o664)


def _explain(path: Path, error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return f"index {path}: the disk is full. Free space (penstock store gc) and run the same command again."
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"index {path}: cannot be written ({error}). Give this user write permission, or name another store in experiment.toml."
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"index {path}: damaged ({error}). Remove it and run: penstock store rebuild"
    return f"index {path}: {error}. Run the same command again; if that does not help, remove the index and run: penstock store rebuild"


def _refuse_network(path: Path) -> None:
    kind = _filesystem_of(path.parent)
    if kind in _NETWORK:
        raise StoreError(
            f'index {path}: lies on a network file system ({kind}), where SQLite\'s locks cannot be trusted. Name a local path in experiment.toml: [store] index = "..."'
        )


def _filesystem_of(folder: Path) -> str:
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    resolved = folder.resolve()
    best, kind = -1, ""
    for line in mounts.read_text().splitlines():
        _, where, found, *_ = line.split()
        point = Path(where.encode().decode("unicode_escape"))
        if resolved.is_relative_to(point) and len(point.parts) > best:
            best, kind = len(point.parts), found
    return kind
