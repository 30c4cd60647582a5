"""Gates: tracks in a plane, polygons by numbers and by mouse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backend_bases import MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from penstock.core.errors import ArtifactMissing, ConfigError
from penstock.views.tpc_gate import GateDrawer, GatePlane, count_inside, draw_gate, parse_vertices, read_plane, save_gate

SQUARE = [(1.0, 1.0), (3.0, 1.0), (3.0, 3.0), (1.0, 3.0)]
PLANE = GatePlane("dEdx", "brho", {94: np.array([[2.0, 2.0], [4.0, 4.0]]), 95: np.array([[1.5, 2.5], [2.5, 1.5], [0.5, 2.0]])})


class Mouse:
    """Clicks and drags on the axes of a figure, in data coordinates."""

    def __init__(self, figure: Figure) -> None:
        self.canvas = figure.canvas
        (self.axes,) = figure.axes[:1]
        self.canvas.draw()

    def event(self, name: str, x: float, y: float, button: int | None = 1) -> None:
        self.canvas.callbacks.process(name, MouseEvent(name, self.canvas, *self.axes.transData.transform((x, y)), button=button))

    def click(self, x: float, y: float) -> None:
        self.event("motion_notify_event", x, y, None)
        self.event("button_press_event", x, y)
        self.event("button_release_event", x, y)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.event("motion_notify_event", *start, None)
        self.event("button_press_event", *start)
        self.event("motion_notify_event", *end)
        self.event("button_release_event", *end)


@pytest.fixture
def drawer() -> GateDrawer:
    figure = Figure(figsize=(6, 5))
    FigureCanvasAgg(figure)
    return GateDrawer(PLANE, figure.add_subplot())


@pytest.fixture
def mouse(drawer: GateDrawer) -> Mouse:
    return Mouse(drawer.figure)


def test_a_polygon_that_is_clicked_counts_the_tracks_inside(drawer: GateDrawer, mouse: Mouse) -> None:
    for corner in (*SQUARE, SQUARE[0]):
        mouse.click(*corner)

    np.testing.assert_allclose(drawer.vertices, SQUARE, atol=0.02)
    assert [(c.run, c.tracks, c.inside) for c in drawer.counts()] == [(94, 2, 1), (95, 3, 2)]
    assert mouse.axes.get_title() == "3 of 5 tracks inside"


def test_a_corner_can_be_dragged_afterwards(drawer: GateDrawer, mouse: Mouse) -> None:
    for corner in (*SQUARE, SQUARE[0]):
        mouse.click(*corner)

    mouse.drag(SQUARE[2], (4.3, 4.3))

    np.testing.assert_allclose(drawer.vertices[2], (4.3, 4.3), atol=0.02)
    assert [c.inside for c in drawer.counts()] == [2, 2]


def test_an_open_polygon_is_not_written(drawer: GateDrawer, mouse: Mouse, tmp_path: Path) -> None:
    for corner in SQUARE:
        mouse.click(*corner)

    with pytest.raises(ConfigError, match="no polygon is finished"):
        drawer.save(tmp_path / "proton.json", "1H")
    assert not (tmp_path / "proton.json").exists()


def test_a_finished_polygon_is_written_as_a_gate(drawer: GateDrawer, mouse: Mouse, tmp_path: Path) -> None:
    for corner in (*SQUARE, SQUARE[0]):
        mouse.click(*corner)

    gate = json.loads(drawer.save(tmp_path / "proton.json", "1H").read_text())

    assert (gate["name"], gate["Z"], gate["A"], gate["xaxis"], gate["yaxis"]) == ("proton", 1, 1, "dEdx", "brho")
    np.testing.assert_allclose(gate["vertices"], SQUARE, atol=0.02)


def test_an_unknown_nucleus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nuclide '1Q'|element 'Q'"):
        save_gate(tmp_path / "gate.json", "1Q", SQUARE, PLANE)


def test_counts_are_by_run() -> None:
    assert [(c.run, c.tracks, c.inside) for c in count_inside(PLANE, SQUARE)] == [(94, 2, 1), (95, 3, 2)]


def test_corners_are_read_from_text() -> None:
    assert parse_vertices(" 1,1 3,1.5  3e3,-3 ") == [(1.0, 1.0), (3.0, 1.5), (3000.0, -3.0)]


@pytest.mark.parametrize(
    "text, problem",
    [
        ("1,1 3,1 3", r"--vertices: '3' is no corner. Write x,y for each"),
        ("1,1 3,1 a,b", "--vertices: 'a,b' is no corner"),
        ("1,1 3,nan 3,3", "--vertices: '3,nan' is no corner"),
        ("1,1 3,1", "--vertices: 2 corners, a polygon has at least 3"),
    ],
    ids=["one number", "words", "no number", "too few"],
)
def test_text_that_is_no_polygon_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_vertices(text)


def test_the_plane_holds_the_columns_of_current_estimates(processed) -> None:
    plane = read_plane(processed.experiment, processed.store, "1", x="sqrt_dEdx", y="polar")

    rows = processed.estimates["estimates"]
    np.testing.assert_array_equal(plane.tracks[1], np.column_stack([rows["sqrt_dEdx"], rows["polar"]]))
    np.testing.assert_array_equal(plane.all, plane.tracks[1])


def test_an_unknown_column_is_answered_with_the_nearest(processed) -> None:
    with pytest.raises(ConfigError, match=r"'dEdX' is no column of tpc.estimates. Did you mean 'dEdx'\?"):
        read_plane(processed.experiment, processed.store, "1", x="dEdX")


def test_a_run_without_estimates_says_how_to_compute_them(processed) -> None:
    with pytest.raises(
        ArtifactMissing, match=r"run 2: tpc.estimates is missing \(not registered\). Compute it with: penstock run .* --runs 1-2"
    ):
        read_plane(processed.experiment, processed.store, "1-2")


def test_stray_tracks_do_not_stretch_the_axes_and_are_counted() -> None:
    random = np.random.default_rng(1)
    bulk = np.column_stack([random.uniform(200.0, 3000.0, 200), random.uniform(0.1, 0.6, 200)])
    strays = np.array([[900.0, 3.3], [700.0, 2.2], [90_000.0, 0.3]])
    figure = Figure(figsize=(6, 5))
    FigureCanvasAgg(figure)

    drawer = GateDrawer(GatePlane("dEdx", "brho", {94: np.concatenate([bulk, strays])}), figure.add_subplot())

    (axes,) = drawer.figure.axes
    assert axes.get_xlim()[0] == axes.get_ylim()[0] == 0.0
    assert 3000.0 < axes.get_xlim()[1] < 6500.0
    assert 0.6 < axes.get_ylim()[1] < 1.3
    assert [text.get_text() for text in axes.texts] == ["3 tracks beyond the axes"]


def test_axes_of_negative_values_begin_below_them() -> None:
    figure = Figure(figsize=(6, 5))
    FigureCanvasAgg(figure)

    GateDrawer(GatePlane("center_x", "brho", {94: np.array([[-50.0, 0.2], [40.0, 0.3]])}), figure.add_subplot())

    low, high = figure.axes[0].get_xlim()
    assert low < -50.0 < 40.0 < high


def test_the_figure_is_a_png(tmp_path: Path) -> None:
    assert draw_gate(PLANE, SQUARE, tmp_path / "gate.png").read_bytes().startswith(b"\x89PNG")
