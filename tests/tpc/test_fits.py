from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from toyfits import SHARP, TOY, Track, collect, exact_points, gate, mesh, records, way

from penstock.core.errors import ConfigError
from penstock.core.schema import Records
from penstock.tpc.assets import Gates
from penstock.tpc.fits import fit_tracks
from penstock.tpc.params import FitParams
from penstock.tpc.schemas import Fits

NO_GATE = Gates.empty()
OFF = np.array([0.5, 0.5, 2.0, 0.002, 0.003, 0.01])
"""How far the first guess lies from the truth."""
TWO_ISOTOPES = ("1H", "2H")
SHAPES = {
    "forward": Track(),
    "backward": Track(polar=2.2, vertex=(0.0, 1.0, 700.0)),
    "stopping": Track(ke=1.5, polar=0.6),
    "many turns": Track(ke=6.0, polar=1.35),
}


def changed(params: FitParams, **changes: Any) -> FitParams:
    return params.model_copy(update=changes)


def fit(*tracks: Track, params: FitParams = SHARP, off: NDArray[np.float64] = OFF, gates: Gates = NO_GATE, **columns: Any) -> Fits:
    """Fits of exact points, an event a track."""
    events = [[(exact_points(track), track.start + off)] for track in tracks]
    return fit_tracks(*records(events, **columns), mesh(), params, gates)


def values(fits: Fits, row: int = 0) -> NDArray[np.float64]:
    names = ("vertex_x", "vertex_y", "vertex_z", "brho", "polar", "azimuthal")
    return np.array([fits["fits"][name][row] for name in names])


@pytest.mark.parametrize("method", ["leastsq", "lbfgsb"])
@pytest.mark.parametrize("track", SHAPES.values(), ids=SHAPES)
def test_exact_points_give_back_the_track(track: Track, method: str) -> None:
    fixed = changed(SHARP, method=method, fit_vertex_xy=False)

    fits = fit(track, params=fixed, off=OFF * (0, 0, 1, 1, 1, 1))

    assert fits["fits"]["status"][0] == 0
    assert fits["fits"]["ke"][0] == pytest.approx(track.ke, rel=1e-4)
    assert values(fits)[2] == pytest.approx(track.vertex[2], abs=0.02)
    assert values(fits)[4:] == pytest.approx((track.polar, track.azimuthal), abs=1e-4)


@pytest.mark.parametrize("track", SHAPES.values(), ids=SHAPES)
def test_fitted_track_is_the_same_curve_from_another_start(track: Track) -> None:
    fits = fit(track)

    x, y, z, _, polar, azimuthal = values(fits)
    fitted = replace(track, ke=fits["fits"]["ke"][0], polar=polar, azimuthal=azimuthal, vertex=(x, y, z))
    curve, points = way(fitted, step_mm=0.05)[:, :3], way(track, step_mm=20.0)[2:-2, :3]
    distance = [np.min(np.linalg.norm(curve - point, axis=1)) for point in points]
    assert fits["fits"]["status"][0] == 0
    assert np.max(distance) < 0.05


def test_azimuth_is_fitted_across_its_seam() -> None:
    track = Track(azimuthal=0.004)

    fits = fit(track, off=np.array([0.0, 0.0, 0.0, 0.0, 0.0, -0.02]))

    turned = (fits["fits"]["azimuthal"][0] - track.azimuthal + np.pi) % (2 * np.pi) - np.pi
    assert abs(turned) < 0.02
    assert 0.0 <= fits["fits"]["azimuthal"][0] < 2 * np.pi


@pytest.mark.parametrize("method", ["leastsq", "lbfgsb"])
def test_points_of_other_tracks_hardly_pull(method: str) -> None:
    track, rng = Track(ke=5.0, polar=0.9), np.random.default_rng(4)
    points = collect(track, rng)
    stray = {"x": rng.uniform(-200, 200, 60), "y": rng.uniform(-200, 200, 60), "z": rng.uniform(300, 1000, 60)}
    stray |= {"integral": rng.uniform(400, 4000, 60), "scale": np.full(60, 0.5)}
    disturbed = {name: np.concatenate([points[name], stray[name]]) for name in points}

    fits = fit_tracks(*records([[(points, track.start)], [(disturbed, track.start)]]), mesh(), changed(TOY, method=method), NO_GATE)

    pulls = (values(fits, 1) - values(fits, 0))[3:5] / [fits["fits"]["sigma_brho"][0], fits["fits"]["sigma_polar"][0]]
    assert np.all(np.abs(pulls) < (1.0 if method == "leastsq" else 3.0))


