"""What a run file of the TPC holds, as records: the digitised traces of each event. Light: it imports no HDF5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from penstock.core.schema import Column, Records, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["GET_SAMPLES", "ORIGIN", "Traces"]

GET_SAMPLES = 512
"""Time buckets of a GET trace."""

ORIGIN = (
    Column("event", "i8", "", "event number in the run file"),
    Column("orig_run", "i8", "", "run in which the event was recorded"),
    Column("orig_event", "i8", "", "event number there"),
)
"""Columns that say where an event comes from."""


class Traces(Records):
    """Digitised traces of the pads (GET) and of the auxiliary detectors (SIS3300), as a run file holds them.

    ``pads`` has besides its columns the 2-D column ``samples`` (rows, 512), int16 ADC counts of 0 to 4095, and
    ``frib`` the 2-D column ``samples`` (rows, longest trace), uint16, one row a channel: 0 ion chamber, 1 mesh,
    2 auxiliary silicon. What lies beyond a trace's own ``length`` is padding. An event without SIS3300 data has no
    ``frib`` rows.
    """

    name = "tpc.traces"
    version = 1
    storage = "raw"
    tables = (
        Table(
            "events",
            (
                *ORIGIN,
                Column("timestamp", "u8", "10 ns", "MuTanT clock, 0 where the file has none"),
                Column("coincidence", "i4", "", "V977 register: 0 none, 1 mesh, 2 ion-chamber down-scale, 3 both; -1 absent"),
            ),
            per=None,
        ),
        Table(
            "pads",
            (
                Column("cobo", "i2"),
                Column("asad", "i2"),
                Column("aget", "i2"),
                Column("channel", "i2"),
                Column("pad", "i2", "", "pad number, -1 where the channel has none"),
            ),
        ),
        Table("frib", (Column("channel", "i2"), Column("length", "i4", "sample", "samples of the trace; the rest of its row is padding"))),
    )

    @classmethod
    def empty(cls, n_events: int = 0) -> Self:
        """Traces of `n_events` events that have none, numbered 0 and without a trigger register."""
        import numpy as np

        records = super().empty(n_events)
        columns = {name: dict(table) for name, table in records.columns.items()}
        columns["events"]["coincidence"][:] = -1
        columns["pads"]["samples"] = np.zeros((0, GET_SAMPLES), np.int16)
        columns["frib"]["samples"] = np.zeros((0, 0), np.uint16)
        return cls(n_events=n_events, columns=columns, offsets=records.offsets)

    @property
    def pad_samples(self) -> NDArray[np.int16]:
        """ADC samples of all pads of the block, (rows, 512)."""
        return self.columns["pads"]["samples"]

    @property
    def frib_samples(self) -> NDArray[np.uint16]:
        """SIS3300 samples of all channels of the block, (rows, length)."""
        return self.columns["frib"]["samples"]
