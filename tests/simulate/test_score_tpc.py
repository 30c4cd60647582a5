from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock.simulate.score_tpc import score_tracks


def tracks(*rows: tuple[int, float, float], trigger: int = 1) -> dict[str, NDArray[Any]]:
    """Columns of tracks (event, polar in degrees, Bρ)."""
    event, polar, brho = np.array(rows, dtype=float).reshape(-1, 3).T
    flat = np.zeros(len(event))
    return {"event": event.astype(int), "polar": np.radians(polar), "brho": brho, "vertex_z": flat, "trigger": flat.astype(int) + trigger}


def test_one_good_row_finds_its_track_once() -> None:
    score = score_tracks(tracks((3, 41.0, 0.21)), tracks((3, 40.0, 0.2)))

    assert (score.found_once.value, score.found.value, score.surplus.value) == (1.0, 1.0, 0.0)
    assert score.polar_error_deg.value == pytest.approx(1.0)
    assert score.brho_error.value == pytest.approx(0.05)


@pytest.mark.parametrize("row", [(3, 46.0, 0.2), (3, 40.0, 0.23)], ids=["polar", "brho"])
def test_row_outside_either_limit_matches_its_track_but_does_not_find_it(row: tuple[int, float, float]) -> None:
    score = score_tracks(tracks(row), tracks((3, 40.0, 0.2)))

    assert (score.found_once.value, score.found.value, score.matched.value, score.surplus.value) == (0.0, 0.0, 1.0, 1.0)


def test_second_row_of_a_track_is_surplus_and_the_track_not_found_once() -> None:
    score = score_tracks(tracks((3, 40.0, 0.2), (3, 41.0, 0.2)), tracks((3, 40.0, 0.2)))

    assert (score.found_once.value, score.found.value, score.surplus.value) == (0.0, 1.0, 0.5)


def test_rows_belong_to_the_nearest_track_of_their_own_event() -> None:
    truth = tracks((1, 40.0, 0.2), (1, 60.0, 0.3), (2, 50.0, 0.25))

    score = score_tracks(tracks((1, 59.0, 0.3), (1, 41.0, 0.2)), truth)

    assert score.found_once.value == pytest.approx(2 / 3)
    assert score.surplus.value == 0.0


def test_row_of_an_event_without_tracks_is_a_ghost() -> None:
    score = score_tracks(tracks((1, 40.0, 0.2), (9, 40.0, 0.2)), tracks((1, 40.0, 0.2)))

    assert (score.rows, score.surplus.value) == (2, 0.5)


def test_downscaled_events_do_not_count() -> None:
    score = score_tracks(tracks((1, 40.0, 0.2)), tracks((1, 40.0, 0.2), trigger=2))

    assert (score.tracks, score.rows) == (0, 0)
    assert np.isnan(score.found_once.value)


def test_standard_errors_shrink_with_the_root_of_the_number() -> None:
    rng = np.random.default_rng(1)
    few, many = (tracks(*((i, 40.0 + error, 0.2) for i, error in enumerate(rng.normal(0, 1, n)))) for n in (400, 6400))

    small = score_tracks(few, tracks(*((i, 40.0, 0.2) for i in range(400))))
    large = score_tracks(many, tracks(*((i, 40.0, 0.2) for i in range(6400))))

    assert small.polar_error_deg.error / large.polar_error_deg.error == pytest.approx(4.0, rel=0.4)


def test_figure_prints_value_and_error() -> None:
    score = score_tracks(tracks((1, 40.0, 0.2)), tracks((1, 41.0, 0.2)))

    assert str(score.polar_error_deg) == "1 ± 0"
