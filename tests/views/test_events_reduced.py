"""Figures of reduced streams: an artifact of each kind, drawn from the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toyreduce import START, image, point, random_images, write_run

from penstock.config import load_experiment
from penstock.core.plan import State
from penstock.core.selection import RunRange
from penstock.execute import Request, run
from penstock.store import Store
from penstock.views.events_reduced import draw_reduced, reduced_figure

EVENTS = 12
PONI = """poni_version: 2.1
Detector: Detector
Detector_config: {"pixel1": 1e-4, "pixel2": 1e-4, "max_shape": [20, 16], "orientation": 3}
Distance: 0.01
Poni1: 0.001
Poni2: 0.0008
Rot1: 0
Rot2: 0
Rot3: 0
Wavelength: 1e-10
"""
EXPERIMENT = """[experiment]
name = "beamtime"
instrument = "captures"
raw = "raw"
pipeline = ["events.sum", "events.mean", "events.extremes", "events.histogram", "events.stack", "events.timeseries", "events.map", "events.profile"]

[resources]
executor = "inline"

[params.events]
sum.values = { stream = "det", unit = "counts" }
mean.values = { stream = "det", region = "0:1" }
extremes.values.stream = "det"
histogram = { values.stream = "det", bins = 10, high = 900 }
stack.values = { stream = "det", region = [2, 14, 3, 15] }
timeseries = { values = { stream = "det", statistic = "mean" }, against = "time" }
profile = { image.stream = "det", poni = "geo.poni", bins = 6 }

[params.events.map]
signal = { stream = "det", statistic = "max" }
x = { stream = "motors", field = "samx", step = 0.5, unit = "mm" }
y = { stream = "motors", field = "samy", step = 1.0 }
"""
Figure = Callable[[str], Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment whose run 1 went through all reductions."""
    folder = tmp_path_factory.mktemp("reduced")
    (folder / "raw").mkdir()
    (folder / "geo.poni").write_text(PONI)
    (folder / "experiment.toml").write_text(EXPERIMENT)
    pixels = random_images(EVENTS, (20, 16))
    pixels[:, 4, 5] = 65535
    cut = image(pixels[0])
    cut.frames[1] = cut.frames[1][:-2]
    events = [{"det": image(p, n), "motors": point(samx=0.5 * (n % 4), samy=n // 4)} for n, p in enumerate(pixels)]
    write_run(folder / "raw" / "run_0001.cbors", [{"det": START}, *events, {"det": cut}])
    experiment = load_experiment(folder)
    with Store(experiment.store_path) as store:
        report = run(experiment, store, Request(RunRange("all")))
        assert report.ok, [r.error for r in report.results]
    return folder


@pytest.fixture
def figure(folder: Path) -> Iterator[Figure]:
    """Makes the figure of a stage."""
    with Store(folder / "store") as store:
        yield lambda stage: reduced_figure(store, store.manifest(store.index.refs()[f"beamtime/default/run-0001/{stage}"]))


def panels(figure: Any) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_xlabel()]


def test_a_second_request_finds_all_of_it_current(folder: Path) -> None:
    experiment = load_experiment(folder)
    with Store(experiment.store_path) as store:
        report = run(experiment, store, Request(RunRange("all")))

    assert {r.state for r in report.results} == {State.CURRENT}
    assert [(r.events_in, r.events_out, r.rejected) for r in report.results] == [
        (14, 13 if r.rejected else 14, r.rejected) for r in report.results
    ]


def test_the_figure_is_a_png(folder: Path, tmp_path: Path) -> None:
    with Store(folder / "store") as store:
        manifest = store.manifest(store.index.refs()["beamtime/default/run-0001/events.sum"])
        path = draw_reduced(store, manifest, tmp_path / "sum.png")

    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_title_says_what_was_reduced_and_what_is_damaged(figure: Figure) -> None:
    drawn = figure("events.sum")

    assert drawn.get_suptitle().startswith("beamtime  ·  run 1  ·  events.sum")
    assert "12 of 14 events, 1 damaged" in {text.get_text() for text in drawn.texts}


def test_a_sum_is_an_image_whose_masked_pixels_are_left_out(figure: Figure) -> None:
    (axes,) = panels(figure("events.sum"))

    (shown,) = axes.get_images()
    assert np.ma.getmaskarray(shown.get_array()).nonzero() == ([4], [5])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("column", "row")


def test_a_few_rows_are_lines(figure: Figure) -> None:
    (axes,) = panels(figure("events.mean"))

    assert [len(line.get_xdata()) for line in axes.get_lines()] == [16]


def test_extremes_are_two_images(figure: Figure) -> None:
    assert [axes.get_title("left") for axes in panels(figure("events.extremes"))] == ["greatest of det", "least of det"]


def test_a_histogram_says_what_lies_outside(figure: Figure) -> None:
    (axes,) = panels(figure("events.histogram"))

    (note,) = axes.texts
    assert note.get_text().endswith("overflow, 12 masked")


def test_a_stack_shows_some_of_its_images(figure: Figure) -> None:
    titles = [axes.get_title("left") for axes in panels(figure("events.stack"))]

    assert titles == [f"event {n}" for n in (1, 3, 5, 8, 10, 12)]


def test_a_time_series_is_a_line_over_time(figure: Figure) -> None:
    (axes,) = panels(figure("events.timeseries"))

    assert axes.get_xlabel() == "time since the first event (s)"
    assert len(axes.get_lines()[0].get_xdata()) == EVENTS


def test_a_map_has_motor_positions_for_axes(figure: Figure) -> None:
    (axes,) = panels(figure("events.map"))

    assert (axes.get_xlabel(), axes.get_ylabel()) == ("samx (mm)", "samy")
    assert axes.get_images()[0].get_extent() == pytest.approx([-0.25, 1.75, -0.5, 2.5])


def test_a_profile_is_a_line_with_errors_and_an_image_of_each_event(figure: Figure) -> None:
    line, image_of_all = panels(figure("events.profile"))

    assert (line.get_xlabel(), line.get_ylabel()) == ("q (1/nm)", "intensity")
    assert len(line.collections) == 1
    assert image_of_all.get_images()[0].get_array().shape == (EVENTS, 6)


@pytest.mark.server
def test_dask_workers_make_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("store"))
    (other / "experiment.toml").write_text(EXPERIMENT.replace('executor = "inline"', 'executor = "local"\nworkers = 2'))

    experiment = load_experiment(other)
    with Store(experiment.store_path) as store:
        assert run(experiment, store, Request(RunRange("all"))).ok

    assert contents(other) == contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    with Store(folder / "store") as store:
        return {ref: (store.data_folder(key) / "reduced.h5").read_bytes() for ref, key in store.index.refs().items()}
