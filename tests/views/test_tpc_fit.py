"""Figures of fits and of the reaction behind them, of a run and of an event."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from penstock.config import load_experiment
from penstock.core.errors import ArtifactMissing, ConfigError
from penstock.core.selection import RunRange
from penstock.execute import Request, run
from penstock.store import Store
from penstock.tpc.mesh import mesh_grids
from penstock.tpc.schemas import Clusters, Fits, Kinematics, TrackMesh
from penstock.views.tpc_fit import draw_fits, fits_figure
from penstock.views.tpc_fitted import event_fit_figure, fitted_tracks, view_fit
from penstock.views.tpc_kinematics import curve_energies, draw_kinematics, kinematics_figure
from penstock.views.tpc_lost import find_lost_tracks

PIPELINE = ("tpc.points", "tpc.clusters", "tpc.estimates", "quick.mesh", "quick.fits", "quick.kinematics")
REACTION = """[params.quick.kinematics]
reaction = "16O(p,p)16O"
beam_energy_mev = 160.0
"""
VERTEX = ("vertex_x", "vertex_y", "vertex_z")
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def fitted(processed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The experiment, its pipeline longer by a mesh, fits and kinematics of a toy."""
    folder = tmp_path_factory.mktemp("fitted")
    text = processed.experiment.path.read_text().replace(
        'raw = "raw"', f'raw = "{processed.experiment.raw}"\npipeline = {list(PIPELINE)!r}'
    )
    (folder / "experiment.toml").write_text(f"{text}\n[plugins]\nmodules = ['quickfits']\n{REACTION}")
    experiment = load_experiment(folder)
    with Store(Path(shutil.copytree(processed.store.root, folder / "store"))) as store:
        assert run(experiment, store, Request(RunRange("1"))).ok
        yield replace(processed, experiment=experiment, store=store)


def part(fitted, stage: str, schema, event: int):
    return fitted.store.read(fitted.manifest(stage), schema, event, event + 1)


def tracks_of(fitted, event: int):
    mesh = fitted.store.read(fitted.store.manifest(_mesh_key(fitted)), TrackMesh)
    return fitted_tracks(part(fitted, "tpc.clusters", Clusters, event), part(fitted, "quick.fits", Fits, event), mesh)


def _mesh_key(fitted) -> str:
    return next(key for name, key in fitted.store.index.refs().items() if name.endswith("/quick.mesh"))


def labels(figure: Figure) -> set[str]:
    return {text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel()) if text}


def axes_of(figure: Figure, x_label: str):
    return next(axes for axes in figure.axes if axes.get_xlabel() == x_label)


def cluster_of(points: np.ndarray) -> Clusters:
    """One event with one cluster."""
    columns = {name: dict(table) for name, table in Clusters.empty(1).columns.items()}
    columns["clusters"] = {"label": np.zeros(1, np.int32), "direction": np.ones(1, np.int32)}
    columns["points"] = {c.name: np.zeros(len(points), c.dtype) for c in Clusters.table("points").columns}
    columns["points"] |= {name: points[:, axis].astype(np.float32) for axis, name in enumerate("xyz")}
    return Clusters(n_events=1, columns=columns, offsets={"clusters": np.array([0, 1]), "points": np.array([0, len(points)])})


def fit_of(**values: float) -> Fits:
    """One event with one fit of a proton."""
    row = {"Z": 1, "A": 1, **values}
    columns = {name: dict(table) for name, table in Fits.empty(1).columns.items()}
    columns["fits"] = {c.name: np.array([row.get(c.name, 0)], c.dtype) for c in Fits.table("fits").columns}
    return Fits(n_events=1, columns=columns, offsets={"fits": np.array([0, 1]), "left_out": np.array([0, 0])})


def first_fitted_event(fitted) -> int:
    offsets = fitted.records("quick.fits", Fits).offsets["fits"]
    return int(np.flatnonzero(np.diff(offsets))[0])


def test_the_figure_of_the_fits_of_a_run_is_a_png(fitted, tmp_path: Path) -> None:
    path = draw_fits(fitted.store, fitted.manifest("quick.fits"), tmp_path / "fits.png")

    assert path.read_bytes().startswith(PNG)


def test_axes_of_the_fits_have_units(fitted) -> None:
    figure = fits_figure(fitted.store, fitted.manifest("quick.fits"))

    assert {
        "polar angle θ (deg)",
        "kinetic energy (MeV)",
        "reduced χ²",
        "distance of the points, rms (mm)",
        "error of the kinetic energy (%)",
    } <= labels(figure)


