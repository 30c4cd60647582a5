"""``dranspose.data.contrast`` and ``dranspose.middlewares.contrast``: what the scan program publishes."""

from __future__ import annotations

import pickle

from penstock.compat.dranspose.models import Adapter, Model, rename
from penstock.stream import contrast
from penstock.stream.models import StreamData

__all__ = ["ContrastBase", "ContrastFinished", "ContrastHeartbeat", "ContrastPacket", "ContrastRunning", "ContrastStarted", "parse"]


class ContrastBase(Model):
    """What all messages have."""

    def to_stream_data(self) -> StreamData:
        """The message as a stream contributes it to an event."""
        return StreamData(contrast.TYP, [pickle.dumps(self.model_dump())])


class ContrastStarted(ContrastBase, contrast.ContrastStarted, status="started"):
    """A scan begins."""


class ContrastRunning(ContrastBase, contrast.ContrastRunning, status="running"):
    """A point of the scan; positions of motors and values of detectors by their names."""


class ContrastFinished(ContrastBase, contrast.ContrastFinished, status="finished"):
    """A scan is over."""


class ContrastHeartbeat(ContrastBase, contrast.ContrastHeartbeat):
    """The scan program is alive."""


ContrastPacket = Adapter(
    contrast.TYP,
    "status",
    {"started": ContrastStarted, "running": ContrastRunning, "finished": ContrastFinished, "heartbeat": ContrastHeartbeat},
)
parse = rename(contrast.parse, ContrastStarted, ContrastRunning, ContrastFinished, ContrastHeartbeat)
