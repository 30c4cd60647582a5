"""Positioncap: values that a PandABox captured, as lines of text from its data port (TCP 8889, format ASCII).

A header names the columns, each line after it is one trigger, and a line `END` closes the series. The format is described in
https://github.com/PandABlocks/PandABlocks-server/blob/master/docs/capture.rst
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from penstock.core.errors import BadEvent
from penstock.stream._assembler import only_frame
from penstock.stream._json_message import time_of
from penstock.stream._positioncap_lines import HEADER, NAME, TYP, PositioncapAssembler, count_of, split_header
from penstock.stream.models import StreamData
from penstock.stream.packet import Message

__all__ = [
    "TYP",
    "PositioncapAssembler",
    "PositioncapEnd",
    "PositioncapField",
    "PositioncapMessage",
    "PositioncapParser",
    "PositioncapStart",
    "PositioncapValues",
    "parse",
]

_READ: dict[str, Callable[[bytes], int | float]] = {
    **{f"{sign}int{bits}": int for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **dict.fromkeys(("double", "float", "float32", "float64"), float),
}


@dataclass(slots=True)
class PositioncapField:
    """A column: its name with what was captured of it, such as ``INENC1.VAL.Mean``, its type, and in a line its value."""

    name: str
    type: str
    value: int | float | None = None


class PositioncapStart(Message):
    """A series begins.

    Attributes
    ----------
    arm_time
        When the PandABox was armed (a `datetime` with its time zone).
    fields
        Columns, without values.
    missed, process, format
        As the header has them (text): triggers before the connection, ``Scaled`` or not, ``ASCII``.
    """

    required = ("arm_time", "fields")
    arm_time: datetime
    fields: list[PositioncapField]


class PositioncapValues(Message):
    """What was captured at one trigger: `fields` by name."""

    required = ("fields",)
    fields: dict[str, PositioncapField]


class PositioncapEnd(Message):
    """A series is over: how many `samples` the PandABox sent (None where it does not say), and the `reason`, such as ``Disarmed``."""

    required = ("samples", "reason")
    samples: int | None
    reason: str


PositioncapMessage = PositioncapStart | PositioncapValues | PositioncapEnd


class PositioncapParser:
    """Parses the messages of one stream in their order: lines make sense only with the header before them.

    A further header starts anew.
    """

    def __init__(self) -> None:
        self._start: PositioncapStart | None = None

    @property
    def arm_time(self) -> datetime | None:
        """When the PandABox was armed; None before the first header."""
        return self._start.arm_time if self._start else None

    @property
    def fields(self) -> list[PositioncapField]:
        """Columns of the last header."""
        return list(self._start.fields) if self._start else []

    def parse(self, data: StreamData) -> PositioncapMessage:
        """The message that the stream contributed to the next event.

        Raises
        ------
        BadEvent
            It is damaged, of another protocol, or a line of values comes before any header.
        """
        start = self._start
        if data.frames and bytes(data.frames[0][: len(HEADER)]) == HEADER:
            self._start = None
        message = parse(data, start)
        if isinstance(message, PositioncapStart):
            self._start = message
        return message


def parse(data: StreamData, start: PositioncapStart | None = None) -> PositioncapMessage:
    """The message that a stream contributed to an event.

    Parameters
    ----------
    start
        The start of the series, which lines of values need; `PositioncapParser` keeps it.

    Raises
    ------
    BadEvent
        It is damaged, of another protocol, or a line of values without `start`.
    """
    content = bytes(only_frame(data, TYP))
    if content.startswith(HEADER):
        return _read_header(content)
    if content.startswith(b"END"):
        _, samples, reason = (*content.decode(errors="replace").split(maxsplit=2), "", "")[:3]
        return PositioncapEnd(samples=count_of(samples), reason=reason.strip())
    if start is None:
        raise BadEvent(
            f"{NAME}: a line of values has no good header before it, one that begins with 'arm_time:'; it begins with {content[:40]!r}. "
            "Parse the messages of a stream in order with one PositioncapParser."
        )
    return _read_values(content, start.fields)


def _read_header(content: bytes) -> PositioncapStart:
    told, columns = split_header(content)
    if told.get("format", "ASCII").upper() != "ASCII":
        raise BadEvent(f"{NAME}: field 'format' is {told['format']!r}, expected 'ASCII'. Connect with an empty line of options.")
    fields = []
    for line in columns:
        name, kind, capture = (*line.split(), "", "", "")[:3]
        if kind not in _READ or not capture:
            raise BadEvent(
                f"{NAME}: field {name!r} has type {kind!r} and capture {capture!r}, expected one of {', '.join(_READ)}, and a word."
            )
        fields.append(PositioncapField(f"{name}.{capture}", kind))
    arm_time = time_of(told.pop("arm_time"), "arm_time", NAME)
    return PositioncapStart(
        arm_time=arm_time, **{name: told[name] for name in ("missed", "process", "format") if name in told}, fields=fields
    )


def _read_values(line: bytes, fields: Sequence[PositioncapField]) -> PositioncapValues:
    words = line.split()
    if len(words) != len(fields):
        raise BadEvent(f"{NAME}: a line has {len(words)} values, expected {len(fields)}, one a field; it begins with {line[:40]!r}.")
    values = {}
    for field, word in zip(fields, words, strict=True):
        try:
            values[field.name] = PositioncapField(field.name, field.type, _READ[field.type](word))
        except ValueError:
            raise BadEvent(f"{NAME}: field {field.name!r} is {word.decode(errors='replace')!r}, expected {field.type}.") from None
    return PositioncapValues(fields=values)
