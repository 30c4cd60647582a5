"""The stream of Xspress3 pulse processors: a spectrum a channel, and scalers of the dead-time correction.

An image is one message of three parts (JSON, spectra, pickled list of scalers); older senders publish the three parts as three
messages, which the assembler joins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from numpy.typing import NDArray

from penstock.core.errors import BadEvent
from penstock.stream._arrays import array_of, dtype_of
from penstock.stream._assembler import WholeMessages
from penstock.stream._deferred import DeferredMessage
from penstock.stream._header_fields import Kind, frames_of, header_of, kind_of, sides_of
from penstock.stream._json_message import whole_number
from penstock.stream.models import Frame, StreamData
from penstock.stream.packet import Message, Packet
from penstock.stream.safe_pickle import loads

__all__ = ["META", "XspressAssembler", "XspressEnd", "XspressImage", "XspressPacket", "XspressStart", "parse"]

META = ("ocr", "AllEvents", "AllGood", "ClockTicks", "TotalTicks", "ResetTicks", "event_widths", "dtc", "window_counts")
"""Names of the scalers, in the order of the wire. Only later firmware sends the last one."""

_KINDS: dict[str, Kind] = {"header": "start", "image": "data", "series_end": "end"}


class XspressPacket(Message):
    """A message of an Xspress3."""

    required: ClassVar[tuple[str, ...]] = ("htype",)
    htype: str


class XspressStart(XspressPacket):
    """Opens a series; `filename` is where the spectra are saved."""

    required = ("htype", "filename")
    filename: str


class XspressImage(DeferredMessage, XspressPacket):
    """The spectra of one exposure.

    Attributes
    ----------
    data
        Counts, (channels, bins), read-only.
    meta
        Scalers by their name in `META`, each with one value a channel; read when first asked for.
    """

    required = ("htype", "frame", "shape", "exptime", "type", "compression")
    frame: int
    shape: list[int]
    exptime: float
    type: str
    compression: str
    data: NDArray[Any]
    meta: dict[str, NDArray[Any]]


class XspressEnd(XspressPacket):
    """Closes a series."""


def parse(data: StreamData) -> XspressPacket:
    """The message of these frames; spectra stay where they are.

    Raises
    ------
    BadEvent
        The header is damaged or of unknown type, or does not fit the spectra.
    """
    frames = frames_of(data, "xspress", "Xspress3")
    header = header_of(frames, "Xspress3")
    kind = kind_of(header, _KINDS, "Xspress3")
    if kind == "data":
        return _image(header, frames)
    return (XspressStart if kind == "start" else XspressEnd).of(header)  # type: ignore[no-any-return]


def _image(header: dict[str, Any], frames: Sequence[Frame]) -> XspressImage:
    message: XspressImage = XspressImage.of(header)
    whole_number(header, "frame", "Xspress3")
    _check_parts(frames)
    if header["compression"] != "none":
        raise BadEvent(f"Xspress3: field 'compression' is {header['compression']!r}, expected 'none'.")
    header["data"] = array_of(frames[1], dtype_of(header["type"], "type", "Xspress3"), header["shape"], "Xspress3")
    message.defer(meta=partial(_meta, frames[2]))
    return message


def _meta(frame: Frame) -> dict[str, NDArray[Any]]:
    values = loads(frame, "Xspress3 scalers")
    if not isinstance(values, list) or len(values) < 8:
        found = f"a list of {len(values)}" if isinstance(values, list) else type(values).__name__
        raise BadEvent(f"Xspress3: the scalers are {found}, expected a list of at least 8: {', '.join(META[:8])}.")
    return dict(zip(META, values, strict=False))


class XspressAssembler(WholeMessages):
    """Packets of the messages of one Xspress3; three messages of an older sender make one packet.

    An image that lacks one of its messages is left out, and its other messages with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[Frame] = []
        self._number = 0
        self._size = 0

    def _packets(self, message: Sequence[Frame]) -> Sequence[Packet]:
        if len(message) == 1 and not _is_header(message[0]):
            return self._join(message[0])
        self._drop()
        header = header_of(message, "Xspress3")
        kind = kind_of(header, _KINDS, "Xspress3")
        if kind != "data":
            return (Packet(kind, StreamData("xspress", list(message))),)
        number = whole_number(header, "frame", "Xspress3")
        if len(message) == 1:
            itemsize = dtype_of(header.get("type"), "type", "Xspress3").itemsize
            self._size = math.prod(sides_of(header, "Xspress3")) * itemsize
            self._number, self._parts = number, [message[0]]
            return ()
        _check_parts(message)
        return (Packet("data", StreamData("xspress", list(message)), number),)

    def _join(self, part: Frame) -> Sequence[Packet]:
        """Take spectra or scalers that come as a message of their own, in their order only."""
        if len(self._parts) == 1 and len(part) == self._size:
            self._parts.append(part)
            return ()
        if len(self._parts) == 2 and bytes(part[:1]) == b"\x80":
            image, self._parts = [*self._parts, part], []
            return (Packet("data", StreamData("xspress", image), self._number),)
        self._drop()
        self._left_out["part without its image"] += 1
        return ()

    def _drop(self) -> None:
        if self._parts:
            self._parts = []
            self._left_out["incomplete image"] += 1

    def close(self) -> Mapping[str, int]:
        """What was left out, counted by reason, an image that is not complete yet with it."""
        self._drop()
        return super().close()


def _check_parts(frames: Sequence[Frame]) -> None:
    if len(frames) != 3:
        raise BadEvent(f"Xspress3: an image has {len(frames)} frames, expected 3: header, spectra and scalers.")


def _is_header(part: Frame) -> bool:
    """Spectra may begin with a brace, by chance; they do not go on as JSON."""
    return bytes(part[:2]) in (b'{"', b"{ ", b"{}", b"{\n") and bytes(part[-1:]) == b"}"
