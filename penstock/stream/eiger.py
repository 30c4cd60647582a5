"""The stream of Dectris Eiger detectors, first version: messages ``dheader-1.0``, ``dimage-1.0`` and ``dseries_end-1.0``.

Source: Dectris, "SIMPLON API Reference", chapter "Stream". Shapes in the protocol are (x, y), with x the fastest; arrays here are (rows, columns).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import orjson
from numpy.typing import NDArray

from penstock.core.errors import BadEvent
from penstock.stream._arrays import array_of, dtype_of
from penstock.stream._assembler import WholeMessages
from penstock.stream._header_fields import Kind, frames_of, header_of, kind_of, sides_of
from penstock.stream._json_message import read_object, whole_number
from penstock.stream.models import Frame, StreamData
from penstock.stream.packet import Message, Packet

__all__ = ["EigerAssembler", "EigerEnd", "EigerImage", "EigerPacket", "EigerStart", "parse"]

_KINDS: dict[str, Kind] = {"dheader-1.0": "start", "dimage-1.0": "data", "dseries_end-1.0": "end"}
_PARTS = {"none": 1, "basic": 2, "all": 8}
"""Parts of a header by its detail; an appendix may follow."""
_TABLES = {"flatfield": 2, "pixel mask": 4, "countrate table": 6}


class EigerPacket(Message):
    """A message of an Eiger."""

    required: ClassVar[tuple[str, ...]] = ("htype", "series")
    htype: str
    series: int


class EigerStart(EigerPacket):
    """Opens a series.

    Attributes
    ----------
    info
        The detector's configuration; empty where `header_detail` is ``none``.
    appendix
        What the user attached, decoded where it is JSON; None without.
    """

    required = ("htype", "header_detail", "series")
    __slots__ = ("_frames",)
    _frames: list[Frame]
    header_detail: str
    info: dict[str, Any]
    appendix: Any

    def flatfield(self) -> NDArray[np.float32] | None:
        """Factor of each pixel, (rows, columns); None unless `header_detail` is ``all``.

        Raises
        ------
        BadEvent
            The table is damaged.
        """
        return self._table("flatfield")

    def pixel_mask(self) -> NDArray[np.uint32] | None:
        """Bits of each pixel, not 0 where it is unusable, (rows, columns); None unless `header_detail` is ``all``.

        Raises
        ------
        BadEvent
            The table is damaged.
        """
        return self._table("pixel mask")

    def countrate_table(self) -> NDArray[np.float32] | None:
        """The correction of count rates, (entries, 2); None unless `header_detail` is ``all``.

        Raises
        ------
        BadEvent
            The table is damaged.
        """
        return self._table("countrate table")

    def _table(self, name: str) -> NDArray[Any] | None:
        part = _TABLES[name]
        frames = getattr(self, "_frames", ())
        if len(frames) < _PARTS["all"]:
            return None
        where = f"Eiger {name}"
        header = read_object(frames[part], where)
        return array_of(frames[part + 1], dtype_of(header.get("type"), "type", where), sides_of(header, where)[::-1], where)

    def __getstate__(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.__dict__, {"_frames": [bytes(frame) for frame in getattr(self, "_frames", ())]}


class EigerImage(EigerPacket):
    """One image.

    Attributes
    ----------
    data
        ``encoding``, ``shape`` as [x, y], ``size`` in bytes, ``type``, and the blob as it came under ``buffer``.
    config
        ``start_time``, ``stop_time``, ``real_time`` in ns.
    appendix
        What the user attached, decoded where it is JSON; None without.
    """

    required = ("htype", "frame", "hash", "series")
    frame: int
    hash: str
    data: dict[str, Any]
    config: dict[str, Any]
    appendix: Any

    def image(self) -> NDArray[Any]:
        """The decoded pixels, (rows, columns), an array of its own.

        Raises
        ------
        BadEvent
            The blob is damaged or does not fit its description.
        """
        from penstock.kernels.decode import decode  # loads numba

        where = f"Eiger image {self.frame}"
        dtype = dtype_of(self.data.get("type"), "type", where)
        return decode(self.data["buffer"], self.data.get("encoding"), dtype, sides_of(self.data, where)[::-1], where)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"data": self.data | {"buffer": bytes(self.data["buffer"])}}


class EigerEnd(EigerPacket):
    """Closes a series."""


def parse(data: StreamData) -> EigerPacket:
    """The message of these frames. Tables and pixels stay as they came until they are asked for.

    Raises
    ------
    BadEvent
        A header is damaged or of unknown type, or there are too few or too many frames.
    """
    header, kind = _checked(frames_of(data, "EIGER_LEGACY", "Eiger"))
    if kind == "start":
        return _start(header, data.frames)
    if kind == "data":
        return _image(header, data.frames)
    return EigerEnd.of(header)  # type: ignore[no-any-return]


def _checked(frames: Sequence[Frame]) -> tuple[dict[str, Any], Kind]:
    """The header and what it says, once the number of frames fits."""
    header = header_of(frames, "Eiger")
    kind = kind_of(header, _KINDS, "Eiger")
    parts = {"data": 4, "end": 1}.get(kind)
    if kind == "start":
        detail = header.get("header_detail")
        parts = _PARTS.get(detail) if isinstance(detail, str) else None
        if parts is None:
            raise BadEvent(f"Eiger: field 'header_detail' is {detail!r}, expected 'none', 'basic' or 'all'.")
    if len(frames) - (parts or 0) not in (0, 1):
        raise BadEvent(f"Eiger: a message {header['htype']!r} has {len(frames)} frames, expected {parts}, or one more with an appendix.")
    return header, kind


def _start(header: dict[str, Any], frames: list[Frame]) -> EigerStart:
    message: EigerStart = EigerStart.of(header)
    parts = _PARTS[header["header_detail"]]
    header["info"] = read_object(frames[1], "Eiger configuration") if parts > 1 else {}
    header["appendix"] = _appendix(frames, parts)
    message._frames = frames  # noqa: SLF001
    return message


def _image(header: dict[str, Any], frames: list[Frame]) -> EigerImage:
    message: EigerImage = EigerImage.of(header)
    whole_number(header, "frame", "Eiger")
    header["data"] = read_object(frames[1], "Eiger image description")
    header["data"]["buffer"] = frames[2]
    header["config"] = read_object(frames[3], "Eiger times of the image")
    header["appendix"] = _appendix(frames, 4)
    return message


def _appendix(frames: Sequence[Frame], part: int) -> Any:
    if len(frames) <= part:
        return None
    try:
        return orjson.loads(frames[part])
    except orjson.JSONDecodeError:
        return bytes(frames[part]).decode(errors="replace")


class EigerAssembler(WholeMessages):
    """Packets of the messages of one Eiger."""

    def _packets(self, message: Sequence[Frame]) -> Sequence[Packet]:
        header, kind = _checked(message)
        frame = whole_number(header, "frame", "Eiger") if kind == "data" else None
        return (Packet(kind, StreamData("EIGER_LEGACY", list(message)), frame),)
