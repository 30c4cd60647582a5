"""Scalers of a run as records: what the whole crate counted, every few seconds. Light: it imports no HDF5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from penstock.core.schema import Column, Records, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["RUN_NUMBERS", "SCALER_WORDS", "SOURCES", "ScalerRecord", "Scalers"]

SCALER_WORDS = (
    "clock_free",
    "clock_live",
    "trigger_free",
    "trigger_live",
    "ic_sca",
    "mesh_sca",
    "si1_cfd",
    "si2_cfd",
    "sipm",
    "ic_ds",
    "ic_cfd",
)
"""Meaning of the first words of a record."""

SOURCES = ("legacy", "libattpc_merger:1.0", "libattpc_merger:2.0", "synchronizer:0.1.0", "harmonizer:0.1.0", "daq")
"""Where a run's numbers come from, by the number in ``run.source``."""

RUN_NUMBERS = (
    Column("run", "i8", "", "run number"),
    Column("source", "i8", "", "0 legacy file, 1 and 2 merger 1.0 and 2.0, 3 synchronizer, 4 harmonizer, 5 files of the DAQ"),
    Column("frib_run", "i8", "", "run number of the FRIB crate"),
    Column("frib_start", "i8", "s", "begin of the run, Unix time"),
    Column("frib_stop", "i8", "s", "end of the run, Unix time"),
    Column("frib_elapsed", "i8", "s", "duration of the run"),
    Column("min_event", "i8", "", "first event number"),
    Column("max_event", "i8", "", "last event number"),
    Column("min_get_timestamp", "i8", "10 ns", "MuTanT clock at the first event"),
    Column("max_get_timestamp", "i8", "10 ns", "MuTanT clock at the last event"),
    Column("min_record", "i8", "", "first scaler record, as the file states it"),
    Column("max_record", "i8", "", "last scaler record, as the file states it"),
)


@dataclass(frozen=True, slots=True, eq=False)
class ScalerRecord:
    """Words that the scalers counted between two offsets (s) of the run, and when they were read (Unix time, s).

    `incremental` is 0 where the words count from the begin of the run, `record` the number of the record, which is its
    place in the run where none is given. What the file does not say is -1.
    """

    words: NDArray[np.uint32] | NDArray[np.int64]
    start_offset: int
    stop_offset: int
    timestamp: int
    incremental: int = 1
    record: int | None = None


class Scalers(Records):
    """All scaler records of one run, and what the run's files say of the run as a whole. What they do not say is -1."""

    name = "tpc.scalers"
    version = 1
    storage = "parquet"
    tables = (
        Table(
            "scalers",
            (
                Column("record", "i8", "", "number of the record"),
                Column("start_offset", "i8", "s", "begin of the counting, from the begin of the run"),
                Column("stop_offset", "i8", "s", "end of the counting"),
                Column("timestamp", "i8", "s", "when the scalers were read, Unix time"),
                Column("incremental", "i8", "", "1 where the words count since the last record, 0 since the begin of the run"),
                *(Column(word, "i8", "", f"word {k} of the record") for k, word in enumerate(SCALER_WORDS)),
            ),
        ),
        Table(
            "words",
            (
                Column("record", "i8", "", "number of the record"),
                Column("word", "i8", "", "place in the record, from 0"),
                Column("counts", "i8", "", "what was counted"),
            ),
        ),
        Table("run", RUN_NUMBERS),
    )

    @classmethod
    def of(cls, records: Sequence[ScalerRecord], run: Mapping[str, int]) -> Self:
        """The scalers of a run.

        Parameters
        ----------
        records
            In ascending order of their numbers.
        run
            Columns of the table ``run`` by name; those that are left out are -1.
        """
        import numpy as np

        numbers = [place if r.record is None else r.record for place, r in enumerate(records)]
        table = np.full((len(records), len(cls.table("scalers").columns)), -1, np.int64)
        first_word = table.shape[1] - len(SCALER_WORDS)
        for row, (number, r) in zip(table, zip(numbers, records, strict=True), strict=True):
            row[:first_word] = number, r.start_offset, r.stop_offset, r.timestamp, r.incremental
            row[first_word : first_word + len(r.words)] = r.words[: len(SCALER_WORDS)]
        lengths = [len(r.words) for r in records]
        words = {
            "record": np.repeat(np.array(numbers, np.int64), lengths),
            "word": np.concatenate([np.zeros(0, np.int64), *(np.arange(n) for n in lengths)]),
            "counts": np.concatenate([np.zeros(0, np.int64), *(r.words for r in records)]).astype(np.int64),
        }
        return cls(
            n_events=1,
            columns={
                "scalers": {column.name: table[:, k].copy() for k, column in enumerate(cls.table("scalers").columns)},
                "words": words,
                "run": {column.name: np.array([run.get(column.name, -1)], np.int64) for column in RUN_NUMBERS},
            },
            offsets={name: np.array([0, rows]) for name, rows in (("scalers", len(records)), ("words", sum(lengths)), ("run", 1))},
        )

    @property
    def records(self) -> list[ScalerRecord]:
        """The records one by one, as `of` takes them."""
        header = [column.name for column in self.table("scalers").columns[: -len(SCALER_WORDS)]]
        rows = zip(*(self["scalers"][name].tolist() for name in header), strict=True)
        of_record, counts = self["words"]["record"], self["words"]["counts"]
        return [
            ScalerRecord(counts[of_record == number], start, stop, time, incremental, number)
            for number, start, stop, time, incremental in rows
        ]

    @property
    def run_numbers(self) -> dict[str, int]:
        """What the run's files say of the run as a whole: the table ``run`` as a mapping."""
        return {column.name: int(self["run"][column.name][0]) for column in RUN_NUMBERS}
