from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from toyfits import Track, grid

from penstock.tpc.fit_places import ALONG, BY_IN_PLANE, BY_OFF_PLANE, IN_PLANE, OFF_PLANE, PLACE_COLUMNS, find_places
from penstock.tpc.fit_scatter import Kinks, Medium, add_kinks, eliminate, find_kinks, kink_sizes, known_end, row_of_kinks

F8 = NDArray[np.float64]
RNG = np.random.default_rng(9)
HYDROGEN = Medium(938.272, 1.0, 1.92e7, 2.56e-7, scattering=True, straggling=True)
PROTON = Track(ke=4.0, polar=0.9, azimuthal=0.7, vertex=(0.0, 0.0, 0.0))


def test_elimination_is_the_schur_complement() -> None:
    root = RNG.normal(size=(9, 9))
    matrix, right = root @ root.T + np.eye(9), RNG.normal(size=9)
    lower, rest = np.tril(matrix), right.copy()

    lowered = eliminate(lower, rest, 4)

    inner = np.linalg.solve(matrix[:4, :4], np.column_stack([matrix[:4, 4:], right[:4]]))
    assert np.tril(lower[4:, 4:]) == pytest.approx(np.tril(matrix[4:, 4:] - matrix[4:, :4] @ inner[:, :5]))
    assert rest[4:] == pytest.approx(right[4:] - matrix[4:, :4] @ inner[:, 5])
    assert lowered == pytest.approx(right[:4] @ inner[:, 5])
    assert kink_sizes(lower, rest, 4) == pytest.approx(inner[:, 5])


def continued(at: int, polar: float, azimuthal: float, energy: float) -> F8:
    """The track, with a change of direction and energy at one of its samples, behind which the mesh gives the rest."""
    track, _, _, length = grid().track(PROTON.ke, PROTON.polar)
    step = length / (len(track) - 1)
    slope = (track[at + 1] - track[at - 1])[:3]
    theta = np.arctan2(np.hypot(slope[0], slope[1]), slope[2]) + polar
    turn = np.arctan2(slope[1], slope[0]) + azimuthal
    ahead, _, _, rest = grid().track(track[at, 3] + energy, theta)
    path = np.arange(0, 31) * step
    places = CubicSpline(np.linspace(0.0, rest, len(ahead)), ahead[:, :3])(path)
    turned = np.cos(turn) * places[:, 0] - np.sin(turn) * places[:, 1], np.sin(turn) * places[:, 0] + np.cos(turn) * places[:, 1]
    return np.stack([*turned, places[:, 2]], axis=1) + track[at, :3]


@pytest.mark.parametrize(
    ("which", "change"), [(0, (0.004, 0, 0)), (1, (0, 0.004, 0)), (2, (0, 0, 0.02))], ids=["polar", "azimuthal", "energy"]
)
def test_derivatives_by_a_kink_are_those_of_the_rest_of_the_track(which: int, change: tuple[float, float, float]) -> None:
    track, by_ke, by_polar, length = grid().track(PROTON.ke, PROTON.polar)
    step = length / (len(track) - 1)
    kinks = find_kinks(track, step, 60.0, HYDROGEN)
    at = 8
    row_at = int(np.argmin(np.abs(kinks.places[:, 0] - at)))
    single = Kinks(kinks.places[row_at : row_at + 1].copy(), kinks.sigma[row_at : row_at + 1], kinks.turns)
    at = round(single.places[0, 0])
    single.places[0, 0] = at
    single.places[0, 1:3] = track[at, :2]
    single.places[0, 6:9] = kinks.turns[at, 1:]
    bent, straight = continued(at, *change), continued(at, 0.0, 0.0, 0.0)
    start = PROTON.start * (1, 1, 1, 1, 1, 0)
    distances = []
    for points in (bent, straight):
        places = np.empty((len(points), PLACE_COLUMNS))
        find_places(points.copy(), np.zeros(len(points)), track, by_ke, by_polar, start, np.full(len(points), -1.0), places)
        distances.append(places)
    row = np.zeros(3)
    for base, column in ((BY_IN_PLANE, IN_PLANE), (BY_OFF_PLANE, OFF_PLANE)):
        moved = distances[0][5:, column] - distances[1][5:, column]
        expected = []
        for place in distances[1][5:]:
            row_of_kinks(place, base, track, start, step, single, row)
            expected.append(-row[which] * max(change, key=abs))
        assert np.array(expected) == pytest.approx(moved, abs=0.03 * float(np.abs(moved).max()))


