"""``dranspose.data.positioncap`` and ``dranspose.middlewares.positioncap``: values that a PandABox sends as lines of text."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from penstock.compat.dranspose.models import Model
from penstock.stream import positioncap
from penstock.stream.models import StreamData
from penstock.stream.positioncap import PositioncapField as PositionCapField

__all__ = ["PositionCapEnd", "PositionCapField", "PositionCapPacketType", "PositionCapStart", "PositionCapValues", "PositioncapParser"]


def _contribution(text: str) -> StreamData:
    return StreamData(positioncap.TYP, [text.encode()])


class PositionCapStart(Model, positioncap.PositioncapStart, fields=()):
    """A series begins at `arm_time`: UTC, without a time zone."""

    arm_time: datetime

    def to_stream_data(self, fields: Iterable[PositionCapField]) -> StreamData:
        """The header that announces these fields."""
        columns = [(*field.name.rpartition(".")[::2], field.type) for field in fields]
        lines = [f"arm_time: {self.arm_time:%Y-%m-%dT%H:%M:%S.%f}Z", "missed: 0", "process: Scaled", "format: ASCII", "fields:"]
        return _contribution("\n".join([*lines, *(f" {name} {kind} {capture}" for name, capture, kind in columns), ""]))


class PositionCapValues(Model, positioncap.PositioncapValues, fields={}):
    """Values of one trigger: `fields` by name."""

    fields: dict[str, PositionCapField]

    def to_stream_data(self) -> StreamData:
        """The line of these values."""
        return _contribution(f" {' '.join(str(field.value) for field in self.fields.values())}\n")


class PositionCapEnd(Model, positioncap.PositioncapEnd, samples=None, reason=""):
    """A series is over."""

    def to_stream_data(self) -> StreamData:
        """The last line."""
        return _contribution("END 0 Disarmed\n")


PositionCapPacketType = PositionCapStart | PositionCapValues | PositionCapEnd
_NAMES: dict[type, type] = {
    positioncap.PositioncapStart: PositionCapStart,
    positioncap.PositioncapValues: PositionCapValues,
    positioncap.PositioncapEnd: PositionCapEnd,
}


class PositioncapParser(positioncap.PositioncapParser):
    """Parses the messages of one stream in their order; a further header starts anew."""

    def parse(self, data: StreamData) -> Any:
        """The message that the stream contributed to the next event."""
        message = super().parse(data)
        message.__class__ = _NAMES[type(message)]
        if isinstance(message, PositionCapStart):
            message.arm_time = message.arm_time.replace(tzinfo=None)
        return message
