"""``dranspose.data.pcap`` and ``dranspose.middlewares.pcap``: values that a PandABox captured, over ZMQ."""

from __future__ import annotations

from penstock.compat.dranspose.models import Adapter, Model, rename
from penstock.stream import pcap
from penstock.stream.models import StreamData

__all__ = ["PCAPBase", "PCAPData", "PCAPEnd", "PCAPPacket", "PCAPStart", "parse"]


class PCAPBase(Model):
    """What all messages have."""

    def to_stream_data(self) -> StreamData:
        """The message as a stream contributes it to an event."""
        return StreamData(pcap.TYP, [self.model_dump_json().encode()])


class PCAPStart(PCAPBase, pcap.PcapStart):
    """A series begins at `arm_time`."""


class PCAPData(PCAPBase, pcap.PcapValues):
    """Values of one trigger."""


class PCAPEnd(PCAPBase, pcap.PcapEnd):
    """A series is over."""


PCAPPacket = Adapter(pcap.TYP, "message_type", {"series-start": PCAPStart, "data": PCAPData, "series-end": PCAPEnd})
parse = rename(pcap.parse, PCAPStart, PCAPData, PCAPEnd)
