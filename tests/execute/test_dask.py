"""Batches on Dask workers in processes."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from toybench import ToyExperiment

from penstock.config import Resources
from penstock.core.errors import LaneMissing, RunCancelled
from penstock.execute import RunReport, run

if TYPE_CHECKING:
    from conftest import SharedCluster

pytestmark = pytest.mark.server
Maker = Callable[[str], ToyExperiment]
ALL = ["computed"] * 3


def wait_for(place: Path) -> None:
    deadline = time.monotonic() + 60
    while not place.exists():
        assert time.monotonic() < deadline, f"{place.name} did not appear"
        time.sleep(0.01)


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} still lives"
        time.sleep(0.01)


class Background:
    """A run in a thread of its own."""

    def __init__(self, toy: ToyExperiment, resources: Resources) -> None:
        self.stop = threading.Event()
        self.report: RunReport | None = None
        self.error: BaseException | None = None
        self._arguments = (toy, resources)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        toy, resources = self._arguments
        try:
            self.report = run(toy.load(), toy.store, toy.request(), resources=resources, stop=self.stop)
        except RunCancelled as error:
            self.error = error

    def join(self) -> RunReport | None:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.report


@pytest.mark.parametrize("workers", [2, pytest.param(1, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)])
def test_the_bytes_depend_neither_on_workers_nor_on_batches(make_toy: Maker, cluster: SharedCluster, workers: int) -> None:
    def digests(name: str, resources: Resources) -> dict[str, list[str]]:
        toy = make_toy(name)
        toy.write_run(1, n_events=33, switches={4: "bad:noise", 20: "bad:noise"})
        toy.write_run(2, n_events=1)
        assert toy.run(resources=resources).ok
        return toy.digests()

    inline = digests("inline", Resources(executor="inline"))
    on_workers = [digests(f"batches-{size}", cluster.scale(workers, size)) for size in (1, 2, 5)]

    assert on_workers == [inline] * 3
    assert len(inline) == 6


def test_a_local_cluster_is_started_for_one_request(toy: ToyExperiment) -> None:
    toy.write_run(1)

    report = toy.run(resources=Resources(executor="local", workers=1))

    assert toy.states(report) == {1: ALL}


def test_nothing_is_started_where_all_is_current(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()

    report = toy.run(resources=Resources(executor="tcp://127.0.0.1:1"))

    assert toy.states(report) == {1: ["current"] * 3}


BESIDE = """
from penstock.core.stage import stage
from toyline.bodies import SummaryParams
from toyline.schemas import Hits

kept = stage("beside.kept", version=1, body="besidepkg.stages:keep", params=SummaryParams, reads={"hits": Hits}, writes=Hits, lane="toy", block=2)


def keep(hits, params):
    return hits
