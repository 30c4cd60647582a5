"""Counts and values that the run table shows of artifacts, kept by key: an artifact never changes, so it is read once.

They lie in ``run-table.json`` in the store's folder. Whoever removes that file loses nothing but time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.config import RunColumn, evaluate_counting
from penstock.core.canonical import Json, Key
from penstock.core.errors import StoreError
from penstock.core.plan import State
from penstock.core.schema import EVENTS, Records
from penstock.store import Counts, Manifest, Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ColumnValue", "Remembered"]

FORMAT = 1

MOST = 50_000
"""Artifacts that are remembered. Beyond that only those of the last table are."""

EVENTS_AT_ONCE = 4096
"""Events of an HDF5 artifact that are in memory at a time."""


@dataclass(frozen=True, slots=True)
class ColumnValue:
    """What a further column of the run table shows of a run.

    Attributes
    ----------
    state
        That of the stage: of a stale or missing result there is no value.
    why
        Why there is no value.
    """

    state: State
    value: float | None = None
    why: str = ""

    @property
    def text(self) -> str:
        """The value with four digits, and whole numbers in full; a dash where there is none."""
        if self.value is None:
            return "–"
        return f"{self.value:,.0f}" if self.value.is_integer() and abs(self.value) < 1e15 else f"{self.value:.4g}"

    def as_json(self) -> dict[str, Json]:
        """The value as plain values."""
        return {"value": self.value, "state": str(self.state), "why": self.why}


@dataclass(slots=True)
class _Entry:
    counts: Counts
    values: dict[str, float | str] = field(default_factory=dict)
    """Value by the identity of a column, or why there is none and never will be."""


class Remembered:
    """Counts and column values by key; reads artifacts only where nothing is remembered. To be used as a context.

    Parameters
    ----------
    store
        Where artifacts are read, and in whose folder the file lies.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._path = store.root / "run-table.json"
        self._entries = _load(self._path)
        self._used: set[Key] = set()
        self._learned = False

    def __enter__(self) -> Remembered:
        return self

    def __exit__(self, *_: object) -> None:
        self.save()

    def counts(self, key: Key) -> Counts:
        """What the artifact under `key` counted.

        Raises
        ------
        ArtifactMissing, DamagedArtifact
            Nothing is remembered, and the manifest cannot be read.
        """
        return self._entry(key).counts

    def value(self, column: RunColumn, key: Key) -> ColumnValue:
        """The value of a column for the artifact under `key`; one that cannot be read now is tried again the next time."""
        try:
            entry = self._entry(key)
            if column.identity not in entry.values:
                entry.values[column.identity] = self._compute(column, key, entry.counts)
                self._learned = True
        except StoreError as error:
            return ColumnValue(State.CURRENT, why=str(error))
        found = entry.values[column.identity]
        return ColumnValue(State.CURRENT, why=found) if isinstance(found, str) else ColumnValue(State.CURRENT, found)

    def save(self) -> None:
        """Write what was learned, beside what other processes wrote meanwhile; on a full disk it is learned anew the next time."""
        if not self._learned:
            return
        merged = _load(self._path)
        for key, entry in self._entries.items():
            before = merged.get(key)
            merged[key] = _Entry(entry.counts, {**before.values, **entry.values}) if before else entry
        if len(merged) > MOST:
            merged = {key: entry for key, entry in merged.items() if key in self._used}
        text = json.dumps({"format": FORMAT, "artifacts": {key: asdict(entry) for key, entry in merged.items()}}, separators=(",", ":"))
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}-{os.urandom(4).hex()}")
        with suppress(OSError):
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self._path)
            self._learned = False
        temporary.unlink(missing_ok=True)

    def _entry(self, key: Key) -> _Entry:
        self._used.add(key)
        if key not in self._entries:
            self._entries[key] = _Entry(self._store.manifest(key).counts)
            self._learned = True
        return self._entries[key]

    def _compute(self, column: RunColumn, key: Key, counts: Counts) -> float | str:
        if column.counting:
            try:
                return evaluate_counting(column.counting, _numbers(column.schema, counts))
            except ZeroDivisionError:
                return f"{column.counting} divides by 0"
        return _reduced(column, _finite_values(self._store, self._store.manifest(key), column))


def _numbers(schema: type[Records], counts: Counts) -> dict[str, float]:
    """Every name that an expression may have."""
    tables = [table.name for table in schema.tables if table.name != EVENTS]
    rows = {name: float(counts.rows.get(name, 0)) for name in tables}
    first = {"rows": rows[tables[0]]} if tables else {}
    return {
        **first,
        **rows,
        "events": float(counts.events_out),
        "events_in": float(counts.events_in),
        "rejected": float(sum(counts.rejected.values())),
        "excluded": float(sum(counts.excluded.values())),
    }


def _finite_values(store: Store, manifest: Manifest, column: RunColumn) -> NDArray[np.float64]:
    import numpy as np

    pieces = [np.empty(0)]
    for records in _pieces(store, manifest, column):
        values = np.asarray(records[column.table][column.column], dtype=np.float64)
        if column.table == EVENTS:
            values = np.delete(values, [rejection.index for rejection in records.rejections])
        pieces.append(values[np.isfinite(values)])
    return np.concatenate(pieces)


def _pieces(store: Store, manifest: Manifest, column: RunColumn) -> Iterator[Records]:
    """The artifact with the wanted table, in pieces where its file allows that."""
    tables = [] if column.table == EVENTS else _with_parents(column.schema, column.table)
    step = EVENTS_AT_ONCE if column.schema.storage == "hdf5" else max(manifest.n_events, 1)
    for start in range(0, manifest.n_events, step):
        yield store.read(manifest, column.schema, start, start + step, tables)


def _with_parents(schema: type[Records], name: str) -> list[str]:
    per = schema.table(name).per
    return [name] if per in (None, EVENTS) else [name, *_with_parents(schema, str(per))]


def _reduced(column: RunColumn, values: NDArray[np.float64]) -> float | str:
    import numpy as np

    if column.reduce == "count":
        return float(values.size)
    if not values.size:
        return f"no finite {column.column} in {column.table}"
    reductions: dict[str, Callable[[NDArray[np.float64]], Any]] = {
        "mean": np.mean,
        "median": np.median,
        "std": np.std,
        "min": np.min,
        "max": np.max,
        "sum": np.sum,
    }
    return float(reductions[column.reduce](values))


def _load(path: Path) -> dict[Key, _Entry]:
    """What the file holds; nothing where there is none, or where it is of another layout or cut short."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            return {}
        return {Key(key): _Entry(Counts(**found["counts"]), dict(found["values"])) for key, found in content["artifacts"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
