"""What a run file of the TPC holds, as records: the digitised traces of each event. Light: it imports no HDF5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from penstock.core.schema import Column, Records, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "FRIB_MODULES",
    "FRIB_PART",
    "GET_PART",
    "GET_SAMPLES",
    "HARDWARE",
    "ORIGIN",
    "SILICON_PARTS",
    "SILICON_SETS",
    "SIS3300",
    "SIS3316",
    "Traces",
]

GET_SAMPLES = 512
"""Time buckets of a GET trace."""

SILICON_SETS = ("upstream_front", "upstream_back", "downstream_front", "downstream_back")
"""Silicon detectors that GET reads out, by the number of their set."""

SIS3300, SIS3316 = 1903, 1906
FRIB_MODULES = (SIS3300, 1904, 1905, SIS3316)
"""Digitisers of the FRIB crate by the tag of their data: SIS3300, two SIS3301, SIS3316."""

GET_PART, FRIB_PART = 1, 2
SILICON_PARTS = (4, 8, 16, 32)
"""Flags of ``events.parts``; those of silicon by the number of their set."""

ORIGIN = (
    Column("event", "i8", "", "event number in the run file"),
    Column("orig_run", "i8", "", "run in which the event was recorded"),
    Column("orig_event", "i8", "", "event number there"),
)
"""Columns that say where an event comes from."""

HARDWARE = (Column("cobo", "i2"), Column("asad", "i2"), Column("aget", "i2"), Column("channel", "i2"))
"""Columns that name a channel of the GET electronics."""


class Traces(Records):
    """Everything that a run file holds of its events: traces of pads and silicon detectors (GET) and of the FRIB crate.

    An event without FRIB data has no ``frib`` rows. Which parts an event has at all stands in ``events.parts``, a sum of
    1 pads, 2 FRIB crate, and 4, 8, 16, 32 for the silicon sets 0 to 3; a part may be there and have no rows. A rejected
    event has no parts.
    """

    name = "tpc.traces"
    version = 2
    tables = (
        Table(
            "events",
            (
                *ORIGIN,
                Column("timestamp", "u8", "10 ns", "MuTanT clock, 0 where the file has none"),
                Column("timestamp_other", "u8", "10 ns", "clock of CoBo 10, in step with the FRIB crate; 0 where there is none"),
                Column("coincidence", "i4", "", "V977 register: 0 none, 1 mesh, 2 ion-chamber down-scale, 3 both; -1 absent"),
                Column("get_event", "i8", "", "event number of the GET electronics, -1 absent"),
                Column("frib_event", "i8", "", "event number of the FRIB crate, -1 absent"),
                Column("frib_timestamp", "i8", "", "time stamp of the FRIB crate, -1 absent"),
                Column("parts", "i4", "", "which parts the event has: 1 pads, 2 FRIB crate, 4 8 16 32 silicon sets 0 to 3, added"),
            ),
            per=None,
        ),
        Table(
            "pads",
            (
                *HARDWARE,
                Column("pad", "i2", "", "pad number, -1 where the channel has none"),
                Column("samples", "i2", "ADC", "0 to 4095", shape=(GET_SAMPLES,)),
            ),
            chunk=64,
        ),
        Table(
            "silicon",
            (
                Column("set", "i2", "", "0 upstream front, 1 upstream back, 2 downstream front, 3 downstream back"),
                *HARDWARE,
                Column("strip", "i2", "", "channel of the detector"),
                Column("samples", "i2", "ADC", "0 to 4095", shape=(GET_SAMPLES,)),
            ),
            chunk=64,
        ),
        Table(
            "frib",
            (
                Column("module", "i4", "", "1903 SIS3300, 1904 and 1905 SIS3301, 1906 SIS3316"),
                Column("channel", "i2", "", "of SIS3300: 0 ion chamber, 1 mesh, 2 auxiliary silicon"),
            ),
        ),
        Table("frib_samples", (Column("adc", "u2", "ADC"),), per="frib", chunk=16384),
    )

    @classmethod
    def empty(cls, n_events: int = 0) -> Self:
        """Traces of `n_events` events that have none, numbered 0 and without a trigger register."""
        records = super().empty(n_events)
        for name in ("coincidence", "get_event", "frib_event", "frib_timestamp"):
            records["events"][name][:] = -1
        return records

    @property
    def pad_samples(self) -> NDArray[np.int16]:
        """ADC samples of all pads of the block, (rows, 512)."""
        return self.columns["pads"]["samples"]

    @property
    def frib_lengths(self) -> NDArray[np.int64]:
        """Samples of each FRIB trace of the block, (rows,)."""
        import numpy as np

        return np.diff(self.offsets["frib_samples"])

    @property
    def frib_samples(self) -> NDArray[np.uint16]:
        """Samples of all FRIB traces of the block, (rows, longest trace); 0 beyond the end of a trace.

        A view where all traces are of one length, else a copy.
        """
        import numpy as np

        lengths, adc = self.frib_lengths, self.columns["frib_samples"]["adc"]
        longest = int(lengths.max(initial=0))
        if (lengths == longest).all():
            return adc.reshape(len(lengths), longest)
        padded = np.zeros((len(lengths), longest), np.uint16)
        padded[np.arange(longest) < lengths[:, None]] = adc
        return padded

    def frib_traces(self, rows: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Samples of those FRIB traces of the block that stand in `rows` and are of one length, (rows, samples)."""
        import numpy as np

        length = int(self.frib_lengths[rows[0]]) if len(rows) else 0
        if length == 0:
            return np.zeros((len(rows), 0), np.uint16)
        windows = np.lib.stride_tricks.sliding_window_view(self.columns["frib_samples"]["adc"], length)
        return windows[self.offsets["frib_samples"][rows]]
