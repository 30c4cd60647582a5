"""Parameters of the reductions of the family ``events``: what is taken from each event, and what is made of it."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from penstock.core.params import Params

__all__ = [
    "AxisSelection",
    "ExtremesParams",
    "FieldSelection",
    "HistogramParams",
    "MapParams",
    "MeanParams",
    "ProfileParams",
    "Region",
    "ScalarSelection",
    "Selection",
    "StackParams",
    "Statistic",
    "SumParams",
    "TimeSeriesParams",
]

Statistic = Literal["sum", "mean", "min", "max"]
_REGION = re.compile(r"\s*(\d*)\s*:\s*(\d*)\s*")


def _region_text(value: object) -> object:
    """A region as text; a list holds first and past-the-last index of each axis."""
    if isinstance(value, list | tuple) and value and len(value) % 2 == 0 and all(type(n) is int for n in value):
        return ",".join(f"{start}:{stop}" for start, stop in zip(value[::2], value[1::2], strict=True))
    return value


def _check_region(value: object) -> object:
    for part in value.split(",") if isinstance(value, str) and value else ():
        found = _REGION.fullmatch(part)
        if found is None or (found[1] and found[2] and int(found[1]) >= int(found[2])):
            raise ValueError(f"{part!r} is not 'start:stop' of whole numbers with start below stop; a region is such as '0:2,8:10'")
    return value


Region = Annotated[str, BeforeValidator(_check_region), BeforeValidator(_region_text)]
"""Rows and columns as text, ``0:2,8:10``, or as a list of four numbers; an end that is left out is that of the axis."""


class FieldSelection(Params):
    """A field of what a stream contributes to events."""

    stream: str = ""
    """Name of the stream; empty: the only one of the run."""

    field: str = "data"
    """Field of the parsed message: 'data' (pixels, also of an Eiger), 'meta.ocr', 'pseudo.x', 'channel1', 'fields.INENC1.VAL.Mean'."""

    channel: NonNegativeInt | None = None
    """Index along the first axis; without, all of it."""

    valid_min: float | None = None
    """Lesser values are masked."""

    valid_max: float | None = None
    """Greater values are masked."""

    mask_top: bool = True
    """Whether the greatest value of an unsigned type is masked: detectors write it where they have no value."""

    unit: str = ""
    """Unit of the values, for the axes of figures."""


class Selection(FieldSelection):
    """A field of what a stream contributes to events, or a region of it."""

    region: Region = ""
    """Rows and columns that are used, such as '0:2,8:10' or [0, 2, 8, 10]; without, all."""


class ScalarSelection(Selection):
    """One number an event: a field that is a number, or a statistic of an array."""

    statistic: Statistic = "sum"
    """What is made of the valid values of an array."""


class AxisSelection(ScalarSelection):
    """A motor position, one number an event, and the grid that positions are sorted into."""

    field: str = ""
    """Field of the parsed message, such as 'pseudo.x'; empty: there is no such axis."""

    statistic: Statistic = "mean"
    """What is made of the valid values of an array."""

    step: PositiveFloat | None = None
    """Positions are rounded to multiples of it; `low`, `high` and `bins` are not used then."""

    low: float = 0.0
    """Lower end of the first bin."""

    high: float = 1.0
    """Upper end of the last bin."""

    bins: PositiveInt = Field(default=100, le=100_000)
    """Equal bins from `low` to `high`."""

    @model_validator(mode="after")
    def _ascending(self) -> AxisSelection:
        if self.low >= self.high:
            raise ValueError(f"low {self.low!r} is not below high {self.high!r}")
        return self


class SumParams(Params):
    """The sum over all events, value by value."""

    values: Selection = Selection()
    """What is summed."""


class MeanParams(Params):
    """Mean and variance over all events, value by value."""

    values: Selection = Selection()
    """What is averaged."""


class ExtremesParams(Params):
    """The least and the greatest of all events, value by value, and where they are."""

    values: Selection = Selection()
    """What is compared."""


class HistogramParams(Params):
    """How often values occur, over all events."""

    values: Selection = Selection()
    """What is counted."""

    of: Literal["values", "sum", "mean", "min", "max"] = "values"
    """Every value, or one number an event: this statistic of its values."""

    low: float = 0.0
    """Lower end of the first bin; what is less is counted as underflow."""

    high: float = 1024.0
    """Upper end of the last bin, which holds it too; what is greater is counted as overflow."""

    bins: PositiveInt = Field(default=256, le=10_000_000)
    """Equal bins from `low` to `high`."""

    @model_validator(mode="after")
    def _ascending(self) -> HistogramParams:
        if self.low >= self.high:
            raise ValueError(f"low {self.low!r} is not below high {self.high!r}")
        return self


class StackParams(Params):
    """The values of all events, one after the other."""

    values: Selection = Selection()
    """What is kept. Nothing is masked."""

    max_gb: PositiveFloat = 4.0
    """Largest stack, in GB (10^9 bytes) before compression."""


class TimeSeriesParams(Params):
    """One number an event, against event number, time or frame."""

    values: ScalarSelection = ScalarSelection()
    """The number."""

    against: Literal["event", "time", "frame"] = "event"
    """What it is plotted against first; the file holds all three."""


class MapParams(Params):
    """Mean and count of one number an event, by one or two motor positions."""

    signal: ScalarSelection = ScalarSelection()
    """The number."""

    x: AxisSelection = AxisSelection()
    """The position along x, which must be given."""

    y: AxisSelection = AxisSelection()
    """The position along y; without, the map is a line."""


class ProfileParams(Params):
    """Azimuthal integration of images: intensity by scattering vector or angle."""

    image: FieldSelection = FieldSelection()
    """The images, of the shape of the detector in the PONI file."""

    poni: str = ""
    """PONI file, relative to experiment.toml. Its content stands in the key."""

    geometry: str = ""
    """Content of `poni`. Filled in when planning."""

    bins: PositiveInt = Field(default=500, le=1_000_000)
    """Equal radial bins."""

    radial: Literal["q_nm^-1", "q_A^-1", "2th_deg", "2th_rad", "r_mm"] = "q_nm^-1"
    """Radial coordinate and its unit."""

    radial_range: tuple[float, float] | None = None
    """Ends of the bins; without, the centres of all pixels lie in them."""

    splitting: Literal["none", "bbox"] | PositiveInt = "none"
    """Pixels belong to the bin of their centre, are spread over their bounding box, or are split into n × n parts."""

    solid_angle: bool = True
    """Whether to correct for the solid angle of each pixel."""

    polarization: float | None = Field(default=None, ge=-1.0, le=1.0)
    """Factor of the beam's polarisation, from -1 (vertical) to 1 (horizontal); without, no correction."""

    each_event: bool = True
    """Whether the profile of each event is kept beside that of all."""
