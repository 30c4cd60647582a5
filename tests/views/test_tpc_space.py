from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from penstock.tpc.schemas import PointCloud
from penstock.views.tpc_space import draw_event, event_figure

EVENT = 2


@pytest.fixture
def figure(processed) -> Figure:
    return event_figure(processed.points, processed.clusters, processed.estimates, EVENT, title="title", note="note")


def _axes(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title(loc="left") == title)


def _legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def _dots(axes: Axes) -> np.ndarray:
    """Positions of all markers but the stars of the vertices."""
    return np.concatenate([c.get_offsets() for c in axes.collections if c.get_label() != "vertex"])


def test_an_event_becomes_a_png_of_sane_size(processed, tmp_path: Path) -> None:
    path = draw_event(processed.points, processed.clusters, processed.estimates, EVENT, tmp_path / "event.png")

    assert path.read_bytes().startswith(b"\x89PNG")
    assert 50_000 < path.stat().st_size < 1_000_000


@pytest.mark.parametrize("title, columns", [("Pad plane", "xy"), ("z-x", "zx"), ("z-y", "zy")])
def test_every_point_of_the_event_is_drawn_once(title: str, columns: str, processed) -> None:
    event = processed.points.part(EVENT, EVENT + 1)["points"]

    plain = event_figure(processed.points, processed.clusters, None, EVENT)

    drawn = _dots(_axes(plain, title))
    expected = np.stack([event[name] for name in columns], axis=1)
    assert np.array_equal(np.sort(drawn.view(float).reshape(-1, 2), axis=0), np.sort(expected.astype(float), axis=0))


def test_all_axes_have_units(figure: Figure) -> None:
    labels = {text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())}

    assert labels == {"x (mm)", "y (mm)", "z from the window (mm)", "z (mm)"}
    assert figure.axes[-1].get_zlabel() == "y (mm)"


def test_clusters_and_noise_are_counted_in_the_legend(figure: Figure, processed) -> None:
    clusters = processed.clusters.part(EVENT, EVENT + 1)
    sizes = np.diff(clusters.offsets["points"])
    n_points = len(processed.points.part(EVENT, EVENT + 1)["points"]["x"])

    legend = _legend(figure)

    assert [t for t in legend if t.startswith("cluster")] == [
        f"cluster {i}: {n:,} points, towards the micromegas" for i, n in enumerate(sizes)
    ]
    assert legend[-1] == f"noise: {n_points - sizes.sum():,} points"


def test_tracks_are_described_in_the_legend(figure: Figure, processed) -> None:
    track = processed.estimates.part(EVENT, EVENT + 1)["estimates"]

    expected = (
        f"track of cluster {track['cluster_index'][0]}: θ {np.degrees(track['polar'][0]):.1f}°, "
        f"φ {np.degrees(track['azimuthal'][0]):.1f}°, Bρ {track['brho'][0]:.3f} T·m"
    )
    assert expected in _legend(figure)


def test_the_circle_of_a_track_passes_through_its_vertex(figure: Figure, processed) -> None:
    track = processed.estimates.part(EVENT, EVENT + 1)["estimates"]

    circle = _axes(figure, "Pad plane").lines[0].get_xydata()

    distance = np.hypot(circle[:, 0] - track["vertex_x"][0], circle[:, 1] - track["vertex_y"][0])
    assert distance.min() < 2
    assert np.ptp(circle[:, 0]) == pytest.approx(
        2 * np.hypot(track["vertex_x"][0] - track["center_x"][0], track["vertex_y"][0] - track["center_y"][0]), rel=1e-3
    )


def test_the_helix_of_a_track_leaves_the_vertex_in_its_direction(figure: Figure, processed) -> None:
    track = processed.estimates.part(EVENT, EVENT + 1)["estimates"]

    helix = figure.axes[-1].lines[0].get_data_3d()

    z, x, y = (float(axis[1] - axis[0]) for axis in helix)
    assert np.arctan2(np.hypot(x, y), z) == pytest.approx(track["polar"][0], abs=0.01)
    assert np.arctan2(y, x) % (2 * np.pi) == pytest.approx(track["azimuthal"][0], abs=0.03)


def test_the_helix_of_a_track_follows_its_points(figure: Figure, processed) -> None:
    event = processed.clusters.part(EVENT, EVENT + 1)
    track = processed.estimates.part(EVENT, EVENT + 1)["estimates"]
    rows = slice(*event.offsets["points"][track["cluster_index"][0] :][:2])
    points = np.stack([event["points"][axis][rows] for axis in "zxy"], axis=1)

    helix = np.stack(figure.axes[-1].lines[0].get_data_3d(), axis=1)

    distance = np.linalg.norm(helix[50:150, None] - points[None], axis=2).min(axis=1)
    assert np.median(distance) < 15


def test_without_clusters_all_points_look_alike(processed) -> None:
    figure = event_figure(processed.points, None, None, EVENT)

    assert _legend(figure) == [f"{len(processed.points.part(EVENT, EVENT + 1)['points']['x']):,} points"]


def test_title_and_note_stand_on_the_figure(figure: Figure) -> None:
    assert figure.get_suptitle() == "title"
    assert "note" in [text.get_text() for text in figure.texts]


def test_an_event_without_points_can_be_drawn(tmp_path: Path) -> None:
    assert draw_event(PointCloud.empty(1), None, None, 0, tmp_path / "empty.png").exists()
