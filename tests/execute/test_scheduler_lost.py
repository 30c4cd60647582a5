"""A Dask scheduler that is killed in the middle of a run: the run goes on when it is back, and says so when it stays away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from distributed import Future
from distributed.client import ClosedClientError
from toybench import ToyExperiment

from penstock.config import Resources
from penstock.core.errors import LaneMissing
from penstock.core.plan import State
from penstock.execute import RunReport, _dask, run
from penstock.execute._batch import BatchResult, WorkerLost

TOYS = Path(__file__).parents[1] / "toy"
RUNS = 8
"""More than batches may be in flight: a step that fails must give its place to the next one."""


class Cluster:
    """A scheduler and a worker, each in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._address = folder / "scheduler.json"
        self.start("scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(self._address))
        until(self._address.exists)
        self.port = self._text().rpartition(":")[2]
        self.start_worker()

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start_worker(self) -> None:
        self.start("worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--resources", "toy=1")

    def start_scheduler(self) -> None:
        self.start("scheduler", "--port", self.port, "--no-dashboard")

    def start(self, what: str, *options: str) -> None:
        command = [sys.executable, "-m", "dask", what, "--host", "127.0.0.1", *options]
        environment = {**os.environ, "PYTHONPATH": str(TOYS)}
        with (self.folder / f"{what}.log").open("ab") as log:
            self.processes[what] = subprocess.Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=log)

    def kill(self, what: str) -> None:
        self.processes[what].kill()
        self.processes[what].wait()

    def _text(self) -> str:
        return str(json.loads(self._address.read_text())["address"])


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler that is away for two seconds is given up."""
    monkeypatch.setattr(_dask, "RETURN_S", 2.0)


@pytest.fixture
def lost(toy: ToyExperiment, tmp_path: Path) -> Iterator[tuple[Cluster, threading.Thread, list[RunReport]]]:
    """A cluster whose scheduler is killed while a run is computed on it."""
    for number in range(1, RUNS + 1):
        toy.write_run(number, 4, {0: "sleep:0.2"})
    cluster = Cluster(tmp_path)
    reports: list[RunReport] = []
    resources = Resources(executor=cluster.address, batch_blocks=1)
    thread = threading.Thread(target=lambda: reports.append(run(toy.load(), toy.store, toy.request(), resources=resources)))
    try:
        thread.start()
        until(lambda: toy.store.keys())
        cluster.kill("scheduler")
        yield cluster, thread, reports
    finally:
        for name in cluster.processes:
            with suppress(ProcessLookupError):
                cluster.kill(name)


@pytest.mark.slow
@pytest.mark.server
def test_a_scheduler_that_comes_back_costs_nothing_but_time(lost: tuple[Cluster, threading.Thread, list[RunReport]]) -> None:
    cluster, thread, reports = lost
    cluster.start_scheduler()
    cluster.kill("worker")
    cluster.start_worker()
    thread.join(60)
    assert [report.count(State.COMPUTED) for report in reports] == [3 * RUNS]


@pytest.mark.slow
@pytest.mark.server
def test_a_scheduler_that_stays_away_fails_every_run_with_what_to_do(
    short_patience: None, lost: tuple[Cluster, threading.Thread, list[RunReport]]
) -> None:
    cluster, thread, reports = lost
    thread.join(60)
    (report,) = reports
    errors = [result.error or "" for result in report.results if result.state is State.FAILED]
    assert report.count(State.COMPUTED) > 0
    assert errors
    assert all(
        f"Dask scheduler {cluster.address}: went away and did not come back within 2 s. Start it and its workers" in e for e in errors
    )


class Client:
    """A client of Dask that has lost its scheduler."""

    status = "connecting"

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"address": "tcp://here:1"} if n_workers == 0 else {}

    def submit(self, *_: object, **options: object) -> Future[Any]:
        if self.status == "closed":
            raise ClosedClientError("closed")
        return LostFuture()

    def cancel(self, futures: Sequence[LostFuture], force: bool) -> None:
        for future in futures:
            future.status = "cancelled"
            future.callback(future)


class LostFuture(Future):  # type: ignore[type-arg,misc]
    """A future as Dask leaves it where its scheduler went away."""

    status = "pending"
    key = "batch-1"

    def __init__(self) -> None: ...

    def __del__(self) -> None: ...

    def done(self) -> bool:
        return self.status != "pending"

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self.callback = callback


class Call:
    lane = "toy"


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def outcomes() -> list[BatchResult | BaseException]:
    return []


def test_a_batch_that_dask_cancels_because_its_scheduler_went_away_is_no_cancelled_run(client: Any, outcomes: list[Any]) -> None:
    ticket: Any = _dask.DaskExecutor(client).submit(Call(), outcomes.append)  # type: ignore[arg-type]
    client.cancel([ticket], force=True)
    assert [type(outcome) for outcome in outcomes] == [WorkerLost]


def test_a_batch_that_we_cancel_is_stopped(client: Any, outcomes: list[Any]) -> None:
    executor = _dask.DaskExecutor(client)
    executor.cancel([executor.submit(Call(), outcomes.append)])  # type: ignore[arg-type]
    assert outcomes == [BatchResult((), stopped=True, worker=outcomes[0].worker)]


def test_a_scheduler_that_is_given_up_is_named_with_what_to_do_and_cancelling_asks_it_nothing(client: Any) -> None:
    executor = _dask.DaskExecutor(client)
    ticket = executor.submit(Call(), lambda _: None)  # type: ignore[arg-type]
    client.status = "closed"
    executor.cancel([ticket])
    executor.abort([ticket])
    message = r"Dask scheduler tcp://here:1: went away and did not come back within 60 s\. Start it and its workers again, then give the same command\."
    with pytest.raises(LaneMissing, match=message):
        executor.submit(Call(), lambda _: None)  # type: ignore[arg-type]
    with pytest.raises(LaneMissing, match=message):
        executor.offers("toy")
