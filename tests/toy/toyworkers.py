"""Dask workers as people start them: ``dask worker`` in a process of its own, with lanes and variables of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import dask
from distributed import LocalCluster, Security

__all__ = ["WorkerFleet", "open_fleet"]

TOYS = Path(__file__).parent


class WorkerFleet:
    """A scheduler in this process, and workers in processes of their own."""

    def __init__(self, cluster: LocalCluster, folder: Path) -> None:
        self.address = str(cluster.scheduler_address)
        self._cluster = cluster
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str, variables: Mapping[str, str]) -> None:
        """Start a worker with one thread, and wait until the scheduler knows it."""
        before = len(self._cluster.scheduler_info["workers"])
        command = [sys.executable, "-m", "dask", "worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", *options]
        environment = {**os.environ, "PYTHONPATH": str(TOYS), **variables}
        with (self._folder / f"worker-{len(self._processes)}.log").open("wb") as log:
            self._processes.append(subprocess.Popen(command, env=environment, cwd=self._folder, stdout=log, stderr=log))
        deadline = time.monotonic() + 60
        while len(self._cluster.scheduler_info["workers"]) == before:
            assert time.monotonic() < deadline, Path(log.name).read_text()
            time.sleep(0.05)

    def close(self) -> None:
        """End the workers, then the scheduler."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._cluster.close()


@contextlib.contextmanager
def open_fleet(folder: Path, security: Security | None = None) -> Iterator[WorkerFleet]:
    """A scheduler without workers, on a free port."""
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        cluster = LocalCluster(
            n_workers=0,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            **({} if security is None else {"protocol": "tls://", "security": security}),
        )
    fleet = WorkerFleet(cluster, folder)
    try:
        yield fleet
    finally:
        fleet.close()
