"""The index as an SQLite database on a local disk, for the processes of one host."""

from __future__ import annotations

import re
import sqlite3
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from penstock.core.errors import StoreError
from penstock.store._index import Index, Statement

__all__ = ["SqliteIndex"]

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "afs", "9p", "wekafs", "panfs"} | {
    f"fuse.{name}" for name in ("sshfs", "ceph", "ceph-fuse", "glusterfs", "s3fs", "rclone", "juicefs")
}
_ESCAPED = re.compile(r"\\([0-7]{3})")
"""How the list of mounts writes blanks and the like."""


class SqliteIndex(Index):
    """One SQLite database, safe for threads and for several processes of one host."""

    _by_bytes: ClassVar[bool] = True
    _clock: ClassVar[str] = "((julianday('now') - 2440587.5) * 86400.0)"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
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
            for number, statements in self._steps(version):
                for statement in statements:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {number}")

    def _removal(self) -> str:
        return "remove the index"

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._access():
            return self._db.execute(sql, tuple(values)).fetchall()

    def _write(self, *statements: Statement) -> int:
        changed = 0
        with self._writing():
            for sql, values in statements:
                changed = self._db.execute(sql, tuple(values)).rowcount
        return changed

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
            f"index {path}: lies on a network file system ({kind}), where SQLite's locks cannot be trusted. Name a local path in experiment.toml "
            '([store] index = "/var/lib/..."), or, where several hosts write, a database: [store] index = "postgresql://user@host/database"'
        )


def _filesystem_of(folder: Path) -> str:
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    resolved = folder.resolve()
    best, kind = -1, ""
    for line in mounts.read_text(errors="surrogateescape").splitlines():
        _, where, found, *_ = line.split(" ")
        point = Path(_ESCAPED.sub(lambda escape: chr(int(escape[1], 8)), where))
        if resolved.is_relative_to(point) and len(point.parts) > best:
            best, kind = len(point.parts), found
    return kind
