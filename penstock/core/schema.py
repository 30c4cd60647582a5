"""Schemas: what a stage reads and writes, as named tables of typed columns with units.

A `Records` subclass is at once the schema (class attributes) and the values of some consecutive events (instance).
Events are rows of the root table ``events``; every other table is ragged: its rows belong to the rows of a parent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EVENTS", "Column", "Records", "Rejection", "Table"]

EVENTS = "events"
"""Name of the root table: one row an event."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: NumPy dtype code, unit (empty for a count or a label) and meaning.

    `shape` is that of one row where it is not a single number; tables stored as "parquet" have no such columns.
    """

    name: str
    dtype: str
    unit: str = ""
    doc: str = ""
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a schema; `per` names the table whose rows its rows belong to (None for the root)."""

    name: str
    columns: tuple[Column, ...]
    per: str | None = EVENTS
    chunk: int = 4096
    """Rows in one chunk of the stored table."""

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(c for c in self.columns if c.name == name)


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event without a result: its position in the block, why, and whether that was asked for.

    ``excluded`` is True where the request leaves the event out (a down-scale trigger), False where its content is bad.
    """

    index: int
    reason: str
    excluded: bool = False


@dataclass(eq=False)
class Records:
    """Values of consecutive events: columns by table, row offsets of ragged tables, and rejections.

    Parameters
    ----------
    n_events
        Number of events, rejected ones included (they have no rows in ragged tables).
    columns
        ``columns[table][column]``: an array with one entry a row of the table.
    offsets
        ``offsets[table]``: int64, one more entry than the parent has rows; rows ``offsets[i]:offsets[i+1]`` of
        the table belong to row ``i`` of its parent.
    rejections
        Events without a result.
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    tables: ClassVar[tuple[Table, ...]] = ()
    storage: ClassVar[Literal["hdf5", "parquet", "arrays", "files", "raw"]] = "hdf5"

    n_events: int
    columns: Mapping[str, Mapping[str, NDArray[Any]]]
    offsets: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    rejections: Sequence[Rejection] = ()

    def __getitem__(self, table: str) -> Mapping[str, NDArray[Any]]:
        return self.columns[table]

    def part(self, start: int, stop: int) -> Self:
        """The events [start, stop) as records of their own."""
        import numpy as np

        rows = {EVENTS: slice(start, stop)}
        columns: dict[str, Mapping[str, NDArray[Any]]] = {}
        offsets: dict[str, NDArray[np.int64]] = {}
        for table in self.tables:
            if table.per is not None:
                parent = rows[table.per]
                cut = self.offsets[table.name][parent.start : parent.stop + 1]
                rows[table.name] = slice(int(cut[0]), int(cut[-1]))
                offsets[table.name] = np.asarray(cut - cut[0])
            columns[table.name] = {name: values[rows[table.name]] for name, values in self.columns[table.name].items()}
        kept = [Rejection(r.index - start, r.reason, r.excluded) for r in self.rejections if start <= r.index < stop]
        return type(self)(n_events=stop - start, columns=columns, offsets=offsets, rejections=kept)

    @classmethod
    def concatenate(cls, pieces: Sequence[Self]) -> Self:
        """Records of consecutive events as one."""
        import numpy as np

        columns = {
            t.name: {c: np.concatenate([p.columns[t.name][c] for p in pieces]) for c in pieces[0].columns[t.name]} for t in cls.tables
        }
        offsets: dict[str, NDArray[np.int64]] = {}
        for table in cls.tables:
            if table.per is not None:
                counts = [np.diff(p.offsets[table.name]) for p in pieces]
                offsets[table.name] = np.concatenate(([0], np.cumsum(np.concatenate(counts)))).astype(np.int64)
        rejections: list[Rejection] = []
        base = 0
        for piece in pieces:
            rejections += [Rejection(base + r.index, r.reason, r.excluded) for r in piece.rejections]
            base += piece.n_events
        return cls(n_events=base, columns=columns, offsets=offsets, rejections=rejections)

    @classmethod
    def schema_id(cls) -> str:
        """``name/version``, as it stands in keys and manifests."""
        return f"{cls.name}/{cls.version}"

    @classmethod
    def table(cls, name: str) -> Table:
        """The declaration of one table."""
        return next(t for t in cls.tables if t.name == name)

    @classmethod
    def empty(cls, n_events: int = 0) -> Self:
        """Records of `n_events` events whose ragged tables have no rows and whose event columns are zero."""
        import numpy as np

        columns: dict[str, dict[str, NDArray[Any]]] = {}
        offsets: dict[str, NDArray[np.int64]] = {}
        rows: dict[str | None, int] = {EVENTS: n_events}
        for table in cls.tables:
            rows[table.name] = n_events if table.per is None else 0
            columns[table.name] = {c.name: np.zeros((rows[table.name], *c.shape), dtype=c.dtype) for c in table.columns}
            if table.per is not None:
                offsets[table.name] = np.zeros(rows[table.per] + 1, dtype=np.int64)
        return cls(n_events=n_events, columns=columns, offsets=offsets)
