"""Writes captures: the same bytes as the recorders of dranspose, so that either side reads what the other one wrote."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import Protocol, Self

from penstock.core.errors import BadEvent
from penstock.formats.captures._layouts import EVENT, SELF_DESCRIBED
from penstock.formats.captures._scan import ARRAY, BYTES, MAP, TEXT, UINT
from penstock.formats.captures._source import COPIED, Frame
from penstock.formats.captures._times import text_of

__all__ = ["CaptureWriter", "Contributed", "RawWriter", "Recorded", "write_event"]

STREAM = b"\xd9\xa7\x7e"
"""Head of tag 42878."""
TEXT_TIME = b"\xc0"
"""Head of tag 0."""
GZIP_LEVEL = 1
"""Frames of detectors hardly get smaller at higher levels, but take several times as long."""


class Contributed(Protocol):
    """What a stream contributes to an event, such as `penstock.stream.models.StreamData`."""

    @property
    def typ(self) -> str:
        """Wire protocol."""

    @property
    def frames(self) -> Sequence[Frame]:
        """Frames in the order of the message."""


class Recorded(Protocol):
    """An event, such as `penstock.stream.models.EventData`."""

    @property
    def event_number(self) -> int:
        """Its number in the run."""

    @property
    def streams(self) -> Mapping[str, Contributed]:
        """Contributions by name of the stream."""

    @property
    def created_at(self) -> int | None:
        """When it was recorded, ns since 1970 UTC."""


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes((major << 5 | value,))
    for info, size in ((24, 1), (25, 2), (26, 4)):
        if value < 1 << (8 * size):
            return bytes((major << 5 | info,)) + value.to_bytes(size, "big")
    return bytes((major << 5 | 27,)) + value.to_bytes(8, "big")


def _text(text: str) -> bytes:
    data = text.encode()
    return _head(TEXT, len(data)) + data


def _frames(frames: Sequence[Frame]) -> Iterable[Frame]:
    yield _head(ARRAY, len(frames))
    for frame in frames:
        yield _head(BYTES, memoryview(frame).nbytes)
        yield frame


def _event(event: Recorded) -> Iterable[Frame]:
    yield SELF_DESCRIBED + EVENT + _head(ARRAY, 2 if event.created_at is None else 3)
    yield _head(UINT, event.event_number) + _head(MAP, len(event.streams))
    for name, stream in event.streams.items():
        yield _text(name) + STREAM + _head(ARRAY, 2) + _text(stream.typ)
        yield from _frames(stream.frames)
    if event.created_at is not None:
        yield TEXT_TIME + _text(text_of(event.created_at))


class _Writer:
    """Appends items to a file, gzipped where its name ends in ``.gz``."""

    def __init__(self, path: Path | str, *, flush: bool = False) -> None:
        self.path = Path(path)
        file: BufferedIOBase = self.path.open("ab")
        self._plain = file
        self._file = gzip.GzipFile("", "ab", GZIP_LEVEL, file, mtime=0) if self.path.suffix == ".gz" else file
        self._flush = flush

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is still buffered, and close the file."""
        self._file.close()
        self._plain.close()

    def _append(self, pieces: Iterable[Frame]) -> None:
        small: list[Frame] = []
        for piece in pieces:
            if len(piece) > COPIED:
                self._file.write(b"".join(small))
                self._file.write(piece)
                small.clear()
            else:
                small.append(piece)
        self._file.write(b"".join(small))
        if self._flush:
            self._file.flush()


class CaptureWriter(_Writer):
    """Appends events to a capture, which is made where there is none.

    Parameters
    ----------
    path
        The capture; a name that ends in ``.gz`` makes it gzipped.
    flush
        Whether each event is handed to the operating system at once.
    """

    def write(self, event: Recorded) -> None:
        """Append an event, or a part of one; without a time where it has none.

        Raises
        ------
        BadEvent
            Its number is less than 0 or has more than 63 bits.
        """
        if not 0 <= event.event_number < 1 << 63:
            raise BadEvent(f"event {event.event_number} cannot be captured: numbers from 0 to 2**63 - 1 can.")
        self._append(_event(event))


class RawWriter(_Writer):
    """Appends messages to a raw capture, which is made where there is none.

    Parameters
    ----------
    path
        The capture; a name that ends in ``.gz`` makes it gzipped.
    flush
        Whether each message is handed to the operating system at once.
    """

    def write(self, message: Sequence[Frame]) -> None:
        """Append the frames of a message."""
        self._append(_frames(message))


def write_event(path: Path | str, event: Recorded) -> None:
    """Write a capture that holds this event alone, in place of what was there."""
    path = Path(path)
    path.unlink(missing_ok=True)
    with CaptureWriter(path) as writer:
        writer.write(event)
