"""Parameters of our stages. Light: planning and the command line import it."""

from pydantic import Field, PositiveFloat, PositiveInt

from penstock.core.params import Params

__all__ = ["EnergyParams", "InsideParams", "OneTrackParams"]


class InsideParams(Params):
    """Which points count as lying inside the detector."""

    z_min_mm: float = 0.0
    """Points nearer to the window are left out."""

    z_max_mm: float = 1000.0
    """Points further from the window are left out."""


class OneTrackParams(Params):
    """How an event becomes a single track."""

    min_points: PositiveInt = 50
    """An event with fewer points has no track."""

    direction_threshold: float = Field(default=0.5, ge=0, le=1)
    """Least fraction of all turning that goes one way before a track gets a direction."""


class EnergyParams(Params):
    """Which particle a track is taken for."""

    mass_mev: PositiveFloat = 938.272
    """Rest energy of the nucleus."""

    charge: PositiveInt = 1
    """Charge number of the nucleus."""
