"""Schemas of the family ``events``."""

from __future__ import annotations

from typing import ClassVar, Literal

from penstock.core.schema import Column, Records, Table

__all__ = ["CapturedEvents", "Reduced", "ReducedStreams"]


class CapturedEvents(Records):
    """Events as captures hold them: what each stream contributed, frame by frame."""

    name: ClassVar[str] = "captured-events"
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "events",
            (
                Column("number", "i8", doc="number of the event in the run"),
                Column("created_at", "i8", "ns", "when it was recorded, since 1970 UTC; the least value where that is not known"),
            ),
            per=None,
        ),
        Table(
            "streams",
            (
                Column("stream", "u2", doc="which of the run's streams, in the order of their names"),
                Column("protocol", "u1", doc="wire protocol, in the order of penstock.stream.protocols.PROTOCOLS"),
            ),
        ),
        Table("frames", (Column("size", "i8", "B", "bytes of the frame"),), per="streams"),
        Table("bytes", (Column("byte", "u1", doc="content of the frames"),), per="frames", chunk=65536),
    )


class Reduced(Records):
    """Files that a reducer made of a run, or of some of its events."""

    name: ClassVar[str] = "reduced"
    storage: ClassVar[Literal["hdf5", "parquet", "arrays", "files", "raw"]] = "files"
    tables: ClassVar[tuple[Table, ...]] = (Table("events", (), per=None),)


class ReducedStreams(Records):
    """What a ready reduction made of a run: the file ``reduced.h5`` (HDF5, NeXus), whose default plot is the result."""

    name: ClassVar[str] = "reduced-streams"
    storage: ClassVar[Literal["hdf5", "parquet", "arrays", "files", "raw"]] = "files"
    tables: ClassVar[tuple[Table, ...]] = (Table("events", (), per=None),)
