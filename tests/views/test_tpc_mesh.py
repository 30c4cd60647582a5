"""The figure of a track mesh: ranges and a fan of tracks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toybench import commit
from toyfits import grid, mesh

from penstock.store import Store
from penstock.views.tpc_mesh import draw_mesh, mesh_figure, track_fan

TWO = ("1H", "4He")


def figure_of(store: Store, **changes: object):
    return mesh_figure(store, replace(store.manifest(commit(store, "mesh", mesh(*TWO))), **changes))


def axes_of(figure, x_label: str):
    return next(axes for axes in figure.axes if axes.get_xlabel() == x_label)


def test_the_figure_is_a_png(store: Store, tmp_path: Path) -> None:
    manifest = store.manifest(commit(store, "mesh", mesh(*TWO)))

    assert draw_mesh(store, manifest, tmp_path / "mesh.png").read_bytes().startswith(b"\x89PNG")


def test_each_particle_has_its_range(store: Store) -> None:
    lines = axes_of(figure_of(store), "kinetic energy (MeV)").get_lines()

    assert [line.get_label() for line in lines] == list(TWO)
    assert np.all(lines[0].get_ydata() > lines[1].get_ydata())
    np.testing.assert_allclose(lines[0].get_xdata()[[0, -1]], [0.8, 8.0])


def test_the_path_that_parameters_allow_is_marked(store: Store) -> None:
    figure = figure_of(store, recipe={"params": {"path_max_mm": 6000.0}})

    assert axes_of(figure, "kinetic energy (MeV)").get_lines()[-1].get_ydata() == [6000.0, 6000.0]


def test_a_fan_begins_at_the_vertex_with_its_angles_and_energy() -> None:
    ke, polar, tracks = track_fan(grid(), 5)

    first = tracks[:, 1, :3] - tracks[:, 0, :3]
    assert len(polar) == 5
    np.testing.assert_allclose(np.rad2deg(polar[[0, -1]]), [20.0, 150.0])
    np.testing.assert_allclose(tracks[:, 0, :3], 0.0, atol=1e-3)
    np.testing.assert_allclose(tracks[:, 0, 3], ke, rtol=1e-6)
    assert np.arccos(first[:, 2] / np.linalg.norm(first, axis=1)) == pytest.approx(polar, abs=0.02)


def test_all_tracks_of_the_fan_are_drawn_in_both_views(store: Store) -> None:
    figure = figure_of(store)

    side, front = axes_of(figure, "z from the vertex (mm)"), axes_of(figure, "x (mm)")
    assert [len(axes.get_lines()) for axes in (side, front)] == [8, 8]
    assert side.get_title("left").startswith("1H of 2.")
