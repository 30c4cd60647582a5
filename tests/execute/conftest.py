from __future__ import annotations

import logging
from collections.abc import Iterator

import dask
import pytest
from distributed import LocalCluster

from penstock.config import Resources


class SharedCluster:
    """Dask workers in processes, started once for all tests that need so many."""

    def __init__(self) -> None:
        self._clusters: dict[int, LocalCluster] = {}

    def scale(self, workers: int, batch_blocks: int = 1) -> Resources:
        """Have as many workers, and say how to reach them."""
        if workers not in self._clusters:
            with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
                self._clusters[workers] = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    resources={"toy": 1},
                    silence_logs=logging.CRITICAL,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                )
        return Resources(executor=self._clusters[workers].scheduler_address, batch_blocks=batch_blocks)

    def close(self) -> None:
        for cluster in self._clusters.values():
            cluster.close()


@pytest.fixture(scope="session")
def cluster() -> Iterator[SharedCluster]:
    """Workers that offer the lane of the toy's stages."""
    shared = SharedCluster()
    yield shared
    shared.close()
