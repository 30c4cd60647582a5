"""Counts on the pad plane."""

from __future__ import annotations

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from penstock.tpc.pads import N_PADS, pad_corners, pad_plane
from penstock.views._plane import draw_counts_on_pads

PADS = np.array([7, -1, 7, 300, N_PADS])


def triangles(places: tuple[np.ndarray, np.ndarray] | None = None) -> PolyCollection:
    figure = Figure()
    axes = figure.add_subplot()
    draw_counts_on_pads(figure, axes, PADS, "points", places)
    assert axes.get_title("left") == "Pad plane: 2 of 10,240 pads with points"
    return next(c for c in axes.collections if isinstance(c, PolyCollection))


def test_each_pad_is_counted_and_what_is_no_pad_is_left_out() -> None:
    assert triangles().get_array().tolist() == [2, 1]


def test_pads_stand_where_their_map_places_them() -> None:
    plane = pad_plane()["pads"]
    known = np.array([7, 0, 7, 300, 0])
    moved = triangles((plane["x"][known] + 3.0, plane["y"][known] - 2.0))

    for path, pad in zip(moved.get_paths(), (7, 300), strict=True):
        np.testing.assert_allclose(path.vertices[:3], pad_corners(pad) + np.array([3.0, -2.0]), atol=1e-4)
