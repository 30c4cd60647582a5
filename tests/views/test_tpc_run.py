from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from penstock.core.canonical import Key
from penstock.core.stage import load_dotted
from penstock.store import Manifest, Store
from penstock.tpc.stages import STAGES
from penstock.views import _pairs, tpc_run
from penstock.views.tpc_run import clusters_figure, estimates_figure, points_figure

FIGURES = {"tpc.points": points_figure, "tpc.clusters": clusters_figure, "tpc.estimates": estimates_figure}


def _labels(figure: Figure) -> list[str]:
    return [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel()) if text]


def _axes(figure: Figure, x_label: str):
    return next(axes for axes in figure.axes if axes.get_xlabel() == x_label)


def _bars(figure: Figure, x_label: str) -> int:
    """Entries of the histogram with that axis."""
    return int(_axes(figure, x_label).patches[0].get_data().values.sum())


def _texts(figure: Figure) -> list[str]:
    return [t.get_text() for axes in figure.axes for t in axes.texts]


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage.name in FIGURES], ids=lambda stage: stage.name)
def test_the_figure_of_each_stage_is_a_png_of_sane_size(stage, processed, tmp_path: Path) -> None:
    draw: Callable[[Store, Manifest, Path], Path] = load_dotted(stage.figure)

    path = draw(processed.store, processed.manifest(stage.name), tmp_path / "new" / "figure.png")

    assert path.read_bytes().startswith(b"\x89PNG")
    assert 20_000 < path.stat().st_size < 1_000_000


def test_the_same_artifact_gives_the_same_bytes(processed, tmp_path: Path) -> None:
    manifest = processed.manifest("tpc.estimates")

    first, second = (tpc_run.draw_estimates(processed.store, manifest, tmp_path / name) for name in ("a.png", "b.png"))

    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("stage", FIGURES)
def test_titles_name_experiment_run_and_key(stage: str, processed) -> None:
    manifest = processed.manifest(stage)

    title = FIGURES[stage](processed.store, manifest).get_suptitle()

    assert title.startswith("trial  ·  run 1  ·  ")
    assert title.endswith(manifest.key.short)


def test_axes_of_the_points_have_units(processed) -> None:
    labels = _labels(points_figure(processed.store, processed.manifest("tpc.points")))

    assert {"x (mm)", "y (mm)", "z from the window (mm)", "pulse height (ADC)", "ion-chamber pulse (ADC)"} <= set(labels)


def test_axes_of_the_tracks_have_units(processed) -> None:
    labels = _labels(estimates_figure(processed.store, processed.manifest("tpc.estimates")))

    assert {
        "polar angle θ (deg)",
        "azimuthal angle φ (deg)",
        "magnetic rigidity Bρ (T·m)",
        "energy loss dE/dx (ADC·bucket/mm), root scale",
        "vertex z from the window (mm)",
    } <= set(labels)


def test_the_pad_plane_shows_every_point(processed) -> None:
    figure = points_figure(processed.store, processed.manifest("tpc.points"))

    (triangles,) = _axes(figure, "x (mm)").collections
    assert int(triangles.get_array().sum()) == len(processed.points["points"]["pad"])
    assert len(triangles.get_paths()) == len(np.unique(processed.points["points"]["pad"]))


def test_pads_stand_where_the_points_are(processed) -> None:
    figure = points_figure(processed.store, processed.manifest("tpc.points"))
    points = processed.points["points"]

    (triangles,) = _axes(figure, "x (mm)").collections
    corners = np.stack([path.vertices[:3] for path in triangles.get_paths()])
    _, first = np.unique(points["pad"], return_index=True)
    assert np.allclose((corners.min(axis=1) + corners.max(axis=1)) / 2, np.stack([points["x"], points["y"]], axis=1)[first], atol=1e-3)


def test_histograms_of_the_points_hold_every_point_and_event(processed) -> None:
    figure = points_figure(processed.store, processed.manifest("tpc.points"))

    assert _bars(figure, "pulse height (ADC)") == len(processed.points["points"]["pad"])
    assert _bars(figure, "points per event") == processed.points.n_events


def test_the_clusters_are_all_counted(processed) -> None:
    figure = clusters_figure(processed.store, processed.manifest("tpc.clusters"))

    assert _bars(figure, "clusters per event") == processed.clusters.n_events
    way = _axes(figure, "direction of motion along z")
    assert sum(bar.get_height() for bar in way.patches) == len(processed.clusters["clusters"]["direction"])


def test_the_fraction_of_points_in_clusters_is_told(processed) -> None:
    figure = clusters_figure(processed.store, processed.manifest("tpc.clusters"))

    fraction = len(processed.clusters["points"]["x"]) / len(processed.points["points"]["x"])
    assert f"{fraction:.1%} of all points" in _texts(figure)


def test_clusters_are_drawn_also_where_their_points_are_gone(processed) -> None:
    manifest = replace(processed.manifest("tpc.clusters"), inputs={"points": Key("a" * 32)})

    figure = clusters_figure(processed.store, manifest)

    assert "the points aaaaaaaaaa are no longer in the store" in _texts(figure)


def test_every_track_is_a_dot(processed) -> None:
    figure = estimates_figure(processed.store, processed.manifest("tpc.estimates"))
    tracks = processed.estimates["estimates"]

    (dots,) = _axes(figure, "polar angle θ (deg)").collections
    assert np.array_equal(dots.get_offsets(), np.stack([np.degrees(tracks["polar"]), tracks["brho"]], axis=1))


def test_many_tracks_are_a_density_that_holds_them_all(processed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pairs, "FEW_TRACKS", 1)

    figure = estimates_figure(processed.store, processed.manifest("tpc.estimates"))

    density = _axes(figure, "energy loss dE/dx (ADC·bucket/mm), root scale").collections[0].get_array()
    assert np.nansum(np.ma.filled(density.astype(float), np.nan)) == len(processed.estimates["estimates"]["brho"])


def test_ticks_of_the_energy_loss_stand_at_the_roots(processed) -> None:
    axes = _axes(estimates_figure(processed.store, processed.manifest("tpc.estimates")), "energy loss dE/dx (ADC·bucket/mm), root scale")

    squares = [float(t.get_text().replace(",", "")) for t in axes.get_xticklabels()]
    assert np.allclose(np.square(axes.get_xticks()), squares)


def test_a_sample_is_named(processed) -> None:
    manifest = replace(processed.manifest("tpc.points"), block=2)

    figure = points_figure(processed.store, manifest, most_rows=manifest.counts.rows["points"] // 2)

    notes = [t.get_text() for t in figure.texts]
    assert any(note.startswith("sample: 2 of 6 events, ") for note in notes)


def test_a_run_without_tracks_can_be_drawn(processed, tmp_path: Path) -> None:
    store = processed.store
    manifest = store.manifest(store.index.refs()["trial/default/run-0003/tpc.estimates"])

    assert tpc_run.draw_estimates(store, manifest, tmp_path / "empty.png").exists()


@pytest.mark.parametrize("stage", ["tpc.points", "tpc.clusters"])
def test_a_run_of_excluded_events_can_be_drawn(stage: str, processed, tmp_path: Path) -> None:
    store = processed.store
    manifest = store.manifest(store.index.refs()[f"trial/default/run-0003/{stage}"])
    draw = {"tpc.points": tpc_run.draw_points, "tpc.clusters": tpc_run.draw_clusters}[stage]

    assert draw(store, manifest, tmp_path / "empty.png").exists()
