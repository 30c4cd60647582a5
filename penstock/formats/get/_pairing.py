"""Which physics item of the FRIB crate belongs to which GET event.

Both sides count the same triggers, so numbers are compared, or, where these do not fit, the order, as mergers do. The clocks of
CoBo 10 and of the crate run in step: between two events both must advance alike, which tells the right pairing and counts
events where they do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penstock.formats.get._index import GetIndex

__all__ = ["pair_events"]

CLOCK_TOLERANCE = 1e-3
"""Relative difference of two times between events."""
CLOCK_TICKS = 10
"""Ticks of the slower clock by which they may differ besides."""
CRATE_CLOCK = 1 << 32
"""Ticks after which the crate's clock starts anew."""

I8 = NDArray[np.int64]


def pair_events(index: GetIndex, physics: NDArray[np.void]) -> tuple[I8, dict[str, int]]:
    """Physics item of each event.

    Recordings are paired in their order where both sides have as many, else the longest with the longest.

    Parameters
    ----------
    index
        Events of the GET electronics.
    physics
        Items as in `penstock.formats.get._ring.PHYSICS`.

    Returns
    -------
    items
        Row of `physics` of each event, -1 where there is none.
    counts
        Events without item, items without event, pairs whose clocks advanced unlike since the pair before.
    """
    items = np.full(index.n_events, -1, np.int64)
    unlike = 0
    for recording, run in _recordings(index.recording, physics["recording"]):
        events, rows = np.flatnonzero(index.recording == recording), np.flatnonzero(physics["recording"] == run)
        clock = index.timestamp_other[events]
        found, differing = _pair(index.event[events], clock, physics[rows])
        items[events] = np.where(found >= 0, rows[found], -1)
        unlike += differing
    unpaired = len(physics) - int((items >= 0).sum())
    return items, {"events_without_crate": int((items < 0).sum()), "crate_without_event": unpaired, "unlike_clocks": unlike}


def _recordings(get: I8, crate: I8) -> list[tuple[int, int]]:
    ours, ours_count = np.unique(get, return_counts=True)
    theirs, theirs_count = np.unique(crate, return_counts=True)
    if not (len(ours) and len(theirs)):
        return []
    if len(ours) == len(theirs):
        return list(zip(ours.tolist(), theirs.tolist(), strict=True))
    return [(int(ours[ours_count.argmax()]), int(theirs[theirs_count.argmax()]))]


def _pair(event: I8, clock: I8, physics: NDArray[np.void]) -> tuple[I8, int]:
    """Item of each event of one recording, and the number of pairs whose clocks advanced unlike."""
    order = np.arange(len(event))
    by_order = np.where(order < len(physics), order, -1)
    shift = int(physics["event"][0]) - int(event[0])
    candidates = [_by_number(event, physics["event"]), _by_number(event + shift, physics["event"]), by_order]
    unlike = [_unlike_clocks(clock[c >= 0], physics["timestamp"][c[c >= 0]]) for c in candidates]
    related = (
        [0 if u is None else u for u in unlike] if all(u is None for u in unlike) else [len(event) if u is None else u for u in unlike]
    )
    best = min(range(len(candidates)), key=lambda k: (related[k], int((candidates[k] < 0).sum()), k))
    return candidates[best], unlike[best] or 0


def _by_number(wanted: I8, numbers: I8) -> I8:
    """Row of each wanted number, the first of several; -1 where there is none."""
    known, rows = np.unique(numbers, return_index=True)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, rows[place], -1)


def _unlike_clocks(clock: I8, crate: I8) -> int | None:
    """Pairs whose clocks advanced unlike since the pair before; None where the clocks have nothing to do with each other."""
    if len(clock) < 3 or not (clock > 0).all():
        return None
    ours, theirs = np.diff(clock).astype(np.float64), np.diff(crate) % CRATE_CLOCK
    if not (theirs > 0).any():
        return None
    rate = float(np.median(ours[theirs > 0] / theirs[theirs > 0]))
    differing = np.abs(ours - rate * theirs) > CLOCK_TOLERANCE * np.abs(ours) + CLOCK_TICKS * max(rate, 1.0)
    return None if rate <= 0 or differing.mean() > 0.5 else int(differing.sum())
