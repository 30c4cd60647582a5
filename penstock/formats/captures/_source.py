"""The bytes of a capture: mapped where they lie; of a ``.gz`` file inflated once."""

from __future__ import annotations

import gzip
import mmap
import os
import tempfile
import zlib
from io import BufferedIOBase
from pathlib import Path
from typing import NamedTuple

from penstock.core.errors import BadRun, RunMissing

__all__ = ["COPIED", "IN_MEMORY", "Damage", "Frame", "Source", "is_gzip", "open_inflated"]

Frame = bytes | memoryview
COPIED = 16_384
"""Frames of up to this many bytes, such as headers, are `bytes` of their own; larger ones are read-only views into the map."""
IN_MEMORY = 256 << 20
"""Bytes of an inflated capture above which it goes to an unlinked temporary file."""
CHUNK = 1 << 20


class Damage(NamedTuple):
    """Bytes of a capture that could not be read.

    Attributes
    ----------
    offset, length
        Where they lie; of a ``.gz`` file in its inflated form.
    reason
        What is wrong with them.
    after
        Number of the last event before them; None at the beginning and in captures without numbers.
    """

    offset: int
    length: int
    reason: str
    after: int | None = None

    def __str__(self) -> str:
        after = "" if self.after is None else f" after event {self.after}"
        return f"{self.length:,} bytes at byte {self.offset:,}{after}: {self.reason}"


def is_gzip(path: Path) -> bool:
    """Whether the file begins as gzip files do, whatever its name."""
    with _opened(path) as file:
        return file.read(2) == b"\x1f\x8b"


def open_inflated(path: Path) -> BufferedIOBase:
    """The file, inflated while it is read where it is gzip."""
    return gzip.open(path, "rb") if is_gzip(path) else _opened(path)


def _opened(path: Path) -> BufferedIOBase:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise RunMissing(f"{path}: there is no such capture.") from None
    except IsADirectoryError:
        raise BadRun(f"{path} is a folder, not a capture. Name the files in it.") from None


class Source:
    """All bytes of a capture, read-only.

    Attributes
    ----------
    data
        The bytes, a map where they lie in a file.
    size
        How many.
    stamp
        Size and time of change of the file as it was opened.
    fault
        Why the inflated bytes end early; empty where they do not.

    Raises
    ------
    RunMissing
        There is no such file.
    BadRun
        The file is empty.
    """

    def __init__(self, path: Path) -> None:
        self.fault = ""
        with _opened(path) as file:
            status = os.fstat(file.fileno())
            self.stamp = (status.st_size, status.st_mtime_ns)
            if status.st_size == 0:
                raise BadRun(f"{path} is empty: nothing was recorded into it.")
            if file.read(2) == b"\x1f\x8b":
                file.seek(0)
                self.data = self._inflate(file)
            else:
                self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.size = len(self.data)
        if self.size == 0:
            raise BadRun(f"{path}: its inflated content is empty{': ' * bool(self.fault)}{self.fault}.")
        self.view = memoryview(self.data)

    data: bytes | mmap.mmap

    def _inflate(self, file: BufferedIOBase) -> bytes | mmap.mmap:
        with gzip.open(file, "rb") as inflated, tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as room:
            try:
                while chunk := inflated.read1(CHUNK):
                    room.write(chunk)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                self.fault = f"the gzip file is damaged ({error})"
            if room.tell() <= IN_MEMORY:
                room.seek(0)
                return room.read()
            room.flush()
            return mmap.mmap(room.fileno(), 0, access=mmap.ACCESS_READ)

    def cut(self, offset: int, length: int) -> Frame:
        """Some of the bytes: `bytes` where they are few, else a view."""
        return self.data[offset : offset + length] if length <= COPIED else self.view[offset : offset + length]

    def close(self) -> None:
        """Let go of the map; frames that are still in use keep it alive."""
        self.view.release()
        if isinstance(self.data, mmap.mmap):
            try:
                self.data.close()
            except BufferError:  # the map goes with the last view of it
                self.data = b""
