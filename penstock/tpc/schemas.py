"""What the stages of the TPC family read and write. Light: planning, the CLI and the UI import it.

Frame: z = 0 at the entrance window, z = detector length at the micromegas; the beam enters along +z. Lengths in mm,
angles in rad, magnetic rigidity (Bρ) in T·m, charges in ADC counts or ADC counts × time buckets.
"""

from __future__ import annotations

from penstock.core.schema import Column, Records, Table
from penstock.formats.traces import GET_SAMPLES, HARDWARE, ORIGIN, Traces

__all__ = [
    "MESH_SAMPLES",
    "READOUT_NOTES",
    "Clusters",
    "Estimates",
    "Fits",
    "FlatTraces",
    "Kinematics",
    "PointCloud",
    "Readout",
    "Traces",
    "TrackMesh",
]

ION_CHAMBER = (
    Column("ic_amplitude", "f4", "ADC", "height of the triggering ion-chamber pulse, -1 where there is none"),
    Column("ic_integral", "f4", "ADC·sample", "integral of that pulse, -1 where there is none"),
    Column("ic_centroid", "f4", "sample", "time of that pulse in SIS3300 samples, -1 where there is none"),
    Column("ic_multiplicity", "f4", "", "ion-chamber pulses after the delay, -1 without an ion chamber"),
)
"""Columns that describe the ion chamber of an event. Cuts on them act at fits and tables."""


class FlatTraces(Records):
    """Traces of pads without their baseline: what is left are pulses and noise around zero."""

    name = "tpc.baselines"
    version = 1
    tables = (
        Table("events", ORIGIN, per=None),
        Table(
            "pads",
            (
                *HARDWARE,
                Column("pad", "i2", "", "pad number, -1 where the channel has none"),
                Column("samples", "f4", "ADC", "above the baseline; the first and the last repeat their neighbours", shape=(GET_SAMPLES,)),
            ),
            chunk=64,
        ),
    )


class PointCloud(Records):
    """Points of each event in space, with charge: one point a pulse on a pad, ascending in z within an event.

    With a `FieldMap`, x, y and z are those of the place where the charge was set free; amplitude and integral are
    multiplied by the gain of the pad.
    """

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


READOUT_NOTES = (
    Column("frames", "i8", "", "frames with samples in the .graw files"),
    Column("skipped_frames", "i8", "", "frames without samples: topology, MuTanT, merged"),
    Column("refused_frames", "i8", "", "frames whose header contradicts itself"),
    Column("truncated_frames", "i8", "", "frames cut by the end of a file; their board lacks in the event"),
    Column("gaps", "i8", "", "places where no frame begins where one should"),
    Column("lost_bytes", "i8", "byte", "in cut frames and gaps"),
    Column("repeated_frames", "i8", "", "frames that came twice"),
    Column("late_frames", "i8", "", "frames that came after those of later events"),
    Column("repaired_counts", "i8", "", "frames whose number of items did not fit their size"),
    Column("recordings", "i8", "", "runs of the GET electronics in the files: more than 1 where event ids start anew"),
    Column("silent_boards", "i8", "", "boards of the map of the electronics that sent nothing"),
    Column("incomplete_events", "i8", "", "events that lack a board that sent something"),
    Column("events_with_unlike_times", "i8", "", "events whose boards state different times"),
    Column("crate_events", "i8", "", "physics items in the .evt files"),
    Column("crate_truncated", "i8", "", "items cut by the end of a file"),
    Column("crate_skipped", "i8", "", "items of unknown types"),
    Column("crate_lost_bytes", "i8", "byte", "that belong to no whole item"),
    Column("events_without_crate", "i8", "", "events without an item of the crate"),
    Column("crate_without_event", "i8", "", "items of the crate without an event"),
    Column("unlike_clocks", "i8", "", "events before which the two clocks did not advance alike"),
    Column("bad_items", "i8", "", "samples without a place"),
    Column("damaged_crate_events", "i8", "", "items of the crate that end before they should"),
)
"""What is counted of the files of a run."""


class Readout(Records):
    """How whole the files of a run are: what was found, what is missing, what was skipped. What is not known is -1."""

    name = "tpc.readout"
    version = 2
    storage = "parquet"
    tables = (
        Table("run", (Column("run", "i8", "", "run number"), Column("events", "i8", "", "events of the run"), *READOUT_NOTES)),
        Table(
            "boards",
            (
                Column("cobo", "i8"),
                Column("asad", "i8"),
                Column("missing", "i8", "", "events that lack the board"),
            ),
        ),
        Table("silent", (Column("cobo", "i8", "", "of a board that sent nothing"), Column("asad", "i8"))),
        Table(
            "incomplete",
            (
                Column("event", "i8", "", "number of an event that lacks a board"),
                Column("get_event", "i8", "", "its number in the GET electronics"),
                Column("recording", "i8", "", "which run of the GET electronics it belongs to"),
                Column("missing", "i8", "", "boards that it lacks"),
            ),
        ),
    )


MESH_SAMPLES = 256
"""Places along each track of a mesh."""


