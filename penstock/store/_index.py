"""The index: a cache of what the store holds, so that planning reads no manifest; rebuildable from the manifests.

What every index is asked, in SQL that SQLite and PostgreSQL both speak; the databases themselves have modules of their
own. Only the process that commits writes it. It also keeps the checksums of raw files beside the size, mtime and inode
under which they may be reused, the last failure of each key, and the claims.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from penstock.core.canonical import Json, Key
from penstock.core.errors import StoreError

__all__ = ["MIGRATIONS", "Index", "IndexedArtifact", "IndexedFailure", "StageTotals", "Statement"]

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE {at}artifacts (
        key TEXT PRIMARY KEY, stage TEXT NOT NULL, subject TEXT NOT NULL, recipe TEXT NOT NULL, size BIGINT NOT NULL,
        events_in BIGINT NOT NULL, events_out BIGINT NOT NULL, created TEXT NOT NULL
    );
    CREATE TABLE {at}refs (name TEXT PRIMARY KEY, key TEXT NOT NULL);
    CREATE TABLE {at}raw_files (path TEXT PRIMARY KEY, size BIGINT, mtime_ns BIGINT, inode BIGINT, sha256 TEXT NOT NULL);
    CREATE TABLE {at}failures (key TEXT PRIMARY KEY, error TEXT NOT NULL, content INTEGER NOT NULL, at TEXT NOT NULL);
    CREATE TABLE {at}claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, heartbeat DOUBLE PRECISION NOT NULL);
    """,
)
"""Numbered migrations, one list for all databases: entry N brings a database of version N to N + 1. Only ever append."""

Statement = tuple[str, Sequence[object]]
"""SQL with question marks, and the values for them."""

_MANY = 500
_KEY = 32
"""Characters of a key."""
_ARTIFACT = "key, stage, subject, recipe, size, events_in, events_out, created"


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
class StageTotals:
    """All artifacts of a stage together: their number, bytes and events, and when the newest was made (ISO 8601)."""

    count: int
    size: int
    events_in: int
    events_out: int
    newest: str


@dataclass(frozen=True, slots=True)
class IndexedFailure:
    """The last failure of a key; `content` where the same would happen again."""

    error: str
    content: bool
    at: str


