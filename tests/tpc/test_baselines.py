"""Baselines of traces by array arithmetic, compared with the compiled kernel that tpc.points uses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from penstock.config import Resources, load_experiment
from penstock.core.schema import Records, Rejection
from penstock.core.selection import RunRange
from penstock.core.stage import load_dotted
from penstock.execute import Request, run
from penstock.formats.traces import Traces
from penstock.instruments.attpc import INSTRUMENT
from penstock.kernels.baseline import subtract_baseline
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.store import Store
from penstock.testing import StageContract
from penstock.tpc.baselines import flatten, subtract_baselines
from penstock.tpc.params import BaselineParams, PointParams
from penstock.tpc.stages import baselines

EVENTS = 4


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Traces:
    """A small simulated run."""
    path = write_run(tmp_path_factory.mktemp("run"), TpcSimulation(seed=5), 1, EVENTS)
    with load_dotted(INSTRUMENT.reader)(path) as reader:
        read: Traces = reader.read(0, EVENTS)
    return read


def random_traces(n: int, rows: int = 40) -> NDArray[np.int16]:
    """Noise, with a pulse in each; among them a constant trace at either end of the ADC."""
    rng = np.random.default_rng(n)
    made = rng.integers(200, 600, (rows, n)).astype(np.int16)
    made[:, n // 3 : n // 3 + 3] += 2500
    made[0], made[1] = 4095, 0
    return made


@pytest.mark.parametrize(("n", "scale"), [(512, 20.0), (512, 100.0), (512, 3.0), (512, 600.0), (64, 20.0), (37, 5.5), (4, 20.0)])
def test_array_arithmetic_gives_the_bits_of_the_compiled_kernel(n: int, scale: float) -> None:
    made = random_traces(n)

    flat = flatten(made, scale, np)

    assert flat.dtype == np.float32
    assert flat.tobytes() == subtract_baseline(made, scale).tobytes()


@pytest.mark.gpu
def test_a_device_gives_the_same_within_a_thousandth_of_an_adc_count() -> None:
    cupy = pytest.importorskip("cupy", reason="needs CuPy and a device: pip install penstock[gpu]")
    made = random_traces(512, rows=4000)

    flat = flatten(cupy.asarray(made), 20.0, cupy).get()

    assert np.abs(flat - subtract_baseline(made, 20.0)).max() < 1e-3


def test_the_default_is_that_of_the_pads_in_tpc_points() -> None:
    assert BaselineParams().baseline_window_scale == PointParams().pads.baseline_window_scale


def test_a_run_gives_a_flat_trace_for_each_trace_of_a_pad(traces: Traces) -> None:
    flat = subtract_baselines(traces, BaselineParams())

    assert flat["pads"]["samples"].tobytes() == subtract_baseline(traces.pad_samples, 20.0).tobytes()
    assert np.array_equal(flat["pads"]["pad"], traces["pads"]["pad"])
    assert np.array_equal(flat["events"]["event"], traces["events"]["event"])


def test_away_from_pulses_traces_lie_around_zero(traces: Traces) -> None:
    flat = subtract_baselines(traces, BaselineParams())

    # The noise of the simulation is about 5 ADC counts; the window of the baseline holds 25 samples.
    assert np.abs(np.median(flat["pads"]["samples"], axis=1)).max() < 5.0


class TestBaselines(StageContract):
    stage = baselines
    made: ClassVar[Traces]

    @pytest.fixture(autouse=True)
    def _keep(self, traces: Traces) -> None:
        type(self).made = traces

    def inputs(self) -> Mapping[str, Records]:
        events = Traces.concatenate([self.made.part(0, EVENTS), Traces.empty(1)])
        events.rejections = [Rejection(EVENTS, "no traces")]
        return {"traces": events}

    def test_what_the_reader_rejected_stays_rejected(self) -> None:
        assert [r.index for r in self.result().rejections] == [EVENTS]


def test_the_raw_run_becomes_an_artifact_with_a_figure(tmp_path: Path) -> None:
    write_run(tmp_path / "raw", TpcSimulation(seed=5), 1, 2)
    (tmp_path / "experiment.toml").write_text(
        '[experiment]\nname = "flat"\ninstrument = "attpc"\nraw = "raw"\npipeline = ["tpc.baselines"]\n'
    )
    with Store(tmp_path / "store") as store:
        report = run(load_experiment(tmp_path), store, Request(RunRange("1")), resources=Resources(executor="inline", cpu_fallback=True))
        manifest = store.manifest(str(report.results[0].key))
        picture = load_dotted(baselines.figure)(store, manifest, tmp_path / "figure.png")

    assert report.ok
    assert manifest.environment["device"] == "cpu"
    assert picture.stat().st_size > 10_000
