"""``dranspose.data.lecroy`` and ``dranspose.middlewares.lecroy``: traces of an oscilloscope."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from penstock.compat.dranspose.models import Adapter, Model, rename
from penstock.stream import lecroy
from penstock.stream.models import StreamData

__all__ = [
    "LECROY_TYPE",
    "LecroyBase",
    "LecroyData",
    "LecroyEnd",
    "LecroyPacket",
    "LecroyParsed",
    "LecroyPrepare",
    "LecroySeqEnd",
    "LecroySeqStart",
    "WhatEnum",
    "parse",
]

LECROY_TYPE = "lecroy_9fwdWp6Rq7"


class WhatEnum(IntEnum):
    """What a message says."""

    PREPARE = 0
    START = 1
    SEQEND = 2
    STOP = 3


class LecroyBase(Model):
    """What all messages have."""

    def to_stream_data(self) -> StreamData:
        """The message as a stream contributes it to an event."""
        return StreamData(LECROY_TYPE, [self.model_dump_json().encode()])


class LecroyPrepare(LecroyBase, lecroy.LecroyPrepare):
    """A series begins."""


class LecroySeqStart(LecroyBase):
    """A sequence begins."""

    required = lecroy.LecroyTraces.required


class LecroySeqEnd(LecroyBase):
    """A sequence is over."""

    required = ("htype", "what", "frame")


class LecroyEnd(LecroyBase, lecroy.LecroyStop):
    """A series is over."""


class LecroyData(LecroyBase, lecroy.LecroyTrace):
    """What is known of the traces of one channel."""


class LecroyParsed(LecroySeqStart, lecroy.LecroyTraces):
    """A sequence: `meta`, `data` and `timestamps`, each with an entry a channel."""


LecroyPacket = Adapter(
    "LeCroy",
    "what",
    {
        WhatEnum.PREPARE: LecroyPrepare,
        WhatEnum.START: LecroySeqStart,
        WhatEnum.SEQEND: LecroySeqEnd,
        WhatEnum.STOP: LecroyEnd,
        None: LecroyData,  # traces have no such field
    },
)
_parse = rename(lecroy.parse, LecroyPrepare, LecroyEnd, LecroyParsed)


def parse(data: StreamData) -> Any:
    """The message in the frames that a stream contributes to an event."""
    message = _parse(data)
    if isinstance(message, LecroyParsed):
        for trace in message.meta:
            trace.__class__ = LecroyData
    return message
