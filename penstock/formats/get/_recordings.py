"""Which recording of a folder each frame belongs to: event ids start anew with each, and one folder may hold two.

Within one board's stream ids and times rise together. An id that falls is a repeated frame, one out of order, or the
first of another recording; its time tells which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoardStream", "align_recordings", "split_recordings"]

FARTHEST = 64
"""Events by which a frame may come late."""

I8 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class BoardStream:
    """Frames of one board in the order of its files.

    Attributes
    ----------
    recording
        Number of the recording of each frame, from 0.
    duplicates, late
        Frames that came twice, and frames that came after those of later events.
    """

    events: I8
    times: I8
    recording: I8
    duplicates: int
    late: int

    @property
    def recordings(self) -> int:
        """How many recordings there are."""
        return int(self.recording.max(initial=-1)) + 1


def split_recordings(events: I8, times: I8) -> BoardStream:
    """Tell the recordings of one board's stream apart.

    Parameters
    ----------
    events, times
        Event id and time (10 ns) of each frame, (frames,).
    """
    if np.all(np.diff(events) > 0):
        return BoardStream(events, times, np.zeros(len(events), np.int64), 0, 0)
    recording = np.zeros(len(events), np.int64)
    seen: dict[tuple[int, int], int] = {}
    current: dict[int, int] = {}
    number = duplicates = late = top = 0
    for i, (event, time) in enumerate(zip(events.tolist(), times.tolist(), strict=True)):
        if (event, time) in seen and (time or top - event <= FARTHEST):
            duplicates += 1
            recording[i] = seen[event, time]
            continue
        if current and (event in current or (event < top and (top - event > FARTHEST or time > current[top]))):
            number += 1
            current = {}
        if current and event < top:
            late += 1
        else:
            top = event
        current[event] = time
        seen[event, time] = recording[i] = number
    return BoardStream(events, times, recording, duplicates, late)


def align_recordings(streams: Mapping[int, BoardStream]) -> dict[int, I8]:
    """Number of the recording of each board's frames, the same for all boards.

    A board that has fewer recordings than others is compared with the one that has most: recordings with most events
    of equal time are the same, else those with most events of equal id.

    Parameters
    ----------
    streams
        Streams by board.
    """
    most = max((s.recordings for s in streams.values()), default=0)
    whole = next((s for s in streams.values() if s.recordings == most), None)
    aligned = {}
    for board, stream in streams.items():
        if whole is None or stream.recordings == most:
            aligned[board] = stream.recording
            continue
        names = np.array([_most_alike(stream, number, whole) for number in range(stream.recordings)], np.int64)
        aligned[board] = names[stream.recording]
    return aligned


def _most_alike(stream: BoardStream, number: int, whole: BoardStream) -> int:
    own = stream.recording == number
    events, times = stream.events[own].tolist(), stream.times[own].tolist()
    stamped, named = set(zip(events, times, strict=True)), set(events)
    alike: Counter[int] = Counter()
    for event, time, recording in zip(whole.events.tolist(), whole.times.tolist(), whole.recording.tolist(), strict=True):
        alike[recording] += (1 << 32) * ((event, time) in stamped) + (event in named)
    return max(sorted(alike), key=lambda recording: alike[recording])
