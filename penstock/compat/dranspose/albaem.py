"""``dranspose.data.albaem``: currents of the electrometer."""

from __future__ import annotations

from penstock.compat.dranspose.models import Adapter, Model
from penstock.stream import albaem

__all__ = ["AlbaemBase", "AlbaemData", "AlbaemEnd", "AlbaemPacket", "AlbaemStart"]


class AlbaemBase(Model):
    """What all messages have."""


class AlbaemStart(AlbaemBase, albaem.AlbaemStart):
    """A series begins."""


class AlbaemData(AlbaemBase, albaem.AlbaemValues):
    """The channels at one trigger."""


class AlbaemEnd(AlbaemBase, albaem.AlbaemEnd):
    """A series is over."""


AlbaemPacket = Adapter(albaem.TYP, "message_type", {"series-start": AlbaemStart, "data": AlbaemData, "series-end": AlbaemEnd})
