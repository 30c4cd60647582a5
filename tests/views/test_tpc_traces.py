"""The figure of traces: pads, sizes, heights, channels of the crate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toybench import commit

from penstock.formats.attpc import AttpcRun
from penstock.formats.traces import Traces
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.store import Counts, Store
from penstock.views.tpc_traces import draw_traces, raw_heights, traces_figure

EVENTS = 6


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Traces:
    path = write_run(tmp_path_factory.mktemp("run"), TpcSimulation(seed=3), 1, EVENTS)
    with AttpcRun(path) as run:
        return run.read(0, EVENTS)


def figure_of(store: Store, records: Traces):
    return traces_figure(store, store.manifest(commit(store, "traces", records)))


def axes_of(figure, title: str):
    return next(axes for axes in figure.axes if axes.get_title("left").startswith(title))


def bars(axes) -> int:
    return int(axes.patches[0].get_data().values.sum())


def test_the_figure_is_a_png(store: Store, traces: Traces, tmp_path: Path) -> None:
    manifest = store.manifest(commit(store, "traces", traces))

    assert draw_traces(store, manifest, tmp_path / "traces.png").read_bytes().startswith(b"\x89PNG")


def test_every_trace_and_event_is_counted(store: Store, traces: Traces) -> None:
    figure = figure_of(store, traces)

    n_traces = len(traces["pads"]["pad"])
    (triangles,) = axes_of(figure, "Pad plane").collections
    assert int(triangles.get_array().sum()) == bars(axes_of(figure, "Raw amplitude")) == n_traces
    assert bars(axes_of(figure, "Size of events")) == EVENTS
    assert f"{EVENTS} events, {n_traces:,} traces of pads, 0 of silicon" in [text.get_text() for text in figure.texts]


def test_heights_are_those_above_the_median() -> None:
    samples = np.full((3, 512), 300, np.int16)
    samples[1, 100:110] = 900
    samples[2, 200] = 0

    assert raw_heights(samples).tolist() == [0.0, 600.0, 0.0]
    assert raw_heights(np.zeros((2, 0), np.int16)).tolist() == [0.0, 0.0]


def test_each_channel_of_the_crate_has_its_median_height(store: Store, traces: Traces) -> None:
    axes = axes_of(figure_of(store, traces), "FRIB crate")

    dots = [float(line.get_ydata()[0]) for line in axes.get_lines() if len(line.get_xdata()) == 1]
    samples = traces.frib_samples[traces["frib"]["channel"] == 0].astype(float)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [f"SIS3300\n{channel}" for channel in range(8)]
    assert dots[0] == np.median(samples.max(axis=1) - np.median(samples, axis=1))


def test_channels_that_were_not_read_out_are_left_out(store: Store, traces: Traces) -> None:
    lengths = np.where(np.arange(len(traces.frib_lengths)) % 8 == 1, 0, 100)
    lengths[0] = 50
    offsets = {**traces.offsets, "frib_samples": np.append(0, np.cumsum(lengths))}
    columns = {**traces.columns, "frib_samples": {"adc": np.ones(lengths.sum(), np.uint16)}}

    axes = axes_of(figure_of(store, Traces(n_events=EVENTS, columns=columns, offsets=offsets)), "FRIB crate")

    assert [tick.get_text()[-1] for tick in axes.get_xticklabels()] == list("0234567")


def test_a_run_without_traces_has_a_figure(store: Store) -> None:
    figure = figure_of(store, Traces.empty(3))

    assert [text.get_text() for text in axes_of(figure, "FRIB crate").texts] == ["no trace of the crate"]
    assert axes_of(figure, "Pad plane").get_title("left") == "Pad plane: 0 of 10,240 pads with traces"


def test_of_a_large_run_a_sample_is_read(store: Store, traces: Traces) -> None:
    manifest = store.manifest(commit(store, "traces", traces))
    rows = {"pads": len(traces["pads"]["pad"]), "frib_samples": len(traces["frib_samples"]["adc"])}
    counted = replace(manifest, counts=Counts(EVENTS, EVENTS, rows=rows))

    figure = traces_figure(store, counted, most_traces=rows["pads"] // 2)

    assert any(text.get_text().startswith("sample: 4 of 6 events") for text in figure.texts)
