"""A real ``penstock up`` for tests: started as a process in a folder of its own, asked over REST, stopped by SIGINT."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import toyline
from toyline.raw import write_run

from penstock_flows.up import Home
from penstock_flows.up._health import ask, worker_count

__all__ = ["Site", "running_up", "slow_experiment", "until"]

COMMAND = (sys.executable, "-c", "from penstock_flows.commands.up import up; up()")


@dataclass
class Site:
    """Services of one machine while they run."""

    home: Home
    state: dict[str, Any]
    process: subprocess.Popen[bytes]

    @property
    def api(self) -> str:
        return str(self.state["api"])

    @property
    def environment(self) -> dict[str, str]:
        """The environment of another shell, as `up` says it."""
        return {**os.environ, **self.state["environment"], "PREFECT_HOME": str(self.home.prefect)}

    @property
    def dashboard(self) -> str:
        return str(self.state["dashboard"]).partition("/info")[0].removesuffix("/status")

    def workers(self) -> int:
        """Dask workers."""
        return worker_count(self.dashboard)

    def batches(self) -> int:
        """Batches that the Dask workers have in hand, computing or waiting there."""
        return int(ask(f"{self.dashboard}/json/counts.json")["processing"])

    def flow_processes(self) -> list[int]:
        """Processes of flow runs, their hooks included."""
        words = ("prefect.engine", "prefect.runner")
        found = []
        for process in self.home.leftovers():
            with suppress(psutil.Error):
                if any(word in " ".join(process.cmdline()) for word in words):
                    found.append(process.pid)
        return found

    def deployment(self, name: str = "process/process") -> str:
        """The id of a deployment."""
        return str(ask(f"{self.api}/deployments/name/{name}")["id"])

    def trigger(self, **request: object) -> str:
        """Ask for a run of `process` over REST; the id of the flow run."""
        body = {"parameters": {"request": request}, "state": {"type": "SCHEDULED"}}
        return str(ask(f"{self.api}/deployments/{self.deployment()}/create_flow_run", body)["id"])

    def flow_run(self, identity: str) -> dict[str, Any]:
        """A flow run as the API tells it."""
        found: dict[str, Any] = ask(f"{self.api}/flow_runs/{identity}")
        return found

    def flow_runs(self) -> list[dict[str, Any]]:
        """All flow runs, newest first."""
        found: list[dict[str, Any]] = ask(f"{self.api}/flow_runs/filter", {"sort": "EXPECTED_START_TIME_DESC"})
        return found

    def ended(self, identity: str, timeout_s: float = 240.0) -> dict[str, Any]:
        """The state of a flow run when it has ended."""
        until(lambda: self.flow_run(identity)["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"), timeout_s)
        found: dict[str, Any] = self.flow_run(identity)["state"]
        return found

    def artifacts(self, identity: str) -> set[str]:
        """The keys of a flow run's artifacts."""
        body = {"artifacts": {"flow_run_id": {"any_": [identity]}}}
        return {str(a["key"]) for a in ask(f"{self.api}/artifacts/filter", body)}


@contextmanager
def running_up(folder: Path, *options: str, workers: int = 2) -> Iterator[Site]:
    """Start it on free ports and stop it; nothing of it is left afterwards."""
    home = Home(folder / "home")
    ports = ("--port", "0", "--scheduler-port", "0", "--dashboard-port", "0")
    command = [*COMMAND, "--home", str(home.folder), *ports, "--workers", str(workers), "--json", *options]
    output = folder / "up.out"
    with output.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, cwd=folder)
    try:
        until(lambda: home.state.exists() or process.poll() is not None, 240)
        assert process.poll() is None, output.read_text()
        yield Site(home, json.loads(home.state.read_text()), process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        finally:
            process.kill()
            home.sweep()


def slow_experiment(folder: Path, seconds: float, n_events: int = 40) -> Path:
    """A toy experiment of two runs in which each event takes so long."""
    shutil.copytree(Path(toyline.__file__).parent, folder / "toyline", ignore=shutil.ignore_patterns("__pycache__"))
    for run in (1, 2):
        write_run(folder / "raw", run, n_events, dict.fromkeys(range(n_events), f"sleep:{seconds}"))
    (folder / "experiment.toml").write_text(
        f'[experiment]\nname = "{folder.name}"\ninstrument = "toy"\nraw = "raw"\n[plugins]\nmodules = ["toyline.plugin"]\n'
    )
    return folder


def until(holds: Callable[[], object], timeout_s: float) -> float:
    """Wait until something holds; how long that took, in seconds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < timeout_s, f"not within {timeout_s:.0f} s"
        time.sleep(0.1)
    return time.monotonic() - began
