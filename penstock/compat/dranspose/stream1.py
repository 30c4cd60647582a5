"""``dranspose.data.stream1`` and ``dranspose.middlewares.stream1``: STINS."""

from __future__ import annotations

from penstock.compat.dranspose.models import Adapter, Model, rename
from penstock.stream import stins
from penstock.stream.stins import StinsPacket as Stream1

__all__ = ["Stream1", "Stream1Data", "Stream1End", "Stream1Packet", "Stream1Start", "parse"]


class Stream1Start(Model, stins.StinsStart, htype="header"):
    """A series begins; nothing is to be saved where `filename` is empty."""


class Stream1Data(Model, stins.StinsImage, htype="image"):
    """An image; `data` holds its pixels."""


class Stream1End(Model, stins.StinsEnd, htype="series_end"):
    """A series is over."""


Stream1Packet = Adapter("STINS", "htype", {"header": Stream1Start, "image": Stream1Data, "series_end": Stream1End})
parse = rename(stins.parse, Stream1Start, Stream1Data, Stream1End)