def test_errors_are_those_of_collected_charge() -> None:
    rng = np.random.default_rng(11)
    tracks = [
        Track(ke=ke, polar=polar, azimuthal=azimuthal, vertex=(*rng.normal(0, 2, 2), z))
        for ke, polar, azimuthal, z in rng.uniform((4, 0.5, 0, 550), (6, 0.8, 6.28, 700), size=(60, 4))
    ]
    fits = fit_tracks(*records([[(collect(t, rng), t.start + OFF)] for t in tracks]), mesh(), TOY, NO_GATE)["fits"]

    truth = {"ke": [t.ke for t in tracks], "polar": [t.polar for t in tracks], "vertex_z": [t.vertex[2] for t in tracks]}
    assert np.all(fits["status"] == 0)
    for name, sigma in (("ke", "sigma_ke"), ("polar", "sigma_polar"), ("vertex_z", "sigma_vz")):
        pulls = (fits[name] - truth[name]) / fits[sigma]
        assert 0.6 < 1.4826 * np.median(np.abs(pulls)) < 1.4, name
        assert abs(np.mean(pulls)) < 0.6, name
    assert 0.6 < np.median(fits["redchisq"]) < 1.6


def test_scattering_and_straggling_widen_the_errors() -> None:
    track, rng = Track(ke=4.0, polar=0.8), np.random.default_rng(5)
    inputs = records([[(collect(track, rng), track.start)]])
    errors = TOY.errors.model_copy(update={"scattering": True, "straggling": True})

    still, random = (fit_tracks(*inputs, mesh(), params, NO_GATE)["fits"] for params in (TOY, changed(TOY, errors=errors)))

    assert random["status"][0] == 0
    assert random["sigma_polar"][0] > 5.0 * still["sigma_polar"][0]
    assert random["sigma_ke"][0] > 2.0 * still["sigma_ke"][0]
    assert random["ke"][0] == pytest.approx(track.ke, abs=4.0 * random["sigma_ke"][0])


def test_each_track_is_taken_as_the_particle_of_its_gate() -> None:
    both = mesh(*TWO_ISOTOPES)
    tracks = [Track(ke=3.0), Track(ke=4.0, particle=(1, 2))]
    gates = Gates.concatenate([gate((1, 1), 0.0, 0.3), gate((1, 2), 0.3, 1.0)])
    inputs = records([[(exact_points(t, both), t.start + OFF)] for t in tracks])

    fits = fit_tracks(*inputs, both, SHARP, gates)["fits"]

    assert fits["A"].tolist() == [1, 2]
    assert fits["ke"] == pytest.approx([3.0, 4.0], rel=5e-4)


def test_without_gates_every_particle_takes_every_track() -> None:
    both = mesh(*TWO_ISOTOPES)
    inputs = records([[(exact_points(Track(), both), Track().start)]] * 2)

    fits = fit_tracks(*inputs, both, SHARP, NO_GATE)

    assert fits["fits"]["A"].tolist() == [1, 2, 1, 2]
    assert fits.offsets["fits"].tolist() == [0, 2, 4]


def test_gate_of_a_particle_that_the_mesh_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"particle gate 1 is for Z=2, A=4, which the track mesh does not hold \(it holds 1H\)"):
        fit(Track(), gates=gate((2, 4), 0.0, 1.0))


@pytest.mark.parametrize(
    ("columns", "reason"),
    [({"ic_amplitude": 700.0}, 1), ({"ic_amplitude": 1500.0}, 1), ({"ic_multiplicity": 2.0}, 1)],
    ids=["low", "high", "pile-up"],
)
def test_ion_chamber_leaves_tracks_out(columns: dict[str, float], reason: int) -> None:
    changes: dict[str, Any] = {name: {0: value} for name, value in columns.items()}

    fits = fit(Track(), Track(), **changes)

    assert fits["fits"]["event"].tolist() == [11]
    assert (fits["left_out"]["event"].tolist(), fits["left_out"]["reason"].tolist()) == ([10], [reason])


def test_events_without_ion_chamber_pass_a_gate_below_minus_one() -> None:
    fits = fit(Track(), params=changed(SHARP, ic_min_adc=-2.0), ic_amplitude=-1.0, ic_multiplicity=-1.0)

    assert len(fits["fits"]["event"]) == 1


def test_track_that_passes_no_gate_is_left_out() -> None:
    fits = fit(Track(), gates=gate((1, 1), 0.5, 0.6))

    assert fits["left_out"]["reason"].tolist() == [2]


