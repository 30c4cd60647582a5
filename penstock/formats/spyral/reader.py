"""Reads a run of a Spyral workspace, event by event. What a stage does not ask for is not read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from penstock.core.errors import BadRun
from penstock.formats.spyral._block import Block, Columns
from penstock.formats.spyral.events import SpyralEvents
from penstock.formats.spyral.layout import CLUSTERS, ESTIMATES, FITS, POINTS, parse_isotope

__all__ = ["SpyralRun"]

_TABLE_BYTES = 1000
"""Of rows of estimates and fits, an event."""


class SpyralRun:
    """One run of a workspace: its events in ascending order, those of all its files.

    Parameters
    ----------
    paths
        Files of one run, as `find_runs` lists them; the folder of a file says what it holds.

    Raises
    ------
    BadRun
        A file cannot be read, lacks its group or a column, or holds an event of which the clusters know nothing.
    """

    def __init__(self, *paths: Path) -> None:
        self._paths = {path.parent.name: path for path in paths if path.parent.name != FITS}
        self._fits = tuple(path for path in paths if path.parent.name == FITS)
        self.number = int(paths[0].stem.split("_")[1])
        self._clouds = self._members(POINTS, "cloud", "cloud_")
        self._clusters = self._members(CLUSTERS, "cluster", "event_")
        self.numbers = self._numbers()

    @property
    def n_events(self) -> int:
        """Events of which any file tells."""
        return len(self.numbers)

    @property
    def bytes_per_event(self) -> int:
        """Estimated memory of one event."""
        size = sum(self._paths[name].stat().st_size for name in (POINTS, CLUSTERS) if name in self._paths)
        return _TABLE_BYTES + size // max(1, self.n_events)

    def read(self, start: int, stop: int, step: int = 1) -> SpyralEvents:
        """The events at positions ``range(start, stop, step)``; their tables are read when they are used, while the run is open."""
        block = Block(self, self.numbers[start:stop:step])
        return block.records()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in (POINTS, CLUSTERS):
            if name in self._opened:
                self._opened.pop(name).close()

    def cloud(self, number: int) -> h5py.Dataset | None:
        """The point cloud of an event, if it has one."""
        return self._group(POINTS, "cloud").get(f"cloud_{number}") if number in self._clouds else None

    def event(self, number: int) -> h5py.Group | None:
        """The clusters of an event, if the file has them."""
        return self._group(CLUSTERS, "cluster").get(f"event_{number}") if number in self._clusters else None

    def wanted(self, name: str) -> None:
        """Refuse a run that lacks the file of a phase."""
        if name not in self._paths and not (name == FITS and self._fits):
            raise BadRun(
                f"run {self.number}: the workspace has no file of it in {name}. Leave the stage that reads it out of the pipeline, or run that phase of Spyral."
            )

    @cached_property
    def estimates(self) -> Columns:
        """Columns of all estimates, by ascending event."""
        self.wanted(ESTIMATES)
        return _sorted(_rows(self._paths[ESTIMATES], "estimates"))

    @cached_property
    def fits(self) -> Columns:
        """Columns of all fits of all isotopes, by ascending event."""
        self.wanted(FITS)
        return _sorted(_concatenated([self._isotope(path) for path in self._fits]))

    @cached_property
    def _opened(self) -> dict[str, h5py.File]:
        return {}

    def _group(self, name: str, group: str) -> h5py.Group:
        path = self._paths[name]
        if name not in self._opened:
            try:
                self._opened[name] = h5py.File(path, "r")
            except OSError as error:
                raise BadRun(f"{path}: not a whole HDF5 file ({error}).") from error
        found = self._opened[name].get(group)
        if not isinstance(found, h5py.Group):
            raise BadRun(f"{path}: no group {group!r}, so it is not the output of Spyral's phase {name}.")
        return found

    def _members(self, name: str, group: str, prefix: str) -> frozenset[int]:
        if name not in self._paths:
            return frozenset()
        return frozenset(int(key.removeprefix(prefix)) for key in self._group(name, group) if key.removeprefix(prefix).isdigit())

    def _numbers(self) -> NDArray[np.int64]:
        known = self._clouds | self._clusters
        listed: frozenset[int] = frozenset()
        if ESTIMATES in self._paths:
            listed |= frozenset(self.estimates["event"].tolist())
        if self._fits:
            listed |= frozenset(self.fits["event"].tolist())
        if known and not listed <= known:
            raise BadRun(
                f"run {self.number}: event {min(listed - known)} has estimates or fits, but no cloud and no clusters. "
                "The files are not of one analysis; remove those that are older."
            )
        return np.array(sorted(known | listed), dtype=np.int64)

    def _isotope(self, path: Path) -> Columns:
        charge, mass = parse_isotope(path.stem.rpartition("_")[2])
        rows = _rows(path, "fits", without=("Z", "A"))
        size = len(rows["event"])
        return {**rows, "Z": np.full(size, charge, dtype="i8"), "A": np.full(size, mass, dtype="i8")}


def _rows(path: Path, table: str, without: Sequence[str] = ()) -> Columns:
    wanted = {c.name: c.dtype for c in SpyralEvents.table(table).columns if c.name not in without}
    try:
        found = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise BadRun(f"{path}: not a whole Parquet file ({error}).") from error
    # Spyral writes a table without any columns where no track was accepted.
    missing = [name for name in wanted if name not in found.column_names]
    if missing and found.num_rows + found.num_columns:
        raise BadRun(f"{path}: no column {', '.join(missing)}. It is not the output of Spyral 1.x.")
    if missing:
        return {name: np.zeros(0, dtype=dtype) for name, dtype in wanted.items()}
    return {name: found.column(name).to_numpy().astype(dtype, copy=False) for name, dtype in wanted.items()}


def _concatenated(tables: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}


def _sorted(columns: Columns) -> Columns:
    order = np.argsort(columns["event"], kind="stable")
    return {name: values[order] for name, values in columns.items()}
