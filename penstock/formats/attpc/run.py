"""An open run file of the AT-TPC: its events by position, its scalers, and its raw matrices for views."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Self

import h5py
import hdf5plugin  # noqa: F401  registers the compression filters of run files
import numpy as np
from numpy.typing import ArrayLike, NDArray

from penstock.core.errors import BadEvent, BadRun, RunMissing
from penstock.formats.attpc._block import EventBlock
from penstock.formats.attpc._events import DAMAGE, GET_COLUMNS, damage, read_untouched
from penstock.formats.attpc._layouts import EventParts, Layout, Wanted, detect_layout, run_number
from penstock.formats.attpc._scalers import read_scalers
from penstock.formats.scalers import Scalers
from penstock.formats.traces import FRIB_MODULES, SILICON_SETS, SIS3300, Traces

__all__ = ["AttpcRun"]

I8 = NDArray[np.int64]

SAMPLED_EVENTS = 8
"""Events whose size the estimate of memory looks at."""


class AttpcRun:
    """A run file, open for reading; a context manager.

    Opening reads the range of events only. Positions count events in ascending order of their number, from 0; every
    number of the range has one, also those that the file holds nothing of.

    Parameters
    ----------
    path
        The HDF5 file.
    number
        Run number; by default that of the file's name (``run_0042.h5``), else what the file says, else -1.

    Raises
    ------
    RunMissing
        There is no such file.
    BadRun
        The file is no run file: truncated, empty, not HDF5, of an unknown layout or version.
    OSError
        The disk cannot be read.
    """

    def __init__(self, path: Path, number: int | None = None) -> None:
        self.path = Path(path)
        self._file = _open(self.path)
        try:
            self._layout: Layout = detect_layout(self._file, self.path)
            self.number = run_number(self._file, self.path) if number is None else number
        except BaseException as error:
            self._file.close()
            if isinstance(error, DAMAGE) and not isinstance(error, BadRun) and damage(error) is not None:
                raise BadRun(f"run file {str(self.path)!r} is damaged: {error}. Copy or merge the run again.") from error
            raise
        self._first_positions: dict[tuple[int, int], int] = {}
        self._origins_known = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def layout(self) -> str:
        """``legacy``, or the version that the file states."""
        return self._layout.name

    @property
    def n_events(self) -> int:
        """Numbers in the range of events, both ends included."""
        return self._layout.last - self._layout.first + 1

    @property
    def events(self) -> I8:
        """Event number at each position, (events,)."""
        return np.arange(self._layout.first, self._layout.last + 1, dtype=np.int64)

    @property
    def bytes_per_event(self) -> int:
        """Estimated memory of one event: the mean of a few, spread over the run."""
        positions = np.unique(np.linspace(0, self.n_events - 1, SAMPLED_EVENTS).astype(int))
        sizes = [self._size(self._layout.first + int(position)) for position in positions]
        return max(sum(sizes) // len(sizes), 1024)

    def read(
        self, start: int, stop: int, step: int = 1, *, tables: Collection[str] | None = None, modules: Collection[int] = FRIB_MODULES
    ) -> Traces:
        """The events at positions ``range(start, stop, step)``; see `read_positions`."""
        return self.read_positions(np.arange(start, stop, step, dtype=np.int64), tables=tables, modules=modules)

    def read_positions(
        self, positions: ArrayLike, *, tables: Collection[str] | None = None, modules: Collection[int] = FRIB_MODULES
    ) -> Traces:
        """The events at the given positions.

        An event with content that cannot be used has no rows and a rejection; what is missing is no fault. What is not
        asked for is not looked at, neither its samples nor whether they can be read.

        Parameters
        ----------
        positions
            (events,), in any order.
        tables
            Tables of `Traces` to read, all without. The others have no rows; pads are always read.
        modules
            FRIB modules to read, by tag.

        Returns
        -------
        Traces
            GET samples int16 (rows, 512), a view of the matrices as read.

        Raises
        ------
        OSError
            The disk cannot be read.
        """
        wanted = np.asarray(positions, dtype=np.int64)
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < self.n_events):
            raise IndexError(
                f"run file {str(self.path)!r} has positions 0 to {self.n_events - 1}, asked for {wanted.min()} to {wanted.max()}"
            )
        frib, silicon = (tables is None or name in tables for name in ("frib", "silicon"))
        parts = Wanted(modules if frib else (), silicon)
        block = EventBlock(wanted + self._layout.first, self.number)
        for index, position in enumerate(wanted):
            self._open_event(block, index, int(position), parts)
        return block.read()

    def read_raw(self, number: int) -> NDArray[Any]:
        """The GET matrix of event `number` as it lies in the file, (traces, 517); no rows where there is none."""
        parts = self._parts(number)
        return np.zeros((0, GET_COLUMNS), np.int16) if parts.pads is None else self._untouched(number, parts.pads)

    def read_raw_frib(self, number: int) -> NDArray[Any] | None:
        """The SIS3300 matrix of event `number` as it lies in the file, (samples, channels), or None."""
        dataset = self._parts(number).modules.get(SIS3300)
        return None if dataset is None else self._untouched(number, dataset)

    def read_silicon(self, number: int) -> dict[str, NDArray[Any]]:
        """GET matrices of the silicon detectors of event `number`, by place (``upstream_front``, ...), as they lie in the file."""
        return {SILICON_SETS[k]: self._untouched(number, dataset) for k, dataset in self._parts(number).silicon.items()}

    def scalers(self) -> Scalers:
        """All scaler records in ascending order, and what the file says of the run; gaps in their numbers are no fault.

        Returns
        -------
        Scalers
            One event, the run. No rows of ``scalers`` where the run has none.

        Raises
        ------
        BadRun
            A record cannot be read.
        """
        try:
            return read_scalers(self._file, self.layout, self.number)
        except DAMAGE as error:
            if (reason := damage(error)) is None:
                raise
            raise BadRun(f"run file {str(self.path)!r}: its scalers cannot be read: {reason}. Merge the run again.") from error

    def _open_event(self, block: EventBlock, index: int, position: int, wanted: Wanted) -> None:
        number = self._layout.first + position
        try:
            origin = self._layout.origin(number)
            if origin is not None:
                block.origins[index] = origin
            block.open(index, self._layout.parts(number, wanted))
            if origin is not None and (first := self._first_position(origin, position)) != position:
                raise BadEvent(
                    f"event {number} repeats event {origin[1]} of run {origin[0]}, which stands in this file as event {self._layout.first + first}"
                )
        except DAMAGE as error:
            block.reject(index, error)

    def _first_position(self, origin: tuple[int, int], position: int) -> int:
        """The first position up to `position` whose event was recorded as `origin`.

        Which of two is the repetition must not depend on the block, so all positions before are looked at, once.
        """
        while self._origins_known <= position:
            try:
                earlier = self._layout.origin(self._layout.first + self._origins_known)
            except DAMAGE as error:
                if damage(error) is None:
                    raise
                earlier = None
            if earlier is not None:
                self._first_positions.setdefault(earlier, self._origins_known)
            self._origins_known += 1
        return self._first_positions.get(origin, position)

    def _parts(self, number: int) -> EventParts:
        if not self._layout.first <= number <= self._layout.last:
            raise BadEvent(f"run file {str(self.path)!r} has events {self._layout.first} to {self._layout.last}, asked for {number}")
        try:
            return self._layout.parts(number)
        except DAMAGE as error:
            if (reason := damage(error)) is None:
                raise
            raise BadEvent(f"run file {str(self.path)!r}, event {number}: {reason}") from error

    def _untouched(self, number: int, dataset: h5py.h5d.DatasetID) -> NDArray[Any]:
        try:
            return read_untouched(dataset)
        except DAMAGE as error:
            if (reason := damage(error)) is None:
                raise
            raise BadEvent(f"run file {str(self.path)!r}, event {number}: {reason}") from error

    def _size(self, number: int) -> int:
        try:
            parts = self._layout.parts(number)
        except DAMAGE as error:
            if damage(error) is None:
                raise
            return 0
        pads = [] if parts.pads is None else [parts.pads]
        return sum(int(np.prod(d.shape or (0,))) * 2 for d in (*pads, *parts.modules.values(), *parts.silicon.values()))


def _open(path: Path) -> h5py.File:
    if not path.exists():
        raise RunMissing(f"run file {str(path)!r} does not exist. Check the run number and the folder of raw data in experiment.toml.")
    if path.stat().st_size == 0:
        raise BadRun(f"run file {str(path)!r} is empty. Copy or merge the run again.")
    try:
        # No locks: raw data may lie on a read-only or shared disk. No chunk cache: each chunk is read once.
        return h5py.File(path, "r", locking=False, rdcc_nbytes=0, rdcc_nslots=1)
    except OSError as error:
        if error.errno is not None:
            raise
        raise BadRun(f"run file {str(path)!r} is not a readable HDF5 file ({error}). Copy or merge the run again.") from error
