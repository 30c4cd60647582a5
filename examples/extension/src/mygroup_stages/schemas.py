"""What our stages write. Light: planning and the command line import it."""

from penstock.core.schema import Column, Records, Table

__all__ = ["Energies"]


class Energies(Records):
    """Energy of each track, taken for one particle. One row an estimate."""

    name = "mygroup.energies"
    version = 1
    storage = "parquet"
    tables = (
        Table(
            "energies",
            (
                Column("event", "i8", "", "event number in the run file"),
                Column("cluster_index", "i8", "", "row of the cluster within its event"),
                Column("angle", "f8", "rad", "angle to the beam at the vertex"),
                Column("radius", "f8", "mm", "median distance of the points from the centre of the circle"),
                Column("energy", "f8", "MeV", "kinetic energy at the vertex"),
            ),
        ),
    )
