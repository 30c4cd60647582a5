"""What the stages of the TPC family read and write. Light: planning, the CLI and the UI import it.

Frame: z = 0 at the entrance window, z = detector length at the micromegas; the beam enters along +z. Lengths in mm,
angles in rad, magnetic rigidity (Bρ) in T·m, charges in ADC counts or ADC counts × time buckets.
"""

from __future__ import annotations

from typing import ClassVar

from penstock.core.schema import Column, Records, Table
from penstock.formats.traces import ORIGIN, Traces

__all__ = ["Clusters", "Estimates", "PadMap", "PointCloud", "Traces"]

ION_CHAMBER = (
    Column("ic_amplitude", "f4", "ADC", "height of the triggering ion-chamber pulse, -1 where there is none"),
    Column("ic_integral", "f4", "ADC·sample", "integral of that pulse, -1 where there is none"),
    Column("ic_centroid", "f4", "sample", "time of that pulse in SIS3300 samples, -1 where there is none"),
    Column("ic_multiplicity", "f4", "", "ion-chamber pulses after the delay, -1 without an ion chamber"),
)
"""Columns that describe the ion chamber of an event. Cuts on them act at fits and tables."""


class PointCloud(Records):
    """Points of each event in space, with charge: one point a pulse on a pad, ascending in z within an event."""

    name = "tpc.points"
    version = 1
    tables = (
        Table(
            "events",
            (
                *ORIGIN,
                Column("timestamp", "u8", "10 ns", "MuTanT clock, 0 where the file has none"),
                Column("trigger", "i4", "", "V977 register: 0 none, 1 mesh, 2 ion-chamber down-scale, 3 both; -1 absent"),
                *ION_CHAMBER,
            ),
            per=None,
        ),
        Table(
            "points",
            (
                Column("x", "f4", "mm", "centre of the pad"),
                Column("y", "f4", "mm", "centre of the pad"),
                Column("z", "f4", "mm", "from the entrance window, by the drift time; may lie outside the detector"),
                Column("amplitude", "f4", "ADC", "height of the pulse above the baseline"),
                Column("integral", "f4", "ADC·bucket", "sum over the pulse"),
                Column("time", "f4", "bucket", "time of the peak, pad correction included"),
                Column("pad", "i2", "", "pad number"),
                Column("scale", "f4", "", "size of the pad: 0.5 small, 1.0 big"),
            ),
            chunk=8192,
        ),
    )


class Clusters(Records):
    """Groups of points that one particle left, outliers removed; noise belongs to no cluster."""

    name = "tpc.clusters"
    version = 1
    tables = (
        Table("events", (*ORIGIN, *ION_CHAMBER), per=None),
        Table(
            "clusters",
            (
                Column("label", "i4", "", "label given by the clustering, unique within the event"),
                Column("direction", "i4", "", "1 the particle moves to +z, -1 to -z, 0 undecided"),
            ),
            chunk=256,
        ),
        Table(
            "points",
            (
                Column("x", "f4", "mm"),
                Column("y", "f4", "mm"),
                Column("z", "f4", "mm", "ascending within a cluster"),
                Column("integral", "f4", "ADC·bucket"),
                Column("scale", "f4", "", "size of the pad: 0.5 small, 1.0 big"),
                Column("index", "i4", "", "row of the point within its event in tpc.points"),
            ),
            per="clusters",
            chunk=8192,
        ),
    )


class Estimates(Records):
    """First physics of each track: vertex, angles, rigidity, energy loss. One row an accepted cluster."""

    name = "tpc.estimates"
    version = 1
    storage = "parquet"
    tables = (
        Table(
            "estimates",
            (
                Column("event", "i8", "", "event number in the run file"),
                Column("cluster_index", "i8", "", "row of the cluster within its event in tpc.clusters"),
                Column("cluster_label", "i8", "", "label of the cluster"),
                *ORIGIN[1:],
                *(Column(c.name, "f8", c.unit, c.doc) for c in (ION_CHAMBER[0], ION_CHAMBER[2], ION_CHAMBER[1], ION_CHAMBER[3])),
                Column("vertex_x", "f8", "mm"),
                Column("vertex_y", "f8", "mm"),
                Column("vertex_z", "f8", "mm"),
                Column("center_x", "f8", "mm", "centre of the fitted circle"),
                Column("center_y", "f8", "mm", "centre of the fitted circle"),
                Column("center_z", "f8", "mm", "z of the vertex"),
                Column("polar", "f8", "rad", "angle to the beam at the vertex, 0 to π"),
                Column("azimuthal", "f8", "rad", "direction of motion at the vertex, 0 to 2π"),
                Column("brho", "f8", "T·m", "magnetic rigidity at the vertex"),
                Column("dEdx", "f8", "ADC·bucket/mm", "dE over arclength"),
                Column("sqrt_dEdx", "f8", "(ADC·bucket/mm)^½"),
                Column("dE", "f8", "ADC·bucket", "charge on the first arc within the small pads"),
                Column("arclength", "f8", "mm", "length of that piece"),
                Column("direction", "i8", "", "0 forward, 1 backward, as Spyral writes it"),
            ),
        ),
    )


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
            ),
            per=None,
        ),
    )
    csv_roles: ClassVar[dict[str, tuple[str, ...]]] = {"pad_xy": ("x", "y"), "pad_scale": ("scale",), "pad_time": ("time_offset",)}
    """Which columns a user's CSV file of each role replaces."""
