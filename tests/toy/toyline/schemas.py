"""What the toy's stages read and write: ragged, nested ragged and flat."""

from __future__ import annotations

from penstock.core.schema import Column, Records, Table

__all__ = ["Groups", "Hits", "Raw", "Summary"]


class Raw(Records):
    """Values of each event and a switch that says how the event misbehaves."""

    name = "toy.raw"
    storage = "raw"
    tables = (
        Table("events", (Column("event", "i8"), Column("switch", "U200")), per=None),
        Table("values", (Column("value", "f8", "V"),)),
    )


class Hits(Records):
    """Values above the threshold."""

    name = "toy.hits"
    tables = (
        Table("events", (Column("event", "i8"), Column("late", "i4", "", "1 where the next stage is to fail")), per=None),
        Table("hits", (Column("value", "f4", "V"), Column("charge", "f8", "C")), chunk=16),
    )


class Groups(Records):
    """Hits that lie close together."""

    name = "toy.groups"
    tables = (
        Table("events", (Column("event", "i8"),), per=None),
        Table("groups", (Column("size", "i4"), Column("centre", "f8", "V")), chunk=8),
        Table("members", (Column("value", "f4", "V"),), per="groups", chunk=16),
    )


class Summary(Records):
    """One row a group."""

    name = "toy.summary"
    storage = "parquet"
    tables = (Table("summary", (Column("event", "i8"), Column("size", "i4"), Column("total", "f8", "V"))),)