class Index(ABC):
    """What an index answers and keeps, safe for threads and for several processes.

    Every writing method may be done twice with the effect of once, so that one whose answer was lost is done again.

    Attributes
    ----------
    name
        How messages call it.
    """

    name: str
    _at: str = ""
    """Stands before the name of a table."""
    _by_bytes: ClassVar[bool] = False
    """Whether texts sort by their bytes; in a collation of people `ch` may stand behind `z`."""
    _clock: ClassVar[str]
    """SQL for the time of the database, in seconds since 1970: claims know no other clock."""

    @abstractmethod
    def close(self) -> None:
        """Close the database."""

    @abstractmethod
    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a query finds."""

    @abstractmethod
    def _write(self, *statements: Statement) -> int:
        """Execute statements in one transaction; the number of rows that the last of them changed."""

    def _last_sign(self, heartbeat: str) -> str:
        """SQL for the time from which the age of a claim counts."""
        return heartbeat

    def _steps(self, version: int) -> Iterator[tuple[int, list[str]]]:
        """The migrations that a database of `version` still needs: the version after each, and its statements."""
        if version > len(MIGRATIONS):
            raise StoreError(
                f"index {self.name}: written by a newer penstock (version {version}, known are 1 to {len(MIGRATIONS)}). "
                f"Upgrade penstock, or {self._removal()} and run: penstock store rebuild"
            )
        for number in range(version, len(MIGRATIONS)):
            yield number + 1, [text.format(at=self._at) for text in MIGRATIONS[number].split(";") if text.strip()]

    @abstractmethod
    def _removal(self) -> str:
        """How to remove the index, for messages."""

    def _select(self, columns: str, table: str, by: str, values: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(values), _MANY):
            some = values[start : start + _MANY]
            yield from self._rows(f"SELECT {columns} FROM {self._at}{table} WHERE {by} IN ({_marks(some)})", some)  # noqa: S608  names are ours

    def _upsert(self, table: str, **values: object) -> Statement:
        """Enter a row, or replace the one with the same first column."""
        first, *others = values
        changes = ", ".join(f"{name} = excluded.{name}" for name in others)
        row = list(values.values())
        return (
            f"INSERT INTO {self._at}{table} ({', '.join(values)}) VALUES ({_marks(row)}) ON CONFLICT ({first}) DO UPDATE SET {changes}",  # noqa: S608
            row,
        )

    def _delete(self, table: str, **values: object) -> Statement:
        condition = " AND ".join(f"{name} = ?" for name in values) or "1 = 1"
        return f"DELETE FROM {self._at}{table} WHERE {condition}", list(values.values())  # noqa: S608

    def existing(self, keys: Sequence[str]) -> set[str]:
        """Those of `keys` under which an artifact lies."""
        return {row[0] for row in self._select("key", "artifacts", "key", keys)}

    def artifacts(self, keys: Sequence[str] | None = None) -> dict[str, IndexedArtifact]:
        """Artifacts by key; all of them without `keys`."""
        rows: Iterable[tuple[Any, ...]] = (
            self._rows(f"SELECT {_ARTIFACT} FROM {self._at}artifacts ORDER BY created")  # noqa: S608
            if keys is None
            else self._select(_ARTIFACT, "artifacts", "key", keys)
        )
        return {r[0]: IndexedArtifact(Key(r[0]), r[1], r[2], json.loads(r[3]), int(r[4]), int(r[5]), int(r[6]), r[7]) for r in rows}

    def totals(self) -> dict[str, StageTotals]:
        """Sums over all artifacts, by stage: the database adds them up, no row travels."""
        query = f"SELECT stage, COUNT(*), SUM(size), SUM(events_in), SUM(events_out), MAX(created) FROM {self._at}artifacts GROUP BY stage"  # noqa: S608
        return {row[0]: StageTotals(int(row[1]), int(row[2]), int(row[3]), int(row[4]), row[5]) for row in self._rows(query)}

    def clock(self) -> float:
        """The time that claims go by, in seconds since 1970."""
        ((now,),) = self._rows(f"SELECT {self._clock}")
        return float(now)

    def find(self, prefix: str) -> list[Key]:
        """Keys that begin with `prefix`."""
        if len(prefix) == _KEY:
            return [Key(key) for key in self.existing([prefix])]
        bounds, values = ("key >= ? AND key <= ? AND", [prefix, prefix.ljust(_KEY, "z")]) if self._by_bytes else ("", [])
        query = f"SELECT key FROM {self._at}artifacts WHERE {bounds} substr(key, 1, ?) = ? ORDER BY key"  # noqa: S608
        return [Key(row[0]) for row in self._rows(query, (*values, len(prefix), prefix))]

    def put(self, *artifacts: IndexedArtifact) -> None:
        """Enter artifacts, in one transaction, and forget their failures."""
        self._write(*(statement for one in artifacts for statement in (self._entry(one), self._delete("failures", key=one.key))))

    def _entry(self, artifact: IndexedArtifact) -> Statement:
        return self._upsert(
            "artifacts",
            key=artifact.key,
            stage=artifact.stage,
            subject=artifact.subject,
            recipe=json.dumps(artifact.recipe),
            size=artifact.size,
            events_in=artifact.events_in,
            events_out=artifact.events_out,
            created=artifact.created,
        )

    def forget(self, key: str) -> None:
        """Remove an artifact that is no longer there."""
        self._write(self._delete("artifacts", key=key))

    def clear(self) -> None:
        """Forget artifacts, refs and failures (before a rebuild); checksums of raw files stay."""
        self._write(*(self._delete(table) for table in ("artifacts", "refs", "failures")))

    def refs(self, names: Sequence[str] | None = None) -> dict[str, str]:
        """Key by ref name; all of them without `names`."""
        if names is not None:
            return {row[0]: row[1] for row in self._select("name, key", "refs", "name", names)}
        return {row[0]: row[1] for row in self._rows(f"SELECT name, key FROM {self._at}refs")}  # noqa: S608

    def set_ref(self, name: str, key: str) -> None:
        """Mirror a ref that has moved."""
        self.set_refs([(name, key)])

    def set_refs(self, refs: Iterable[tuple[str, str]]) -> None:
        """Mirror refs, in one transaction."""
        self._write(*(self._upsert("refs", name=name, key=key) for name, key in refs))

    def raw_files(self, paths: Sequence[str]) -> dict[str, tuple[int, int, int, str]]:
        """(size, mtime_ns, inode, sha256) of registered raw files, by path."""
        columns = "path, size, mtime_ns, inode, sha256"
        return {r[0]: (int(r[1]), int(r[2]), int(r[3]), r[4]) for r in self._select(columns, "raw_files", "path", paths)}

    def put_raw_file(self, path: str, size: int, mtime_ns: int, inode: int, sha256: str) -> None:
        """Keep the checksum of a raw file."""
        self._write(self._upsert("raw_files", path=path, size=size, mtime_ns=mtime_ns, inode=inode, sha256=sha256))

    def failures(self, keys: Sequence[str]) -> dict[str, IndexedFailure]:
        """Last failures by key."""
        return {r[0]: IndexedFailure(r[1], bool(r[2]), r[3]) for r in self._select("key, error, content, at", "failures", "key", keys)}

    def put_failure(self, key: str, failure: IndexedFailure) -> None:
        """Keep the failure of the last attempt under `key`."""
        # PostgreSQL takes no NUL in a text, and the message of an error may quote any bytes.
        error = failure.error.replace("\0", "\ufffd")
        self._write(self._upsert("failures", key=key, error=error, content=int(failure.content), at=failure.at))

    def claim(self, key: str, owner: str, is_dead: Iterable[str], expiry_s: float) -> bool:
        """Take the claim on `key` unless a living owner holds it, in one statement.

        Parameters
        ----------
        is_dead
            Owners known to be dead, whose claims are taken over at once.
        expiry_s
            A claim without heartbeat for so long, in seconds by the clock of the database, is taken over; so is one from
            further in the future, which a clock that was set back leaves behind.
        """
        dead = list(is_dead)
        statement = (
            f"INSERT INTO {self._at}claims AS held (key, owner, heartbeat) VALUES (?, ?, {self._clock}) "  # noqa: S608
            "ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, heartbeat = excluded.heartbeat "
            f"WHERE held.owner = excluded.owner OR held.owner IN ({_marks(dead) or 'NULL'}) "
            f"OR ABS(excluded.heartbeat - {self._last_sign('held.heartbeat')}) >= ?"
        )
        return self._write((statement, (key, owner, *dead, expiry_s))) == 1

    def claim_owner(self, key: str) -> str | None:
        """Who holds the claim on `key`."""
        return next((row[1] for row in self._select("key, owner", "claims", "key", [key])), None)

    def claims(self) -> dict[str, tuple[str, float]]:
        """(owner, last heartbeat in seconds since 1970 by the clock of this machine) of all claims by key."""
        now = time.time()
        rows = self._rows(f"SELECT key, owner, {self._clock} - {self._last_sign('heartbeat')} FROM {self._at}claims")  # noqa: S608
        return {row[0]: (row[1], now - float(row[2])) for row in rows}

    def heartbeat(self, owner: str) -> None:
        """Say that `owner` lives."""
        self._write((f"UPDATE {self._at}claims SET heartbeat = {self._clock} WHERE owner = ?", (owner,)))  # noqa: S608

    def release(self, key: str, owner: str) -> None:
        """Give back a claim."""
        self._write(self._delete("claims", key=key, owner=owner))


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
