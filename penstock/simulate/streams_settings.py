"""Settings of simulated event streams."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from penstock.core.params import Params

__all__ = ["StreamSimulation"]


class StreamSimulation(Params):
    """A mesh scan of a powder on an area detector: images, positions of motors, and values of a slow device."""

    seed: NonNegativeInt = 1
    """Seed of all randomness, together with run and point."""

    shape: tuple[int, int] = (64, 64)
    """Rows and columns of the detector."""
    side_mm: PositiveFloat = 48.0
    """Length of the detector's longer side; the beam hits its middle."""
    distance_mm: PositiveFloat = 60.0
    """From the sample to the detector."""
    wavelength_angstrom: PositiveFloat = 0.7
    """Of the X-rays."""
    lattice_angstrom: PositiveFloat = 4.157
    """Lattice constant of the cubic powder, at the middle of the scan."""
    strain: float = Field(default=0.01, gt=-0.1, lt=0.1)
    """Relative change of the lattice constant from the middle of the scan to its end in sx."""
    ring_counts: tuple[NonNegativeFloat, ...] = Field(default=(60.0, 45.0, 20.0, 15.0), min_length=1, max_length=4)
    """Counts of a pixel on the rings 100, 110, 111 and 200, where there is most powder."""
    ring_sigma: PositiveFloat = 0.08
    """Width of the rings in q, in 1/angstrom."""
    background_counts: NonNegativeFloat = 4.0
    """Counts of a pixel between the rings."""
    grain: PositiveFloat = 0.5
    """Radius of the grain of powder in the middle of the scan, in parts of the scanned range."""
    dead_pixels: NonNegativeInt = 3
    """Pixels that always say the greatest value of their type."""

    columns: NonNegativeInt = 0
    """Points of a line of the mesh; 0 takes about as many as there are lines."""
    range_mm: PositiveFloat = 1.0
    """The motors go from minus to plus this."""
    exposure_s: PositiveFloat = 0.1
    """Time between two points."""
    slow_every: PositiveInt = 4
    """The PandABox sends values at every so-manieth point."""

    lost_images: float = Field(default=0.0, ge=0, lt=1)
    """Part of the images that get lost on their way."""
    lost_positions: float = Field(default=0.0, ge=0, lt=1)
    """Part of the messages with positions that get lost."""
    compression: Literal["none", "bslz4"] = "none"
    """How images are compressed."""
    layout: Literal["events", "raw"] = "events"
    """What captures hold: events, as replays read them, or messages as they came from the wire."""

    def mesh_columns(self, points: int) -> int:
        """Points of a line, for a scan of so many points."""
        return self.columns or max(2, math.isqrt(points))
