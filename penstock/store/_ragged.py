"""Ragged tables as HDF5: flat columns; each parent row knows the first row and the number of its rows.

Every block begins on a chunk border, so that commit appends compressed chunks without decoding them. Rows between
the end of a block and the next chunk border belong to no parent row and are zero. A column whose rows are arrays has their
dimensions as well; its chunks hold whole rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5p, h5s, h5t
from numpy.typing import NDArray

from penstock.core.errors import DamagedArtifact
from penstock.core.schema import EVENTS, Records, Table

__all__ = ["append_blocks", "read_events", "write_block"]

_FILTERS = {"shuffle": True, "compression": "gzip", "compression_opts": 1}


def write_block(path: Path, records: Records, block: int) -> None:
    """Write the records of one block of at most `block` events as a file of its own, without what is only of use to readers."""
    schema = type(records)
    with h5py.File(path, "w", rdcc_nbytes=0) as file:
        for table in _with_root(schema):
            group = h5g.create(file.id, table.name.encode())
            chunk = _chunk(table, block)
            size = _padded(_rows(records, table), table, block)
            columns = {c.name: np.asarray(records.columns[table.name][c.name], dtype=c.dtype) for c in table.columns}
            for child in _children(schema, table.name):
                offsets = records.offsets[child.name]
                columns[f"{child.name}_first"] = offsets[:-1].astype("i8")
                columns[f"{child.name}_count"] = np.diff(offsets).astype("i4")
            for name, values in columns.items():
                _write_column(group, name, values, size, chunk)


def _write_column(group: h5g.GroupID, name: str, values: NDArray[Any], size: int, chunk: int) -> None:
    """One dataset of whole chunks. h5py's own calls take longer than the compression of so little data."""
    layout = h5p.create(h5p.DATASET_CREATE)
    shape = values.shape[1:]
    layout.set_chunk((chunk, *shape))
    layout.set_shuffle()
    layout.set_deflate(_FILTERS["compression_opts"])
    layout.set_obj_track_times(False)
    space = h5s.create_simple((size, *shape), (h5s.UNLIMITED, *shape))
    dataset = h5d.create(group, name.encode(), h5t.py_create(values.dtype), space, layout)
    if values.size:
        whole = np.zeros((size, *shape), dtype=values.dtype)
        whole[: len(values)] = values
        dataset.write(h5s.ALL, h5s.ALL, whole)


def append_blocks(path: Path, schema: type[Records], blocks: Sequence[Path], n_events: int, block: int) -> None:
    """Write one file from block files, in order: chunks are copied as they are, undecoded.

    Parameters
    ----------
    n_events
        Events of all blocks; every block but the last holds `block` events.
    """
    tables = _with_root(schema)
    sizes = [_sizes(b, schema) for b in blocks]
    total = {t.name: n_events if t.per is None else sum(s[t.name] for s in sizes) for t in tables}
    with h5py.File(path, "w", rdcc_nbytes=0) as file:
        _create(file, schema, total, block)
        targets = {f"{t.name}/{name}": file[f"{t.name}/{name}"] for t in tables for name in file[t.name]}
        base = dict.fromkeys(total, 0)
        firsts: dict[str, list[NDArray[np.int64]]] = {name: [] for name in targets if name.endswith("_first")}
        for source_path, size in zip(blocks, sizes, strict=True):
            with h5py.File(source_path, "r", rdcc_nbytes=0) as source:
                for name, target in targets.items():
                    dataset = h5d.open(source.id, name.encode())
                    table, _, column = name.partition("/")
                    if name in firsts:
                        first = np.empty(dataset.shape, np.int64)
                        dataset.read(h5s.ALL, h5s.ALL, first)
                        firsts[name].append(first + base[column.removesuffix("_first")])
                    else:
                        _copy_chunks(dataset, target.id, base[table], target.chunks[0])
            for t in tables:
                base[t.name] += block if t.per is None else size[t.name]
        for name, parts in firsts.items():
            targets[name][:] = np.concatenate(parts)


def read_events(
    paths: Sequence[tuple[Path, int, int]], schema: type[Records], start: int, stop: int, tables: Iterable[str] | None = None
) -> Records:
    """The events at positions [start, stop) from the parts of an artifact.

    Parameters
    ----------
    paths
        (file, first position, end position) of each part, ascending.
    tables
        Tables to read; all without.
    """
    pieces = [_read_part(p, schema, max(start, a) - a, min(stop, b) - a, tables) for p, a, b in paths if a < stop and start < b]
    if not pieces:
        return schema.empty(0)
    return pieces[0] if len(pieces) == 1 else schema.concatenate(pieces)


