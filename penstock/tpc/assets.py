"""What TPC stages take besides events: geometry, calibrations, gas and gates. Light: planning, the CLI and the UI import it.

Each is an asset: the instrument makes it from files that experiment.toml names, or gives its own.
"""

from __future__ import annotations

from typing import ClassVar

from penstock.core.schema import Column, Records, Table
from penstock.formats.traces import HARDWARE

__all__ = ["Electronics", "FieldMap", "GasTable", "Gates", "PadMap", "StoppingTables"]


class PadMap(Records):
    """The pad plane: one row a pad, row number = pad number. An asset, made from geometry or from CSV files."""

    name = "tpc.pads"
    version = 1
    storage = "raw"
    tables = (
        Table(
            "pads",
            (
                Column("x", "f8", "mm", "centroid"),
                Column("y", "f8", "mm", "centroid"),
                Column("scale", "f8", "", "0.5 small, 1.0 big"),
                Column("time_offset", "f8", "bucket", "added to the time of a pulse"),
                Column("gain", "f8", "", "height and integral of a pulse are multiplied by it"),
            ),
            per=None,
        ),
    )
    csv_roles: ClassVar[dict[str, tuple[str, ...]]] = {
        "pad_xy": ("x", "y"),
        "pad_scale": ("scale",),
        "pad_time": ("time_offset",),
        "pad_gain": ("gain",),
    }
    """Which columns a user's CSV file of each role replaces."""


class Electronics(Records):
    """Which detector hangs on which channel of the GET electronics; one row a channel. An asset, from a CSV file.

    Without rows, channels keep what the run file says of them.
    """

    name = "tpc.electronics"
    version = 1
    storage = "raw"
    tables = (
        Table(
            "channels",
            (
                *HARDWARE,
                Column("set", "i2", "", "-1 the pad plane, else the silicon set as in tpc.traces"),
                Column("number", "i2", "", "pad, or channel of the silicon detector"),
            ),
            per=None,
        ),
    )


class FieldMap(Records):
    """Where electrons land that drift in the real electric field; one row a starting place. An asset, from a Garfield table.

    Starting places make a grid (distance by distance, in each the radii); without rows nothing is corrected.
    """

    name = "tpc.field"
    version = 1
    storage = "raw"
    tables = (
        Table(
            "nodes",
            (
                Column("distance", "f8", "mm", "from the micromegas to the start"),
                Column("radius", "f8", "mm", "from the axis to the start"),
                Column("landing_radius", "f8", "mm", "from the axis to the place on the pad plane"),
                Column("turn", "f8", "rad", "azimuth of that place less that of the start"),
                Column("apparent_distance", "f8", "mm", "distance from which an electron on the axis drifts as long"),
            ),
            per=None,
        ),
    )


class Gates(Records):
    """Particle-identification gates: polygons in a plane of two columns of tpc.estimates. An asset, from JSON files."""

    name = "tpc.gates"
    version = 1
    storage = "raw"
    tables = (
        Table(
            "gates",
            (
                Column("Z", "i4", "", "charge number of the particle"),
                Column("A", "i4", "", "mass number of the particle"),
                Column("x_column", "i4", "", "position of the column on the x axis in tpc.estimates"),
                Column("y_column", "i4", "", "position of the column on the y axis"),
            ),
            per=None,
        ),
        Table("vertices", (Column("x", "f8"), Column("y", "f8")), per="gates"),
    )


class GasTable(Records):
    """The gas of the detector where a file names it: one row an element of the mean molecule. An asset; empty without a file."""

    name = "tpc.gas"
    version = 1
    storage = "raw"
    tables = (
        Table(
            "elements",
            (
                Column("Z", "i4", "", "charge number"),
                Column("A", "i4", "", "mass number"),
                Column("atoms", "f8", "", "atoms in a molecule, weighted by volume fraction"),
                Column("pressure", "f8", "Torr", "pressure of the gas, the same in every row"),
            ),
            per=None,
        ),
    )


class StoppingTables(Records):
    """Stopping powers of particles in the gas of the detector, instead of those of the library. An asset, from CSV files."""

    name = "tpc.stopping"
    version = 1
    storage = "raw"
    tables = (
        Table("particles", (Column("Z", "i4", "", "charge number"), Column("A", "i4", "", "mass number")), per=None),
        Table(
            "values",
            (Column("ke", "f8", "MeV", "kinetic energy, ascending"), Column("loss", "f8", "MeV cm²/g", "mass stopping power")),
            per="particles",
        ),
    )
