"""``dranspose.data.sardana`` and ``dranspose.middlewares.sardana``: records of a scan."""

from __future__ import annotations

from penstock.compat.dranspose.models import Adapter, Model, rename
from penstock.stream import sardana

__all__ = ["SardanaDataDescription", "SardanaPacket", "SardanaPacketType", "SardanaRecordData", "SardanaRecordEnd", "parse"]


class SardanaDataDescription(Model, sardana.SardanaDataDesc, type="DataDescription"):
    """A scan begins."""


class SardanaRecordData(Model, sardana.SardanaRecordData, type="RecordData"):
    """A point of the scan; columns by name."""


class SardanaRecordEnd(Model, sardana.SardanaRecordEnd, type="RecordEnd"):
    """A scan is over."""


SardanaPacketType = SardanaDataDescription | SardanaRecordData | SardanaRecordEnd
SardanaPacket = Adapter(
    sardana.TYP,
    "type",
    {"DataDescription": SardanaDataDescription, "RecordData": SardanaRecordData, "RecordEnd": SardanaRecordEnd},
)
parse = rename(sardana.parse, SardanaDataDescription, SardanaRecordData, SardanaRecordEnd)