def _read_part(path: Path, schema: type[Records], start: int, stop: int, tables: Iterable[str] | None) -> Records:
    wanted = {t.name for t in schema.tables} if tables is None else {EVENTS, *tables}
    columns: dict[str, dict[str, NDArray[Any]]] = {}
    offsets: dict[str, NDArray[np.int64]] = {}
    rows: dict[str, slice | NDArray[np.int64]] = {EVENTS: slice(start, stop)}
    try:
        with h5py.File(path, "r", rdcc_nbytes=0) as file:
            for table in _with_root(schema):
                if table.per is not None:
                    if table.name not in wanted or table.per not in rows:
                        continue
                    parent = file[table.per]
                    first = _take(parent[f"{table.name}_first"], rows[table.per])
                    count = _take(parent[f"{table.name}_count"], rows[table.per]).astype(np.int64)
                    offsets[table.name] = np.concatenate(([0], np.cumsum(count)))
                    rows[table.name] = _row_selection(first, count)
                if any(table.name == t.name for t in schema.tables):
                    columns[table.name] = {c.name: _take(file[f"{table.name}/{c.name}"], rows[table.name]) for c in table.columns}
    except (OSError, KeyError) as error:
        raise DamagedArtifact(f"{path}: cannot be read ({error}). Run: penstock store verify") from error
    return schema(n_events=stop - start, columns=columns, offsets=offsets)


def _row_selection(first: NDArray[np.int64], count: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    filled = count > 0
    if not filled.any():
        return slice(0, 0)
    low = int(first[filled][0])
    total = int(count.sum())
    if int((first + count)[filled].max()) - low == total:
        return slice(low, low + total)
    return np.concatenate([np.arange(f, f + c) for f, c in zip(first[filled], count[filled], strict=True)])


def _take(dataset: h5py.Dataset, rows: slice | NDArray[np.int64]) -> NDArray[Any]:
    if isinstance(rows, slice):
        return np.asarray(dataset[rows])
    if rows.size == 0:
        return np.asarray(dataset[0:0])
    low = int(rows.min())
    return np.asarray(dataset[low : int(rows.max()) + 1])[rows - low]


def _with_root(schema: type[Records]) -> list[Table]:
    root = [] if any(t.per is None for t in schema.tables) else [Table(EVENTS, (), per=None)]
    return [*root, *schema.tables]


def _tables(records: Records) -> list[Table]:
    return _with_root(type(records))


def _children(schema: type[Records], name: str) -> list[Table]:
    return [t for t in schema.tables if t.per == name]


def _rows(records: Records, table: Table) -> int:
    return records.n_events if table.per is None else int(records.offsets[table.name][-1])


def _create(file: h5py.File, schema: type[Records], rows: Mapping[str, int], block: int) -> None:
    file.attrs["schema"] = schema.schema_id()
    for table in _with_root(schema):
        group = file.create_group(table.name)
        chunk = _chunk(table, block)
        size = _padded(rows[table.name], table, block)
        if table.per is not None:
            group.attrs["rows_of"] = table.per
            group.attrs["note"] = (
                f"rows outside every [{table.name}_first, {table.name}_first + {table.name}_count) of {table.per} are padding"
            )
        for column in table.columns:
            shape, most, whole = ((first, *column.shape) for first in (size, None, chunk))
            dataset = group.create_dataset(column.name, shape=shape, maxshape=most, dtype=column.dtype, chunks=whole, **_FILTERS)
            dataset.attrs["units"] = column.unit
            if column.doc:
                dataset.attrs["description"] = column.doc
        for child in _children(schema, table.name):
            group.create_dataset(f"{child.name}_first", shape=(size,), maxshape=(None,), dtype="i8", chunks=(chunk,), **_FILTERS)
            group.create_dataset(f"{child.name}_count", shape=(size,), maxshape=(None,), dtype="i4", chunks=(chunk,), **_FILTERS)


def _chunk(table: Table, block: int) -> int:
    return block if table.per is None else table.chunk


def _padded(rows: int, table: Table, block: int) -> int:
    """Rows with those up to the next chunk border; the rows of events are not padded."""
    chunk = _chunk(table, block)
    return rows if table.per is None else -(-rows // chunk) * chunk


def _sizes(path: Path, schema: type[Records]) -> dict[str, int]:
    with h5py.File(path, "r", rdcc_nbytes=0) as file:
        return {t.name: h5d.open(file.id, f"{t.name}/{_first_column(schema, t)}".encode()).shape[0] for t in _with_root(schema)}


def _first_column(schema: type[Records], table: Table) -> str:
    return table.columns[0].name if table.columns else f"{_children(schema, table.name)[0].name}_first"


def _copy_chunks(source: h5d.DatasetID, target: h5d.DatasetID, base: int, chunk: int) -> None:
    inner = (0,) * (source.rank - 1)
    for start in range(0, source.shape[0], chunk):
        mask, data = source.read_direct_chunk((start, *inner))
        target.write_direct_chunk((base + start, *inner), data, mask)
