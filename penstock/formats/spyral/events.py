"""What a workspace of Spyral holds of a run, as records. Light: it imports no HDF5."""

from __future__ import annotations

from penstock.core.schema import Column, Records, Table
from penstock.formats.traces import ORIGIN

__all__ = ["ABSENT", "MALFORMED", "PRESENT", "SpyralEvents"]

ABSENT, PRESENT, MALFORMED = 0, 1, 2
"""Whether a file holds the data of an event, and with the right shape."""

_CHAMBER = tuple(Column(name, "f8") for name in ("ic_amplitude", "ic_integral", "ic_centroid", "ic_multiplicity"))
_PLACE = (Column("x", "f8", "mm"), Column("y", "f8", "mm"), Column("z", "f8", "mm"))
_TRACK = tuple(Column(name, "i8") for name in ("event", "cluster_index", "cluster_label", "orig_run", "orig_event"))


def _floats(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "f8") for name in names)


class SpyralEvents(Records):
    """The events of a run as the phases of Spyral left them; those of every file of the run, ascending.

    Lengths are in mm but for `fits`, where they are in m. A table whose file the run lacks cannot be read.
    """

    name = "spyral.events"
    version = 1
    storage = "raw"
    tables = (
        Table(
            "events",
            (
                *ORIGIN,
                *_CHAMBER,
                Column("cloud", "i1", "", "0 the file of clouds lacks the event, 1 it has it, 2 with a wrong shape"),
                Column("clustered", "i1", "", "the same of the file of clusters"),
            ),
            per=None,
        ),
        Table("points", (*_PLACE, *_floats("amplitude", "integral", "pad", "time", "scale"))),
        Table("clusters", (Column("label", "i8"), Column("direction", "i8", "", "0 forward, 1 backward, -1 undecided"))),
        Table("cluster_points", (*_PLACE, *_floats("integral", "scale")), per="clusters"),
        Table(
            "estimates",
            (
                *_TRACK,
                *_CHAMBER,
                *_floats("vertex_x", "vertex_y", "vertex_z", "center_x", "center_y", "center_z", "polar", "azimuthal", "brho"),
                *_floats("dEdx", "sqrt_dEdx", "dE", "arclength"),
                Column("direction", "i8", "", "0 forward, 1 backward"),
            ),
        ),
        Table(
            "fits",
            (
                *_TRACK,
                Column("Z", "i8", "", "charge number, from the name of the file"),
                Column("A", "i8", "", "mass number, from the name of the file"),
                *_floats("vertex_x", "sigma_vx", "vertex_y", "sigma_vy", "vertex_z", "sigma_vz", "brho", "sigma_brho", "ke", "sigma_ke"),
                *_floats("polar", "sigma_polar", "azimuthal", "sigma_azimuthal", "redchisq"),
            ),
        ),
    )
