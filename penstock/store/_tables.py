"""Event tables as Parquet: one row a record, units in the metadata; blocks travel as Arrow files.

Arrow has no call that copies an encoded row group, so commit encodes the rows anew, in block order, in row groups of
a fixed size: the bytes depend on the rows alone (see docs/adr/0003).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from penstock.core.errors import DamagedArtifact
from penstock.core.schema import EVENTS, Records, Table

__all__ = ["POSITION", "append_blocks", "arrow_schema", "read_events", "write_block"]

POSITION = "event_index"
"""Last column of every stored table: position of the event in the artifact, from 0."""

_ROW_GROUP = 65_536


def arrow_schema(schema: type[Records], table: Table) -> pa.Schema:
    """The Arrow schema of one table: columns with units and descriptions in their metadata."""
    fields = [
        pa.field(c.name, pa.from_numpy_dtype(np.dtype(c.dtype)), nullable=False, metadata={"units": c.unit, "description": c.doc})
        for c in table.columns
    ]
    position = pa.field(
        POSITION, pa.int64(), nullable=False, metadata={"units": "", "description": "position of the event in the run, from 0"}
    )
    return pa.schema([*fields, position], metadata={"schema": schema.schema_id(), "table": table.name})


def write_block(path: Path, records: Records, start: int) -> None:
    """Write the rows of one block, whose first event has position `start`: an Arrow file, or a folder of one a table."""
    if len(records.tables) == 1:
        _write_rows(path, records, records.tables[0], start)
        return
    path.mkdir()
    for table in records.tables:
        _write_rows(path / f"{table.name}.arrow", records, table, start)


def _write_rows(path: Path, records: Records, table: Table, start: int) -> None:
    offsets = records.offsets[table.name]
    positions = np.repeat(np.arange(start, start + records.n_events), np.diff(offsets))
    schema = arrow_schema(type(records), table)
    arrays = [pa.array(np.asarray(records.columns[table.name][c.name], dtype=c.dtype)) for c in table.columns]
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(pa.Table.from_arrays([*arrays, pa.array(positions)], schema=schema))


def append_blocks(path: Path, schema: type[Records], table: Table, blocks: Sequence[Path]) -> None:
    """Write one Parquet file of a table from blocks, in order; a few row groups of rows are in memory at a time."""
    layout = arrow_schema(schema, table)
    with pq.ParquetWriter(path, layout, compression="zstd", write_statistics=True) as writer:
        waiting: list[pa.Table] = []
        for block in blocks:
            with pa.OSFile(str(block if len(schema.tables) == 1 else block / f"{table.name}.arrow"), "rb") as source:
                waiting.append(pa.ipc.open_file(source).read_all())
            if sum(t.num_rows for t in waiting) >= _ROW_GROUP:
                whole = pa.concat_tables(waiting)
                cut = whole.num_rows // _ROW_GROUP * _ROW_GROUP
                writer.write_table(whole.slice(0, cut), row_group_size=_ROW_GROUP)
                waiting = [whole.slice(cut)]
        writer.write_table(pa.concat_tables([layout.empty_table(), *waiting]), row_group_size=_ROW_GROUP)


def read_events(paths: Mapping[str, Sequence[tuple[Path, int, int]]], schema: type[Records], start: int, stop: int) -> Records:
    """The events at positions [start, stop) from the parts of an artifact, by table."""
    columns: dict[str, dict[str, NDArray[Any]]] = {EVENTS: {}}
    offsets: dict[str, NDArray[np.int64]] = {}
    for table in schema.tables:
        columns[table.name], offsets[table.name] = _read_rows(paths[table.name], schema, table, start, stop)
    return schema(n_events=stop - start, columns=columns, offsets=offsets)


def _read_rows(
    paths: Sequence[tuple[Path, int, int]], schema: type[Records], table: Table, start: int, stop: int
) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
    try:
        pieces = [
            pq.read_table(p, filters=(pc.field(POSITION) >= start) & (pc.field(POSITION) < stop))
            for p, a, b in paths
            if a < stop and start < b
        ]
    except (OSError, pa.ArrowException) as error:
        raise DamagedArtifact(f"{paths[0][0]}: cannot be read ({error}). Run: penstock store verify") from error
    rows = pa.concat_tables(pieces) if pieces else arrow_schema(schema, table).empty_table()
    columns: dict[str, NDArray[Any]] = {c.name: rows.column(c.name).to_numpy() for c in table.columns}
    counts = np.bincount(rows.column(POSITION).to_numpy() - start, minlength=stop - start)
    return columns, np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
