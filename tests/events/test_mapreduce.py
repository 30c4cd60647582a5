"""The stage events.mapreduce: a user's classes over a run, kept by content."""

from __future__ import annotations

import base64
import io
import json
import textwrap
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from penstock.config import Resources, load_experiment
from penstock.core.errors import ConfigError
from penstock.core.plan import State
from penstock.core.selection import EventSelection, RunRange
from penstock.events.mapreduce import complete_params, given_values
from penstock.events.params import MapReduceParams
from penstock.execute import Planner, Request, RunReport, run
from penstock.formats.captures import CaptureWriter
from penstock.store import Store
from penstock.stream.models import EventData, StreamData

WORKER = """
import numpy as np

from penstock.stream.parameters import FloatParameter
from src.shape import scaled


class Worker:
    @staticmethod
    def describe_parameters():
        return [FloatParameter(name="scale", default=1.0), FloatParameter(name="fails_at", default=-1)]

    def process_event(self, event, parameters=None):
        print("seen", event.event_number)
        if event.event_number == parameters["fails_at"].value:
            raise ArithmeticError("not this one")
        return scaled(np.frombuffer(event.streams["det"].frames[0], "u2"), parameters["scale"].value)
"""
SHAPE = """
def scaled(values, scale):
    return scale * values.astype("f8")
"""
REDUCER = """
import os

import h5py
import numpy as np


class Reducer:
    def __init__(self):
        os.makedirs("{where}", exist_ok=True)
        self.file = h5py.File("{where}/reduced.h5", "w")
        self.values = self.file.create_dataset("values", (0, 4), maxshape=(None, 4), dtype="f8")
        self.publish = {{"sum": np.zeros(4)}}

    def process_result(self, result, parameters=None):
        self.values.resize(result.event_number + 1, axis=0)
        self.values[result.event_number] = result.payload
        self.publish["sum"] += result.payload

    def finish(self, parameters=None):
        self.file.attrs["scale"] = parameters["scale"].value
        self.file.close()
        with open("note.txt", "w") as note:
            note.write("done")
"""


class Bench:
    """A folder with a capture, a user's modules and an experiment.toml."""

    def __init__(self, folder: Path, where: str = "output") -> None:
        self.folder = folder
        (folder / "src").mkdir(parents=True)
        self.write("worker", WORKER)
        self.write("shape", SHAPE)
        self.write("reducer", REDUCER.format(where=where))
        (folder / "raw").mkdir()
        with CaptureWriter(folder / "raw" / "run_0007.det.cbors") as writer:
            for number in range(9):
                frame = np.arange(number, number + 4, dtype="u2").tobytes()
                writer.write(EventData(number, {"det": StreamData("x", [frame])}, 1_700_000_000_000_000_000 + number))
        self.configure()

    def write(self, name: str, code: str) -> None:
        (self.folder / "src" / f"{name}.py").write_text(textwrap.dedent(code))

    def configure(self, params: str = "") -> None:
        (self.folder / "experiment.toml").write_text(
            '[experiment]\nname = "beamtime"\ninstrument = "captures"\nraw = "raw"\n\n[params.events.mapreduce]\n'
            f'worker = "src.worker:Worker"\nreducer = "src.reducer:Reducer"\n{params}\n'
        )

    def run(self, executor: str = "inline", **overrides: Any) -> RunReport:
        experiment = load_experiment(self.folder / "experiment.toml")
        request = Request(RunRange("all"), overrides={f"events.mapreduce.{k}": v for k, v in overrides.items()}, retry_failed=True)
        with Store(experiment.store_path) as store:
            return run(experiment, store, request, resources=Resources(executor=executor, workers=2))

    def plan(self) -> tuple[State, str]:
        experiment = load_experiment(self.folder / "experiment.toml")
        with Store(experiment.store_path) as store:
            (row,) = Planner(experiment, store, Request(RunRange("all"))).plan()
        return row.state, row.why

    def files(self, report: RunReport) -> dict[str, bytes]:
        """Files of the artifact by their place in it."""
        assert report.ok, report.results[0].error
        (result,) = report.results
        assert result.key is not None
        with Store(self.folder / "store") as store:
            base = store.data_folder(result.key)
            return {p.relative_to(base).as_posix(): p.read_bytes() for p in sorted(base.rglob("*")) if p.is_file()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "beamtime")


def test_what_the_reducer_writes_and_publishes_is_the_artifact(bench: Bench, tmp_path: Path) -> None:
    report = bench.run(**{"parameters.scale": 2.0})

    found = bench.files(report)
    assert sorted(found) == ["note.txt", "output/reduced.h5", "published.h5"]
    copy = tmp_path / "copy.h5"
    copy.write_bytes(found["output/reduced.h5"])
    with h5py.File(copy) as file:
        assert file.attrs["scale"] == 2.0
        np.testing.assert_array_equal(file["values"][:], 2.0 * (np.arange(9)[:, None] + np.arange(4)))
    assert not (bench.folder / "output").exists()
    assert (report.results[0].events_in, report.results[0].events_out) == (9, 9)


