from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from toytracks import ToyTrack

from penstock.tpc.join import join_continuous, join_overlapping

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


def pieces_of(track: ToyTrack, seed: int = 1) -> list[F8]:
    """The points of a track, cut where it crosses the beam region."""
    points = track.points(seed)
    return np.split(points, np.flatnonzero(np.diff(points[:, 2]) > 8.0) + 1)


def continuous(events: Sequence[Sequence[F8]], radius: float = 0.4, gap: float = 0.2, threshold: float = 0.5) -> list[int]:
    pieces = [piece for event in events for piece in event]
    offsets = np.cumsum([0, *map(len, pieces)])
    joined = join_continuous(np.concatenate(pieces).T.copy(), offsets, np.cumsum([0, *map(len, events)]), radius, gap, threshold)
    return [int(piece) for piece in joined]


def overlapping(pieces: Sequence[F8], ratio: float = 0.25, smallest: int = 15) -> list[int]:
    offsets = np.cumsum([0, *map(len, pieces)])
    joined = join_overlapping(np.concatenate(pieces).T.copy(), offsets, np.array([0, len(pieces)]), ratio, smallest, 0.5)
    return [int(piece) for piece in joined]


@pytest.mark.parametrize("polar_deg", [40, 60, 120], ids=str)
def test_turns_of_one_track_are_joined(polar_deg: float) -> None:
    pieces = pieces_of(ToyTrack(polar_rad=np.radians(polar_deg), vertex_z_mm=200.0 if polar_deg < 90 else 800.0))

    assert len(pieces) > 1
    assert set(continuous([pieces])) == {0}


def test_turns_of_a_track_that_loses_much_are_joined() -> None:
    pieces = pieces_of(ToyTrack(loss=0.06, polar_rad=1.1))

    assert len(pieces) > 1
    assert set(continuous([pieces])) == {0}


def test_turns_of_two_tracks_are_kept_apart() -> None:
    one, two = pieces_of(ToyTrack(azimuthal_rad=0.5)), pieces_of(ToyTrack(azimuthal_rad=3.5, polar_rad=0.8))

    joined = continuous([[*one, *two]])

    assert joined == [0] * len(one) + [len(one)] * len(two)


def test_same_circle_at_the_wrong_phase_is_not_joined() -> None:
    first, second, *_ = pieces_of(ToyTrack(polar_rad=1.1))
    pitch = second[0, 2] - first[0, 2]
    shifted = second + np.array([0.0, 0.0, 0.5 * pitch])

    assert continuous([[first, second]]) == [0, 0]
    assert continuous([[first, shifted]], gap=1.0) == [0, 1]


def test_smaller_radius_fraction_keeps_other_circles_apart() -> None:
    first, second, *_ = pieces_of(ToyTrack(polar_rad=1.1))
    aside = second + np.array([15.0, 0.0, 0.0])

    assert continuous([[first, aside]], radius=0.4) == [0, 0]
    assert continuous([[first, aside]], radius=0.05) == [0, 1]


def test_smaller_z_fraction_keeps_far_pieces_apart() -> None:
    first, _, third, *_ = pieces_of(ToyTrack(polar_rad=1.1))

    assert continuous([[first, third]], gap=0.5) == [0, 0]
    assert continuous([[first, third]], gap=0.1) == [0, 1]


def test_undecided_pieces_are_not_joined() -> None:
    pieces = pieces_of(ToyTrack(noise_mm=3.0))

    assert continuous([pieces], threshold=1.0) == list(range(len(pieces)))


def test_pieces_of_different_events_are_not_joined() -> None:
    pieces = pieces_of(ToyTrack())

    assert continuous([[piece] for piece in pieces]) == list(range(len(pieces)))


def test_event_is_joined_alike_alone_and_among_others() -> None:
    one, two = pieces_of(ToyTrack()), pieces_of(ToyTrack(polar_rad=0.7), seed=5)

    assert continuous([one, two]) == continuous([one]) + [len(one) + piece for piece in continuous([two])]


def test_overlapping_circles_are_joined() -> None:
    assert set(overlapping(pieces_of(ToyTrack()))) == {0}


def test_greater_ratio_keeps_overlapping_circles_apart() -> None:
    one, two = pieces_of(ToyTrack())[0], pieces_of(ToyTrack(azimuthal_rad=1.0))[0]

    assert overlapping([one, two], ratio=0.25) == [0, 0]
    assert overlapping([one, two], ratio=0.95) == [0, 1]


def test_small_pieces_are_left_out_of_overlaps() -> None:
    first, second, *_ = pieces_of(ToyTrack())

    assert overlapping([first, second], smallest=len(second) + 1) == [0, 1]


def test_circles_that_turn_opposite_ways_are_not_joined() -> None:
    piece = pieces_of(ToyTrack())[0]
    mirrored = (piece * [1.0, 1.0, -1.0])[::-1] + np.array([0.0, 0.0, 1000.0])

    assert overlapping([piece, mirrored]) == [0, 1]