def test_track_outside_of_the_mesh_is_left_out_with_its_particle() -> None:
    fits = fit(Track(), off=np.array([0, 0, 0, 0.4, 0, 0]))

    assert (fits["left_out"]["reason"].tolist(), fits["left_out"]["A"].tolist()) == ([3], [1])


def test_track_of_too_few_points_is_left_out() -> None:
    points = {name: column[:9] for name, column in exact_points(Track()).items()}

    fits = fit_tracks(*records([[(points, Track().start)]]), mesh(), SHARP, NO_GATE)

    assert (len(fits["fits"]["event"]), fits["left_out"]["reason"].tolist()) == (0, [4])


@pytest.mark.parametrize(
    ("changes", "track", "status"),
    [
        ({"max_iterations": 1}, Track(), 1),
        ({"beam_region_radius_mm": 0.4}, Track(vertex=(6.0, 8.0, 300.0), azimuthal=2.4), 2),
        ({}, Track(ke=7.95), 4),
    ],
    ids=["too many steps", "vertex at its bound", "left the mesh"],
)
def test_fit_that_went_wrong_says_why(changes: dict[str, Any], track: Track, status: int) -> None:
    beyond = replace(track, ke=7.95) if status == 4 else track
    points = exact_points(beyond)
    if status == 4:
        points["x"], points["y"] = points["x"] * 1.05, points["y"] * 1.05

    fits = fit_tracks(*records([[(points, track.start + OFF * (status != 4))]]), mesh(), changed(SHARP, **changes), NO_GATE)

    assert fits["fits"]["status"].tolist() == [status]


def test_what_is_not_fitted_stays_and_has_no_error() -> None:
    fits = fit(Track(), params=changed(SHARP, fit_vertex_xy=False, fit_azimuthal=False), off=np.zeros(6))["fits"]

    assert (fits["vertex_x"][0], fits["vertex_y"][0], fits["azimuthal"][0]) == pytest.approx((0.5, -1.0, 2.0))
    assert (fits["sigma_vx"][0], fits["sigma_vy"][0], fits["sigma_azimuthal"][0]) == (0.0, 0.0, 0.0)
    assert fits["sigma_vz"][0] > 0.0


def test_covariances_are_those_of_the_beam_along_the_track() -> None:
    track, rng = Track(ke=5.0, polar=0.9, azimuthal=0.0, vertex=(0.0, 0.0, 400.0)), np.random.default_rng(2)

    fits = fit_tracks(*records([[(collect(track, rng), track.start)]]), mesh(), TOY, NO_GATE)["fits"]

    assert fits["sigma_vx"][0] == pytest.approx(2.0, rel=0.02)
    assert fits["sigma_vy"][0] < 0.5
    assert fits["cov_vx_vz"][0] == pytest.approx(4.0 / np.tan(0.9), rel=0.05)


def test_any_batching_gives_the_same_bytes() -> None:
    rng = np.random.default_rng(8)
    tracks = [Track(ke=k, polar=p) for k, p in ((3.0, 0.8), (4.0, 1.0), (0.81, 0.9), (5.0, 0.7), (2.0, 1.2))]
    events: list[list[Any]] = [[(collect(t, rng), t.start)] for t in tracks]
    events[3] += events[1]
    events.insert(2, [])
    clusters, estimates = records(events, ic_multiplicity={1: 2.0})

    whole = fit_tracks(clusters, estimates, mesh(), TOY, NO_GATE)
    cuts = [0, 1, 3, 6]
    parts = [fit_tracks(clusters.part(a, b), estimates.part(a, b), mesh(), TOY, NO_GATE) for a, b in itertools.pairwise(cuts)]

    _assert_same(whole, Fits.concatenate(parts))


def _assert_same(one: Records, other: Records) -> None:
    assert one.n_events == other.n_events
    for table in Fits.tables:
        assert one.offsets[table.name].tobytes() == other.offsets[table.name].tobytes()
        for column in table.columns:
            assert one[table.name][column.name].dtype == np.dtype(column.dtype)
            assert one[table.name][column.name].tobytes() == other[table.name][column.name].tobytes(), column.name


def test_events_without_tracks_give_empty_tables() -> None:
    fits = fit_tracks(*records([[], []]), mesh(), SHARP, NO_GATE)

    assert fits.n_events == 2
    assert all(fits.offsets[table.name].tolist() == [0, 0, 0] for table in Fits.tables)
