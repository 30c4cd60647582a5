"""Ragged tables as HDF5: flat columns; each parent row knows the first row and the number of its rows.

Every block begins on a chunk border, so that commit appends compressed chunks without decoding them. Rows between
the end of a block and the next chunk border belong to no parent row and are zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import DamagedArtifact
from penstock.core.schema import EVENTS, Records, Table

__all__ = ["append_blocks", "read_events", "write_block"]

_FILTERS = {"shuffle": True, "compression": "gzip", "compression_opts": 1}


def write_block(path: Path, records: Records, block: int) -> None:
    """Write the records of one block of at most `block` events as a file of its own."""
    with h5py.File(path, "w", rdcc_nbytes=0) as file:
        _create(file, type(records), {t.name: _rows(records, t) for t in _tables(records)}, block)
        for table in _tables(records):
            group = file[table.name]
            for column in table.columns:
                values = np.asarray(records.columns[table.name][column.name], dtype=column.dtype)
                if values.size:
                    group[column.name][: values.size] = values
            for child in _children(type(records), table.name):
                offsets = records.offsets[child.name]
                if offsets.size > 1:
                    group[f"{child.name}_first"][: offsets.size - 1] = offsets[:-1]
                    group[f"{child.name}_count"][: offsets.size - 1] = np.diff(offsets)


def append_blocks(path: Path, schema: type[Records], blocks: Sequence[Path], n_events: int, block: int) -> None:
    """Write one file from block files, in order: chunks are copied as they are, undecoded.

    Parameters
    ----------
    n_events
        Events of all blocks; every block but the last holds `block` events.
    """
    sizes = [_sizes(b, schema) for b in blocks]
    total = {t.name: n_events if t.per is None else sum(s[t.name] for s in sizes) for t in _with_root(schema)}
    with h5py.File(path, "w", rdcc_nbytes=0) as file:
        _create(file, schema, total, block)
        base = dict.fromkeys(total, 0)
        firsts: dict[str, list[NDArray[np.int64]]] = {}
        for source_path, size in zip(blocks, sizes, strict=True):
            with h5py.File(source_path, "r", rdcc_nbytes=0) as source:
                for table in _with_root(schema):
                    for name in source[table.name]:
                        if name.endswith("_first"):
                            first = source[f"{table.name}/{name}"][:]
                            firsts.setdefault(f"{table.name}/{name}", []).append(first + base[name.removesuffix("_first")])
                        else:
                            _copy_chunks(source[f"{table.name}/{name}"], file[f"{table.name}/{name}"], base[table.name])
            for table in _with_root(schema):
                base[table.name] += block if table.per is None else size[table.name]
        for name, parts in firsts.items():
            file[name][:] = np.concatenate(parts)


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
        chunk = block if table.per is None else table.chunk
        size = rows[table.name] if table.per is None else -(-rows[table.name] // chunk) * chunk
        if table.per is not None:
            group.attrs["rows_of"] = table.per
            group.attrs["note"] = (
                f"rows outside every [{table.name}_first, {table.name}_first + {table.name}_count) of {table.per} are padding"
            )
        for column in table.columns:
            dataset = group.create_dataset(column.name, shape=(size,), maxshape=(None,), dtype=column.dtype, chunks=(chunk,), **_FILTERS)
            dataset.attrs["units"] = column.unit
            if column.doc:
                dataset.attrs["description"] = column.doc
        for child in _children(schema, table.name):
            group.create_dataset(f"{child.name}_first", shape=(size,), maxshape=(None,), dtype="i8", chunks=(chunk,), **_FILTERS)
            group.create_dataset(f"{child.name}_count", shape=(size,), maxshape=(None,), dtype="i4", chunks=(chunk,), **_FILTERS)


def _sizes(path: Path, schema: type[Records]) -> dict[str, int]:
    with h5py.File(path, "r", rdcc_nbytes=0) as file:
        return {t.name: file[f"{t.name}/{next(iter(file[t.name]))}"].shape[0] for t in _with_root(schema)}


def _copy_chunks(source: h5py.Dataset, target: h5py.Dataset, base: int) -> None:
    chunk = source.chunks[0]
    for start in range(0, source.shape[0], chunk):
        mask, data = source.id.read_direct_chunk((start,))
        target.id.write_direct_chunk((base + start,), data, mask)