def test_outcomes_count_fits_and_what_was_left_out(fitted) -> None:
    fits = fitted.records("quick.fits", Fits)
    axes = axes_of(fits_figure(fitted.store, fitted.manifest("quick.fits")), "tracks")

    names = [text.get_text() for text in axes.texts if not text.get_text().isdigit()]
    shown = dict(zip(names, [int(bar.get_width()) for bar in axes.patches], strict=True))

    expected = {"converged": len(fits["fits"]["ke"]), "left out: outside of the mesh": len(fits["left_out"]["reason"])}
    assert shown == {name: count for name, count in expected.items() if count}


def test_points_on_the_fitted_track_have_no_residual_and_others_their_distance_from_it(fitted) -> None:
    mesh = fitted.store.read(fitted.store.manifest(_mesh_key(fitted)), TrackMesh)
    grid = mesh_grids(mesh)[1, 1]
    ke, polar, azimuthal, vertex = 3.0, 1.0, 2.0, np.array([3.0, -4.0, 200.0])
    samples, _, _, length = grid.track(ke, polar)
    turned = (samples[:60, 0] + 1j * samples[:60, 1]) * np.exp(1j * azimuthal)
    points = np.column_stack([turned.real, turned.imag, samples[:60, 2]]) + vertex
    ways = np.linspace(0.0, length, len(samples))[:60]
    tangent = np.gradient(points, axis=0)
    left = np.column_stack([-tangent[:, 1], tangent[:, 0]]) / np.hypot(tangent[:, 0], tangent[:, 1])[:, None]
    points[30:, :2] += 2.0 * left[30:]

    fits = fit_of(ke=ke, polar=polar, azimuthal=azimuthal, length=float(ways[-1]), **dict(zip(VERTEX, vertex, strict=True)))
    (track,) = fitted_tracks(cluster_of(points), fits, mesh)

    np.testing.assert_allclose(track.way, ways, atol=1.0)
    np.testing.assert_allclose(track.across[:30], 0.0, atol=0.05)
    np.testing.assert_allclose(track.along[:30], 0.0, atol=0.05)
    np.testing.assert_allclose(track.across[30:-1], 2.0, atol=0.1)


def test_points_beyond_the_ends_of_a_track_have_no_residual_and_are_counted(fitted) -> None:
    mesh = fitted.store.read(fitted.store.manifest(_mesh_key(fitted)), TrackMesh)
    samples, _, _, length = mesh_grids(mesh)[1, 1].track(3.0, 1.0)
    points = np.array(samples[:60, :3])
    fits = fit_of(ke=3.0, polar=1.0, length=float(np.linspace(0.0, length, len(samples))[39]))

    (track,) = fitted_tracks(cluster_of(points), fits, mesh)
    figure = event_fit_figure(fitted.points.part(0, 1), [track])

    beyond = int(track.beyond.sum())
    assert 15 <= beyond <= 20
    assert track.beyond[-beyond:].all()
    axes = next(axes for axes in figure.axes if axes.get_ylabel() == "residual (mm)")
    assert len(axes.collections[0].get_offsets()) == 60 - beyond
    assert axes.texts[0].get_text().endswith(f"; {beyond} of 60 points beyond its ends")


def test_residuals_are_the_distance_from_the_curve(fitted) -> None:
    track = tracks_of(fitted, first_fitted_event(fitted))[0]

    distance = np.linalg.norm(track.points[:, None, :] - track.path[None, :, :], axis=2).min(axis=1)

    inner = (track.way > 1.0) & (track.way < track.way.max() - 1.0)
    np.testing.assert_allclose(np.hypot(track.across, track.along)[inner], distance[inner], atol=0.3)


def test_the_figure_of_an_event_has_tracks_and_residuals(fitted) -> None:
    event = first_fitted_event(fitted)
    tracks = tracks_of(fitted, event)

    figure = event_fit_figure(fitted.points.part(event, event + 1), tracks, title="headline", note="a note")

    assert figure.get_suptitle() == "headline"
    assert {"x (mm)", "y (mm)", "z from the window (mm)", "residual (mm)", "way along the fitted track (mm)"} <= labels(figure)
    assert all(any(track.label == text.get_text() for text in figure.legends[0].get_texts()) for track in tracks)


