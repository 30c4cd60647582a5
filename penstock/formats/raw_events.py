"""One event and the run as a whole as mergers write them, for the writer of run files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from penstock.formats.traces import SILICON_SETS

__all__ = ["RawEvent", "RunNumbers"]

CLOCKS_APART = 3
"""Ticks by which the second time stamp of GET is later, where none is given."""
GET_TICKS_PER_FRIB_TICK = 100


@dataclass(frozen=True, slots=True, eq=False)
class RawEvent:
    """One event as a merger writes it.

    ``traces`` int16 (rows, 517): CoBo, AsAd, AGET, channel, pad, 512 samples, None where GET recorded nothing;
    ``frib`` uint16 (samples, 8) and `register` (V977), None where absent; ``timestamp`` in ticks of 10 ns; `silicon`
    matrices like ``traces`` by name of `SILICON_SETS`. A harmonized file names run and event of origin.

    `modules` are matrices of further FRIB modules by tag, that of 1906 with the channels in its first row; `sets` names
    the silicon sets that the file has, also where no channel fired. Numbers and clocks of GET and of the FRIB crate
    follow `event` and `timestamp` where they are not given; negative ones are left out.
    """

    event: int
    timestamp: int
    traces: NDArray[np.int16] | None
    frib: NDArray[np.uint16] | None = None
    register: int | None = None
    silicon: Mapping[str, NDArray[np.int16]] = field(default_factory=dict)
    orig_run: int = 0
    orig_event: int = 0
    modules: Mapping[int, NDArray[np.uint16]] = field(default_factory=dict)
    sets: tuple[str, ...] = SILICON_SETS
    timestamp_other: int | None = None
    get_event: int | None = None
    frib_event: int | None = None
    frib_timestamp: int | None = None

    @property
    def has_get(self) -> bool:
        """Whether the GET electronics recorded anything."""
        return self.traces is not None or bool(self.silicon)

    @property
    def has_frib(self) -> bool:
        """Whether the FRIB crate recorded anything."""
        return self.frib is not None or self.register is not None or bool(self.modules) or self.frib_event is not None

    @property
    def get_id(self) -> int:
        """Event number of GET."""
        return self.event if self.get_event is None else self.get_event

    @property
    def other_time(self) -> int:
        """Second time stamp of GET, in ticks of 10 ns."""
        return self.timestamp + CLOCKS_APART if self.timestamp_other is None else self.timestamp_other

    @property
    def frib_id(self) -> int:
        """Event number of the FRIB crate."""
        return self.event if self.frib_event is None else self.frib_event

    @property
    def frib_time(self) -> int:
        """Time stamp of the FRIB crate."""
        return self.timestamp // GET_TICKS_PER_FRIB_TICK if self.frib_timestamp is None else self.frib_timestamp


@dataclass(frozen=True, slots=True)
class RunNumbers:
    """What a run file says of the run as a whole: number, begin and end (Unix time, s) and duration (s) by the FRIB crate.

    First and last event, MuTanT clock at both, and first and last scaler record are those that are written, unless they are
    given. Where `records` are given, the group of scalers is written even if there are none.
    """

    frib_run: int
    frib_start: int = 0
    frib_stop: int = 0
    frib_elapsed: int = 0
    events: tuple[int, int] | None = None
    timestamps: tuple[int, int] | None = None
    records: tuple[int, int] | None = None

    @property
    def frib(self) -> tuple[int, int, int, int]:
        """Number, begin, end and duration."""
        return self.frib_run, self.frib_start, self.frib_stop, self.frib_elapsed
