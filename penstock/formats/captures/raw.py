"""Captures of messages, as they came from the wire: one multipart message an item, without event numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from penstock.formats.captures._index import ELSEWHERE
from penstock.formats.captures._indexing import build_index
from penstock.formats.captures._layouts import MESSAGES
from penstock.formats.captures._source import Damage, Frame, Source
from penstock.formats.captures.kinds import require_kind

__all__ = ["RawCapture"]


class RawCapture:
    """One raw capture, mapped and indexed; iterating gives its messages as lists of frames.

    Parameters
    ----------
    path
        The capture; ``.gz`` is recognised by its content.

    Attributes
    ----------
    damage
        What of the file could not be read.

    Raises
    ------
    RunMissing
        There is no such file.
    BadRun
        The file is empty, no raw capture, or holds no whole message.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        require_kind(self.path, "raw")
        self._source = Source(self.path)
        index = build_index(self._source, MESSAGES, self.path)
        self.spans: NDArray[np.int64] = index.spans
        """(messages, 2): where each message begins and ends, in bytes."""
        self.damage: list[Damage] = index.damage
        self._n = len(index.spans)
        self._first_frame = index.first_frame.data
        self._frames = index.frames.reshape(-1).data

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[list[Frame]]:
        return self.messages()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; frames that are still in use stay valid."""
        self._source.close()

    @property
    def nbytes(self) -> int:
        """Bytes of the capture, of a ``.gz`` file as inflated."""
        return self._source.size

    def message(self, position: int) -> list[Frame]:
        """The frames of the message at a position.

        Raises
        ------
        IndexError
            There is no such position.
        """
        if not -self._n <= position < self._n:
            raise IndexError(f"{self.path}: message at position {position} was asked for; there are {self._n}.")
        if position < 0:
            position += self._n
        frames, cut = self._frames, self._source.cut
        rows = range(2 * self._first_frame[position], 2 * self._first_frame[position + 1], 2)
        if rows and frames[rows[0]] == ELSEWHERE:
            from penstock.formats.captures._decoding import decode_message

            begin, end = self.spans[position].tolist()
            return [*decode_message(bytes(self._source.data[begin:end])).streams[0][2]]
        return [cut(frames[k], frames[k + 1]) for k in rows]

    def messages(self, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[list[Frame]]:
        """The messages at the positions of a slice, in its order."""
        return (self.message(position) for position in range(*slice(start, stop, step).indices(self._n)))