def test_the_fit_of_an_event_is_drawn_from_current_artifacts(fitted, tmp_path: Path) -> None:
    path = view_fit(fitted.experiment, fitted.store, 1, first_fitted_event(fitted), tmp_path / "event.png")

    assert path.read_bytes().startswith(PNG)


def test_an_event_whose_tracks_were_left_out_says_why(fitted, tmp_path: Path) -> None:
    overrides = {"tpc.estimates.magnetic_field_t": 0.2}
    with Store(Path(shutil.copytree(fitted.store.root, tmp_path / "store"))) as store:
        assert run(fitted.experiment, store, Request(RunRange("1"), overrides=overrides)).ok
        with pytest.raises(ConfigError, match=r"run 1, event 0 has no fit: cluster 0 left out \(outside of the mesh\)"):
            view_fit(fitted.experiment, store, 1, 0, tmp_path / "event.png", overrides=overrides)


def test_fits_that_are_not_current_say_how_to_compute_them(fitted, tmp_path: Path) -> None:
    with pytest.raises(
        ArtifactMissing, match=r"run 1: quick.fits is stale: status: 0 -> 3. Compute it with: penstock run .* --stages quick.fits"
    ):
        view_fit(fitted.experiment, fitted.store, 1, 0, tmp_path / "event.png", overrides={"quick.fits.status": 3})


def test_a_pipeline_without_fits_says_so(processed, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no stage of the pipeline \(tpc.points, tpc.clusters, tpc.estimates.*\) writes 'tpc.fits/"):
        view_fit(processed.experiment, processed.store, 1, 0, tmp_path / "event.png")


def test_an_event_that_is_not_there_is_refused_with_the_range(fitted, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run 1: there is no event 77; .* numbers 0 to 5"):
        view_fit(fitted.experiment, fitted.store, 1, 77, tmp_path / "event.png")


def test_the_figure_of_the_reaction_is_a_png(fitted, tmp_path: Path) -> None:
    path = draw_kinematics(fitted.store, fitted.manifest("quick.kinematics"), tmp_path / "kinematics.png")

    assert path.read_bytes().startswith(PNG)


def test_the_figure_of_the_reaction_has_curves_and_units(fitted) -> None:
    figure = kinematics_figure(fitted.store, fitted.manifest("quick.kinematics"))

    assert {"excitation energy of 16O (MeV)", "kinetic energy (MeV)", "centre-of-mass angle (deg)"} <= labels(figure)
    curves = axes_of(figure, "polar angle θ (deg)").get_lines()
    good = fitted.records("quick.kinematics", Kinematics)["kinematics"]
    energies = curve_energies(good["ex"][(good["status"] == 0) & np.isfinite(good["ex"])])
    assert [line.get_label() for line in curves] == [f"{ex:g} MeV" for ex in energies]


@pytest.mark.parametrize(
    "ex, curves",
    [([], [0.0]), ([-0.2, 0.3], [0.0]), ([0.0, 0.9, 2.0], [0.0, 0.5, 1.0, 1.5]), (np.full(100, 17.0), [0.0, 5.0, 10.0, 15.0])],
    ids=["no fits", "ground state", "low", "high"],
)
def test_curves_are_drawn_for_the_ground_state_and_whole_steps(ex, curves: list[float]) -> None:
    assert curve_energies(np.array(ex, dtype=np.float64)) == pytest.approx(curves)


def test_lost_tells_of_fits_and_of_what_was_left_out(fitted) -> None:
    fits = fitted.records("quick.fits", Fits)
    for event in range(fitted.points.n_events):
        fate, _ = find_lost_tracks(fitted.experiment, fitted.store, 1, event)
        left = fits["left_out"]["cluster_index"][slice(*fits.offsets["left_out"][event : event + 2])].tolist()
        rows = fits["fits"]["cluster_index"][slice(*fits.offsets["fits"][event : event + 2])].tolist()
        assert [one.cluster for one in fate.clusters if one.ended == "quick.fits"] == left
        assert all(any(word.startswith("fitted as Z=1 A=1") for word in fate.clusters[cluster].found) for cluster in rows)


def test_lost_takes_the_mesh_from_the_store_and_says_where_it_is_not_there(fitted) -> None:
    fate, _ = find_lost_tracks(fitted.experiment, fitted.store, 1, 2, {"quick.mesh.status": 5})

    assert any(step.stage == "quick.mesh" and "Compute it with: penstock run" in step.lost for step in fate.steps)
