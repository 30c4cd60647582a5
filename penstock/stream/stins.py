"""STINS, the protocol of MAX IV's streaming detectors: a JSON header, and the pixels as a second frame.

Example: ``{"htype": "image", "frame": 0, "shape": [10, 10], "type": "uint16", "compression": "none", "msg_number": 1}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import BadEvent, ConfigError
from penstock.stream._arrays import array_of, dtype_of
from penstock.stream._assembler import WholeMessages
from penstock.stream._deferred import DeferredMessage
from penstock.stream._header_fields import Kind, frames_of, header_of, kind_of
from penstock.stream._json_message import whole_number, write_object
from penstock.stream.models import Frame, StreamData
from penstock.stream.packet import Packet

__all__ = ["StinsAssembler", "StinsEnd", "StinsImage", "StinsPacket", "StinsStart", "parse"]

_KINDS: dict[str, Kind] = {"header": "start", "image": "data", "series_end": "end"}


class StinsPacket(DeferredMessage):
    """A STINS message."""

    required: ClassVar[tuple[str, ...]] = ("msg_number", "htype")
    msg_number: int
    htype: str

    def to_stream_data(self) -> StreamData:
        """The message as frames."""
        return StreamData("STINS", [write_object(self.__dict__)])


class StinsStart(StinsPacket):
    """Opens a series. An empty `filename` stands for live viewing: nothing is to be saved."""

    required = ("msg_number", "htype", "filename")
    filename: str


class StinsImage(StinsPacket):
    """One image.

    Attributes
    ----------
    data
        The pixels, of `shape` and `type`, read-only. Images that are compressed as bitshuffle-LZ4 or LZ4 are decoded when it is
        first asked for; an image of another compression has no such attribute, its blob is the second frame of the stream data.
    """

    required = ("msg_number", "htype", "frame", "shape", "type", "compression")
    frame: int
    shape: list[int]
    type: str
    compression: str
    data: NDArray[Any]

    def to_stream_data(self) -> StreamData:
        """The message as frames, the pixels not compressed.

        Raises
        ------
        ConfigError
            There are no pixels, since their compression is unknown.
        """
        if not hasattr(self, "data"):
            raise ConfigError(f"STINS: an image of compression {self.compression!r} has no pixels to write. Keep its frames instead.")
        header = {name: value for name, value in self.__dict__.items() if name != "data"} | {"compression": "none"}
        return StreamData("STINS", [write_object(header), np.ascontiguousarray(self.data).tobytes()])


class StinsEnd(StinsPacket):
    """Closes a series."""


_IMAGE_FIELDS = itemgetter(*StinsImage.required)
_CLASSES: dict[object, type[StinsPacket]] = {"image": StinsImage, "header": StinsStart, "series_end": StinsEnd}


def parse(data: StreamData) -> StinsPacket:
    """The message of these frames; pixels stay where they are.

    Parts after the header of a start message (a sender's metadata) are left in the frames.

    Raises
    ------
    BadEvent
        The header is damaged or of unknown type, or does not fit the pixels.
    """
    frames = frames_of(data, "STINS", "STINS")
    header = header_of(frames, "STINS")
    try:
        kind = _CLASSES[header["htype"]]
    except (KeyError, TypeError):
        kind_of(header, _KINDS, "STINS")
        raise
    message: StinsPacket = kind.of(header)
    if kind is StinsImage:
        _take_pixels(message, header, frames)
    return message


def _take_pixels(message: StinsPacket, header: dict[str, Any], frames: Sequence[Frame]) -> None:
    _, _, frame, shape, name, compression = _IMAGE_FIELDS(header)
    # What is as it should be is seen here, without a call; else the check says what is wrong.
    if len(frames) != 2:
        _check_parts(frames)
    if type(frame) is not int or frame < 0:
        whole_number(header, "frame", "STINS")
    dtype = dtype_of(name, "type", "STINS")
    if compression == "none":
        header["data"] = array_of(frames[1], dtype, shape, "STINS")
        return
    from penstock.kernels.decode import knows_encoding  # loads numba

    if knows_encoding(compression):
        message.defer(data=partial(_decoded, frames[1], compression, dtype, shape))


def _check_parts(frames: Sequence[Frame]) -> None:
    if len(frames) != 2:
        raise BadEvent(f"STINS: an image has {len(frames)} frames, expected 2: header and pixels.")


def _decoded(blob: Frame, compression: str, dtype: np.dtype[Any], shape: Any) -> NDArray[Any]:
    from penstock.kernels.decode import decode  # loads numba

    pixels = decode(blob, compression, dtype, shape, "STINS")
    pixels.flags.writeable = False
    return pixels


class StinsAssembler(WholeMessages):
    """Packets of the messages of one STINS stream."""

    def _packets(self, message: Sequence[Frame]) -> Sequence[Packet]:
        header = header_of(message, "STINS")
        kind = kind_of(header, _KINDS, "STINS")
        frame = None
        if kind == "data":
            _check_parts(message)
            frame = whole_number(header, "frame", "STINS")
        return (Packet(kind, StreamData("STINS", list(message)), frame),)