class TrackMesh(Records):
    """Tracks over a grid of particle, kinetic energy and polar angle (the last runs fastest); one row a node.

    A track starts at the origin with azimuth 0; its samples lie at equal steps of path, from the start to the end of its
    range (or to the longest path). A sample gives the place as a point on a circle, ``x = center_x + radius cos(phase)``
    and ``y = center_y + radius sin(phase)``, because centre, radius and phase change slowly from node to node where x and y
    oscillate. Stored as plain arrays, which workers map into memory.
    """

    name = "tpc.mesh"
    version = 1
    storage = "arrays"
    tables = (
        Table(
            "events",
            (
                Column("Z", "i4", "", "charge number of the particle"),
                Column("A", "i4", "", "mass number of the particle"),
                Column("ke", "f8", "MeV", "kinetic energy at the start"),
                Column("polar", "f8", "rad", "angle to +z at the start"),
                Column("length", "f8", "mm", "path from the start to the last sample"),
                Column(
                    "samples",
                    "f4",
                    "mm, mm, mm, rad, mm, MeV",
                    "center_x, center_y, radius, phase, z and kinetic energy at each sample",
                    shape=(MESH_SAMPLES, 6),
                ),
            ),
            per=None,
        ),
    )


_TRACK = (
    Column("event", "i8", "", "event number in the run file"),
    Column("cluster_index", "i8", "", "row of the cluster within its event in tpc.clusters"),
    Column("cluster_label", "i8", "", "label of the cluster"),
    *ORIGIN[1:],
    Column("Z", "i8", "", "charge number of the particle"),
    Column("A", "i8", "", "mass number of the particle"),
)
"""Which track a row is about, and as what it was taken."""


class Fits(Records):
    """Tracks fitted with the motion of a particle in gas and fields. One row a track and particle whose gate it passes.

    What was not fitted stands in `left_out` with the reason: 1 the ion chamber, 2 no gate, 3 outside of the mesh, 4 too
    few points.
    """

    name = "tpc.fits"
    version = 1
    storage = "parquet"
    tables = (
        Table(
            "fits",
            (
                *_TRACK,
                Column("vertex_x", "f8", "mm"),
                Column("sigma_vx", "f8", "mm"),
                Column("vertex_y", "f8", "mm"),
                Column("sigma_vy", "f8", "mm"),
                Column("vertex_z", "f8", "mm"),
                Column("sigma_vz", "f8", "mm"),
                Column("brho", "f8", "T·m", "magnetic rigidity at the vertex"),
                Column("sigma_brho", "f8", "T·m"),
                Column("ke", "f8", "MeV", "kinetic energy at the vertex"),
                Column("sigma_ke", "f8", "MeV"),
                Column("polar", "f8", "rad", "angle to the beam at the vertex, 0 to π"),
                Column("sigma_polar", "f8", "rad"),
                Column("azimuthal", "f8", "rad", "direction of motion at the vertex, 0 to 2π"),
                Column("sigma_azimuthal", "f8", "rad"),
                Column("redchisq", "f8", "", "chi square of the mean distances of stretches of 30 mm, over degrees of freedom"),
                *(
                    Column(f"cov_{a}_{b}", "f8", "", f"covariance of {a} and {b}, in their units")
                    for i, a in enumerate(("vx", "vy", "vz", "brho", "polar", "azimuthal"))
                    for b in ("vx", "vy", "vz", "brho", "polar", "azimuthal")[i + 1 :]
                ),
                Column("points", "i8", "", "points that belong to the track"),
                Column("rms", "f8", "mm", "root of the mean squared distance of these points from the track"),
                Column("length", "f8", "mm", "path along the track from the vertex to the last point"),
                Column("iterations", "i8"),
                Column("status", "i8", "", "0 converged; 1 too many iterations, 2 at a bound, 3 no covariance, 4 left the mesh"),
                Column("direction", "i8", "", "0 forward, 1 backward, as Spyral writes it"),
                *(Column(c.name, "f8", c.unit, c.doc) for c in (ION_CHAMBER[0], ION_CHAMBER[3])),
            ),
        ),
        Table(
            "left_out",
            (
                *_TRACK,
                Column("reason", "i8", "", "1 the ion chamber, 2 no gate, 3 outside of the mesh, 4 too few points"),
            ),
        ),
    )


class Kinematics(Records):
    """The reaction behind each fitted ejectile: beam energy at the vertex, excitation energy, angle. One row a fit."""

    name = "tpc.kinematics"
    version = 1
    storage = "parquet"
    tables = (
        Table(
            "kinematics",
            (
                *_TRACK,
                Column("vertex_z", "f8", "mm"),
                Column("beam_ke", "f8", "MeV", "kinetic energy of the beam at the vertex"),
                Column("ke", "f8", "MeV", "kinetic energy of the ejectile at the vertex"),
                Column("polar", "f8", "rad", "angle of the ejectile to the beam"),
                Column("ex", "f8", "MeV", "excitation energy of the residual nucleus"),
                Column("sigma_ex", "f8", "MeV", "its error, from the covariance of the fit"),
                Column("theta_cm", "f8", "rad", "angle of the ejectile in the centre of mass, 0 along the beam"),
                Column("status", "i8", "", "that of the fit; 10 another particle, 11 no beam energy left, 12 no such residue"),
            ),
        ),
    )
