"""Blocks that are folders of files: plain arrays, several tables, or whatever a stage wrote."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from penstock.core.errors import DamagedArtifact
from penstock.core.schema import EVENTS, Records
from penstock.store._files import hash_file, link_file

__all__ = ["append_arrays", "files_of", "hash_folder", "link_folder", "read_arrays", "write_arrays"]


def files_of(folder: Path) -> list[Path]:
    """All files below a folder, in the order of their names."""
    return sorted(p for p in folder.rglob("*") if p.is_file())


def hash_folder(folder: Path) -> tuple[int, str]:
    """Bytes of all files below a folder, and a SHA-256 over their names and checksums."""
    digest, size = hashlib.sha256(), 0
    for path in files_of(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{hash_file(path)}\n".encode())
        size += path.stat().st_size
    return size, digest.hexdigest()


def link_folder(source: Path, target: Path) -> None:
    """The files of a folder under a second name, without copying where that can be."""
    shutil.copytree(source, target, copy_function=lambda one, other: link_file(Path(one), Path(other)))


def write_arrays(folder: Path, records: Records) -> None:
    """Write the event columns of a block, each as an ``.npy`` file, into a new folder."""
    folder.mkdir()
    for column in records.table(EVENTS).columns:
        np.save(folder / f"{column.name}.npy", np.ascontiguousarray(records[EVENTS][column.name], dtype=column.dtype), allow_pickle=False)


def append_arrays(folder: Path, stem: str, schema: type[Records], blocks: Sequence[Path]) -> list[Path]:
    """Join the columns of blocks, in order, into one ``.npy`` file a column; bytes are copied undecoded."""
    made = []
    for column in schema.table(EVENTS).columns:
        target = folder / f"{stem}.{column.name}.npy"
        dtype = np.dtype(column.dtype)
        sources = [block / f"{column.name}.npy" for block in blocks]
        with target.open("wb") as sink:
            rows = sum(_shape(source)[0] for source in sources)
            header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (rows, *column.shape)}
            npy.write_array_header_1_0(sink, header)
            for source in sources:
                with source.open("rb") as stream:
                    _skip_header(stream)
                    shutil.copyfileobj(stream, sink, 1 << 20)
        made.append(target)
    return made


def read_arrays(paths: Sequence[Path], schema: type[Records], start: int, stop: int) -> Records:
    """The rows [start, stop) of arrays, mapped into memory and not read."""
    by_column = {path.name.split(".")[-2]: path for path in paths}
    try:
        columns = {c.name: np.load(by_column[c.name], mmap_mode="r")[start:stop] for c in schema.table(EVENTS).columns}
    except (OSError, ValueError, KeyError) as error:
        raise DamagedArtifact(
            f"{paths[0].parent if paths else schema.name}: cannot be read ({error}). Run: penstock store verify"
        ) from error
    return schema(n_events=stop - start, columns={EVENTS: columns})


def _shape(path: Path) -> tuple[int, ...]:
    with path.open("rb") as stream:
        return _skip_header(stream)


def _skip_header(stream: BinaryIO) -> tuple[int, ...]:
    npy.read_magic(stream)
    shape, _, _ = npy.read_array_header_1_0(stream)
    return tuple(shape)
