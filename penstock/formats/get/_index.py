"""Events of a run, built from the headers of all frames in its .graw files. Kept in memory, as headers do not change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penstock.formats.get._frames import FRAME, FileNotes, walk_frames
from penstock.formats.get._recordings import align_recordings, split_recordings

__all__ = ["OTHER_COBO", "GetIndex", "forget_headers", "index_graw"]

OTHER_COBO = 10
"""The CoBo whose clock is in step with the FRIB crate; all others carry the MuTanT's."""

I8 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class GetIndex:
    """Events of a run, ascending by recording and event id.

    Attributes
    ----------
    frames
        `penstock.formats.get._frames.FRAME` by event, CoBo and AsAd.
    offsets
        (events + 1,): frames of each event.
    event
        Event id of the GET electronics, which start anew with each recording.
    recording
        Which recording of the folder, mostly 0.
    timestamp, timestamp_other
        MuTanT clock and that of CoBo 10, 10 ns; 0 where no frame has it.
    boards
        CoBo and AsAd of all boards that sent anything, (boards, 2).
    missing
        Boards of its recording that an event lacks, (events,).
    missing_of_board
        Events that lack each board, (boards,).
    counts
        What was not as it should be, see `penstock.formats.get.GetRun.notes`.
    """

    frames: NDArray[np.void]
    offsets: I8
    event: I8
    recording: I8
    timestamp: I8
    timestamp_other: I8
    boards: NDArray[np.int16]
    missing: I8
    missing_of_board: I8
    counts: dict[str, int]

    @property
    def n_events(self) -> int:
        """Events of the run."""
        return len(self.event)

    def frames_of(self, position: int) -> NDArray[np.void]:
        """Frames of one event."""
        return self.frames[self.offsets[position] : self.offsets[position + 1]]


def index_graw(paths: Sequence[Path]) -> GetIndex:
    """Build the events of a run from its .graw files, in the order of their names.

    Raises
    ------
    OSError
        The disk cannot be read.
    """
    stats = [path.stat() for path in paths]
    return _index(tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in zip(paths, stats, strict=True)))


def forget_headers() -> None:
    """Look at all headers again when a run is opened next."""
    _index.cache_clear()


@lru_cache(maxsize=8)
def _index(files: tuple[tuple[Path, int, int], ...]) -> GetIndex:
    walked = [walk_frames(path, number) for number, (path, _, _) in enumerate(files)]
    frames = np.concatenate([np.zeros(0, FRAME), *(table for table, _ in walked)])
    counts = _file_counts([notes for _, notes in walked])
    board = frames["cobo"].astype(np.int64) << 16 | frames["asad"]
    boards, board = np.unique(board, return_inverse=True)
    recording = _recordings(frames, board, len(boards), counts)
    names, position = np.unique(recording << 32 | frames["event"], return_inverse=True)
    order = np.lexsort((board, position))
    frames, board, position = frames[order], board[order], position[order]
    n_events, numbers = len(names), names >> 32
    seen = np.zeros((n_events, len(boards)), np.bool_)
    seen[position, board] = True
    expected = _expected(seen, numbers)
    lacking = expected & ~seen
    counts |= {"frames": len(frames), "repeated_frames": len(frames) - int(seen.sum()), "repaired_counts": int(frames["repaired"].sum())}
    counts |= {"recordings": len(np.unique(numbers)), "incomplete_events": int(lacking.any(axis=1).sum())}
    own = frames["cobo"] != OTHER_COBO
    timestamp, counts["events_with_unlike_times"] = _times(frames["time"][own], position[own], n_events)
    other, _ = _times(frames["time"][~own], position[~own], n_events)
    return GetIndex(
        frames=frames,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(position, minlength=n_events))]).astype(np.int64),
        event=names & 0xFFFFFFFF,
        recording=numbers,
        timestamp=timestamp,
        timestamp_other=other,
        boards=np.stack([boards >> 16, boards & 0xFFFF], axis=1).astype(np.int16),
        missing=lacking.sum(axis=1),
        missing_of_board=lacking.sum(axis=0),
        counts=counts,
    )


def _file_counts(notes: Sequence[FileNotes]) -> dict[str, int]:
    skipped: Counter[int] = Counter()
    for note in notes:
        skipped.update(note.skipped)
    return {
        "skipped_frames": skipped.total(),
        **{f"skipped_frames_of_type_{kind}": number for kind, number in sorted(skipped.items())},
        "refused_frames": sum(n.refused for n in notes),
        "truncated_frames": sum(n.truncated for n in notes),
        "gaps": sum(n.gaps for n in notes),
        "lost_bytes": sum(n.lost_bytes for n in notes),
    }


def _recordings(frames: NDArray[np.void], board: I8, n_boards: int, counts: dict[str, int]) -> I8:
    """Recording of each frame; frames stand in the order of their files."""
    members = [np.flatnonzero(board == number) for number in range(n_boards)]
    streams = {number: split_recordings(frames["event"][rows], frames["time"][rows]) for number, rows in enumerate(members)}
    recording = np.zeros(len(frames), np.int64)
    for number, numbers in align_recordings(streams).items():
        recording[members[number]] = numbers
    counts["late_frames"] = sum(stream.late for stream in streams.values())
    return recording


def _expected(seen: NDArray[np.bool_], recording: I8) -> NDArray[np.bool_]:
    """Boards that an event should have: those that sent anything in its recording."""
    expected = np.zeros_like(seen)
    for number in np.unique(recording):
        rows = recording == number
        expected[rows] = seen[rows].any(axis=0)
    return expected


def _times(times: I8, position: I8, n_events: int) -> tuple[I8, int]:
    """The time that most frames of each event state (the least of several), 0 without frames; and how many events have unlike ones.

    Frames stand in the order of their events.
    """
    found = np.zeros(n_events, np.int64)
    if not len(times):
        return found, 0
    starts = np.flatnonzero(np.diff(position, prepend=-1))
    events = position[starts]
    least = np.minimum.reduceat(times, starts)
    found[events] = least
    unlike = np.flatnonzero(np.maximum.reduceat(times, starts) != least)
    stops = np.append(starts[1:], len(times))
    for i in unlike:
        values, number = np.unique(times[starts[i] : stops[i]], return_counts=True)
        found[events[i]] = values[number.argmax()]
    return found, len(unlike)