"""


def test_a_package_beside_experiment_toml_is_found_by_workers(toy: ToyExperiment, cluster: SharedCluster) -> None:
    (toy.folder / "besidepkg").mkdir()
    (toy.folder / "besidepkg/__init__.py").touch()
    (toy.folder / "besidepkg/stages.py").write_text(BESIDE)
    toy.configure(pipeline=("toy.hits", "beside.kept"), plugins=("toyline.plugin", "besidepkg.stages"))
    toy.write_run(1)

    report = toy.run(resources=cluster.scale(1))

    assert toy.states(report) == {1: ["computed"] * 2}


def test_a_worker_that_is_killed_in_mid_run_costs_nothing_but_time(make_toy: Maker, cluster: SharedCluster, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    toy, reference = make_toy("toy"), make_toy("reference")
    for experiment in (toy, reference):
        experiment.write_run(1, n_events=24, switches={9: f"wait@{gate}"})
        experiment.write_run(2, n_events=24)
    resources = cluster.scale(2)
    background = Background(toy, resources)
    wait_for(tmp_path / "gate.reached")

    os.kill(int((tmp_path / "gate.reached").read_text()), signal.SIGKILL)
    gate.touch()
    report = background.join()

    assert report is not None
    assert toy.states(report) == {1: ALL, 2: ALL}
    reference.run()
    assert toy.digests() == reference.digests()


def test_a_batch_that_kills_its_worker_twice_fails_with_its_events_and_the_others_go_on(toy: ToyExperiment, cluster: SharedCluster) -> None:
    toy.write_run(1, n_events=12, switches={5: "kill"})
    toy.write_run(2, n_events=12)
    toy.write_run(3, n_events=12)

    report = toy.run(resources=cluster.scale(1))

    assert toy.states(report) == {1: ["failed", "skipped", "skipped"], 2: ALL, 3: ALL}
    assert re.fullmatch(
        r"run 1, stage 'toy.hits', events 4:6: the worker died, last tcp://\S+ at \d+ MiB of memory \(2 times in these events\)\. "
        r"Give the workers more memory, or try the events alone with --executor inline\.",
        str(report.results[0].error),
    )
    assert toy.plan("1")[0][2] == "missing"


def test_a_batch_that_kills_its_worker_once_is_done_at_the_second_try(make_toy: Maker, cluster: SharedCluster, tmp_path: Path) -> None:
    once = tmp_path / "once"
    toy, reference = make_toy("toy"), make_toy("reference")
    for experiment in (toy, reference):
        experiment.write_run(1, n_events=12, switches={5: f"kill-once@{once}"})

    report = toy.run(resources=cluster.scale(1))

    assert toy.states(report) == {1: ALL}
    reference.run()
    assert toy.digests() == reference.digests()


def test_a_failing_run_fails_alone(toy: ToyExperiment, cluster: SharedCluster) -> None:
    toy.write_run(1, switches={5: "raise"})
    toy.write_run(2)

    report = toy.run(resources=cluster.scale(2))

    assert toy.states(report) == {1: ["failed", "skipped", "skipped"], 2: ALL}
    assert report.results[0].error == "run 1, stage 'toy.hits', events 4:6: ArithmeticError: unexpected value"


def test_a_lane_that_no_worker_offers_fails_at_once_with_the_workers(
    toy: ToyExperiment, cluster: SharedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.execute._dask.GRACE_S", 0.2)
    toy.configure(pipeline=("toy.hits", "toy.on_gpu"))
    toy.write_run(1)
    resources = cluster.scale(1)

    with pytest.raises(LaneMissing) as caught:
        toy.run(resources=resources)

    assert re.fullmatch(
        r"stage 'toy.on_gpu': no worker offers lane 'gpu' \(tcp://\S+ offers toy\)\. "
        rf"Start one with: dask cuda worker {re.escape(resources.executor)} --resources 'gpu=1', or allow CPUs with --cpu-fallback \(cpu_fallback = true under \[resources\]\)",
        str(caught.value),
    )
    assert list(toy.store.manifests()) == []


@pytest.mark.slow
def test_a_lane_that_a_cluster_of_ones_own_lacks_is_found_on_another(toy: ToyExperiment) -> None:
    toy.configure(pipeline=("toy.hits", "toy.on_gpu"))
    toy.write_run(1)

    with pytest.raises(
        LaneMissing, match=r"dask cuda worker tcp://SCHEDULER:8786 --resources 'gpu=1' and name its scheduler as executor, or allow"
    ):
        toy.run(resources=Resources(executor="local", workers=1))


def test_a_scheduler_that_cannot_be_reached_fails_with_its_address(toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.write_run(1)
    monkeypatch.setattr("penstock.execute._dask.CONNECT_S", 0.2)

    with pytest.raises(LaneMissing, match=r"^Dask scheduler tcp://127\.0\.0\.1:1: cannot be reached .*Start one with: dask scheduler$"):
        toy.run(resources=Resources(executor="tcp://127.0.0.1:1"))


def test_cancelling_keeps_what_was_committed_and_a_later_run_finishes(toy: ToyExperiment, cluster: SharedCluster, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    toy.write_run(1, n_events=8)
    toy.run(resources=cluster.scale(1))
    toy.write_run(2, n_events=8, switches={5: f"wait@{gate}"})
    background = Background(toy, cluster.scale(1))
    wait_for(tmp_path / "gate.reached")

    background.stop.set()
    gate.touch()
    background.join()

    assert isinstance(background.error, RunCancelled)
    assert len(list(toy.store.manifests())) == 3
    assert toy.store.index.claims() == {}
    assert toy.states(toy.run(resources=cluster.scale(1))) == {1: ["current"] * 3, 2: ALL}


@pytest.mark.slow
@pytest.mark.parametrize("switch", ["wait", "hold"])
def test_cancelling_restarts_a_worker_that_does_not_listen(toy: ToyExperiment, cluster: SharedCluster, tmp_path: Path, switch: str) -> None:
    gate = tmp_path / "gate"
    toy.write_run(1, n_events=8, switches={5: f"{switch}@{gate}"})
    background = Background(toy, cluster.scale(1))
    wait_for(tmp_path / "gate.reached")
    worker = int((tmp_path / "gate.reached").read_text())

    background.stop.set()
    background.join()

    assert isinstance(background.error, RunCancelled)
    wait_until_gone(worker)
    toy.write_run(1, n_events=8)
    assert toy.states(toy.run(resources=cluster.scale(1))) == {1: ALL}