def test_kinks_are_the_same_as_a_covariance_of_the_distances() -> None:
    track, by_ke, by_polar, length = grid().track(PROTON.ke, PROTON.polar)
    step = length / (len(track) - 1)
    start = PROTON.start
    n = 40
    points = np.column_stack([RNG.normal(0.0, 1.0, (n, 2)), np.linspace(20.0, 400.0, n)])
    places = np.empty((n, PLACE_COLUMNS))
    find_places(points, np.zeros(n), track, by_ke, by_polar, start, np.full(n, -1.0), places)
    places[:, IN_PLANE], places[:, OFF_PLANE] = RNG.normal(0.0, 0.3, (2, n))
    weights = RNG.uniform(1.0, 5.0, (n, 2))
    kinks = find_kinks(track, step, float(places[:, ALONG].max()), HYDROGEN)
    many = 3 * len(kinks.places)
    matrix, right = np.zeros((many + 6, many + 6)), np.zeros(many + 6)
    add_kinks(places, np.zeros(n), weights, track, start, step, kinks, matrix, right)
    by_parameters, by_kinks = _stacked(places, track, start, step, kinks)
    w, r = weights.T.ravel(), places[:, [IN_PLANE, OFF_PLANE]].T.ravel()
    lower = np.tril_indices(6)
    matrix[many + lower[0], many + lower[1]] += (by_parameters.T * w @ by_parameters)[lower]
    right[many:] -= by_parameters.T @ (w * r)

    eliminate(matrix, right, many)

    whole = np.diag(1.0 / w) + by_kinks * kinks.sigma.ravel() ** 2 @ by_kinks.T
    normal = by_parameters.T @ np.linalg.solve(whole, by_parameters)
    scale = np.sqrt(np.outer(np.diag(normal), np.diag(normal)))
    assert (matrix[many:, many:] / scale)[lower] == pytest.approx((normal / scale)[lower], abs=1e-6)
    assert right[many:] / np.sqrt(np.diag(normal)) == pytest.approx(
        -by_parameters.T @ np.linalg.solve(whole, r) / np.sqrt(np.diag(normal)), abs=1e-5
    )


def _stacked(places: F8, track: F8, start: F8, step: float, kinks: Kinks) -> tuple[F8, F8]:
    """Derivatives of both distances by the parameters and by the kinks, in the plane first."""
    by_parameters = np.concatenate([places[:, base : base + 6] for base in (BY_IN_PLANE, BY_OFF_PLANE)])
    by_kinks = np.zeros((2 * len(places), 3 * len(kinks.places)))
    for half, base in enumerate((BY_IN_PLANE, BY_OFF_PLANE)):
        for i, place in enumerate(places):
            row_of_kinks(place, base, track, start, step, kinks, by_kinks[half * len(places) + i])
    return by_parameters, by_kinks


def test_still_track_has_no_kinks_and_is_known_to_its_end() -> None:
    track, _, _, length = grid().track(2.0, 0.9)
    still = HYDROGEN._replace(scattering=False, straggling=False)

    assert len(find_kinks(track, length / 255, 100.0, still).places) == 0
    assert known_end(track, length / 255, still) == 255.0


def test_stopping_track_is_not_followed_to_its_end() -> None:
    track, _, _, length = grid().track(2.0, 0.9)

    assert 180.0 < known_end(track, length / 255, HYDROGEN) < 250.0