def test_absolute_paths_of_the_reducer_are_mapped_into_the_artifact(tmp_path: Path) -> None:
    outside = Path("/nonexistent-place/visitors")
    bench = Bench(tmp_path / "beamtime", where=str(outside))

    found = bench.files(bench.run())

    assert "nonexistent-place/visitors/reduced.h5" in found
    assert not outside.exists()


def test_the_second_time_it_is_current_and_an_edit_of_the_users_code_makes_it_stale(bench: Bench) -> None:
    first = bench.files(bench.run())

    assert bench.plan() == (State.CURRENT, "")
    bench.write("shape", SHAPE.replace('scale * values.astype("f8")', 'values.astype("f8") * scale'))
    state, why = bench.plan()
    assert (state, why.split(":")[0]) == (State.STALE, "code")
    assert bench.files(bench.run()) == first


@pytest.mark.server
def test_dask_workers_make_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other")

    assert bench.files(bench.run(nworkers=3)) == other.files(other.run("local", nworkers=3))


def test_virtual_workers_stand_in_the_key_and_executors_do_not(bench: Bench) -> None:
    key = bench.run().results[0].key

    assert bench.run(nworkers=5).results[0].key != key
    assert bench.run(nworkers=2).results[0].state is State.CURRENT


def test_an_event_whose_worker_raises_fails_the_run_with_the_users_traceback(bench: Bench) -> None:
    report = bench.run(**{"parameters.fails_at": 4})

    error = str(report.results[0].error)
    assert "event 4, replay-worker-1: ArithmeticError: not this one" in error
    assert 'raise ArithmeticError("not this one")' in error


def test_or_is_rejected_with_its_reason_where_the_request_says_so(bench: Bench) -> None:
    report = bench.run(on_error="reject", **{"parameters.fails_at": 4})

    assert report.ok
    (result,) = report.results
    assert (result.events_in, result.events_out, result.rejected) == (9, 8, 1)
    assert result.key is not None
    with Store(bench.folder / "store") as store:
        assert store.manifest(result.key).counts.rejected == {"ArithmeticError: not this one": 1}


def test_a_file_of_parameters_stands_in_the_key_by_its_content(bench: Bench) -> None:
    (bench.folder / "params.json").write_text(json.dumps([{"name": "scale", "data": "3"}]))
    bench.configure('parameters_file = "params.json"')
    bench.run()

    (bench.folder / "params.json").write_text(json.dumps([{"data": "3", "name": "scale"}], indent=3))
    assert bench.plan()[0] is State.CURRENT
    (bench.folder / "params.json").write_text(json.dumps([{"name": "scale", "data": "4"}]))
    assert bench.plan()[0] is State.STALE


def test_values_of_experiment_toml_win_over_those_of_the_file() -> None:
    given = {"a": base64.b64encode(b"1").decode(), "b": base64.b64encode(b"\x00\xff").decode()}

    values = given_values(MapReduceParams(parameters={"a": 2.5, "c": True}, given=given))

    assert values == {"a": b"2.5", "b": b"\x00\xff", "c": b"True"}


def test_without_classes_the_plan_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"parameter 'worker' is not set. Give it a class, such as 'src\.worker:TestWorker'"):
        complete_params(MapReduceParams(), tmp_path, lambda _: "")


def test_a_module_that_is_not_there_is_told_when_planning(bench: Bench) -> None:
    with pytest.raises(ConfigError, match=r"module 'src\.nothing' is neither in .* nor installed"):
        bench.run(worker="src.nothing:Worker")


def test_a_parameter_of_the_wrong_type_is_recorded_with_its_name(bench: Bench) -> None:
    report = bench.run(**{"parameters.scale": "wide"})

    assert "parameter 'scale': 'wide' is not a number" in str(report.results[0].error)


def test_a_trial_of_some_events_keeps_to_them(bench: Bench) -> None:
    experiment = load_experiment(bench.folder / "experiment.toml")
    request = Request(RunRange("all"), EventSelection.parse("2:8:2"))
    with Store(experiment.store_path) as store:
        report = run(experiment, store, request, resources=Resources(executor="inline"))

    assert (report.results[0].events_in, report.results[0].events_out) == (3, 3)
    found = bench.files(report)
    with h5py.File(io.BytesIO(found["output/reduced.h5"])) as file:
        np.testing.assert_array_equal(np.flatnonzero(file["values"][:].any(axis=1)), [2, 4, 6])
    assert bench.run().results[0].key != report.results[0].key
