"""Batches on Dask workers: in processes of this machine, or on a cluster by its scheduler's address.

A batch carries its lane as a Dask resource, so it only runs where that lane is offered; the wanted lanes are compared
with the workers' before anything is submitted, because Dask itself would wait without a word.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import dask
from distributed import Client, Future, LocalCluster
from distributed.scheduler import KilledWorker

from penstock.core.errors import LaneMissing
from penstock.core.stage import Stage
from penstock.execute._batch import BatchCall, BatchResult, WorkerLost, run_batch

__all__ = ["DaskExecutor", "local_cluster", "remote_cluster"]

GRACE_S = 5.0
"""How long a lane may be without workers before that is an error, in seconds."""
CONNECT_S = 10.0
"""How long a scheduler may take to answer, in seconds."""

ALLOWED_FAILURES = 0
"""Dask's own retries: none, because Dask also blames the batches that only waited on a worker that died."""


class DaskExecutor:
    """Computes batches on the workers of a Dask cluster."""

    def __init__(self, client: Client, cluster: LocalCluster | None = None) -> None:
        self._client = client
        self._address = str(client.scheduler_info(n_workers=0)["address"])
        self._cluster = cluster

    @property
    def slots(self) -> int:
        """Threads of all workers."""
        return max(1, sum(int(w["nthreads"]) for w in self._workers().values()))

    def preflight(self, stages: Iterable[Stage]) -> None:
        """Compare the lanes of `stages` with those that workers offer; a worker that is being restarted gets some seconds."""
        deadline = time.monotonic() + GRACE_S
        for stage in stages:
            while stage.lane not in itertools.chain(*(offered := self._lanes()).values()):
                if time.monotonic() > deadline:
                    raise LaneMissing(_no_lane(stage, offered, self._address))
                time.sleep(0.1)

    def submit(self, call: BatchCall, done: Callable[[BatchResult | BaseException], None]) -> object:
        """Submit the batch as a future on its lane."""
        future = self._client.submit(run_batch, call, resources={call.lane: 1}, pure=False)
        future.add_done_callback(lambda f: done(_outcome(f)))
        return future

    def cancel(self, tickets: Iterable[object]) -> None:
        """Cancel futures that wait."""
        futures = [t for t in tickets if isinstance(t, Future) and not t.done()]
        if futures:
            self._client.cancel(futures, force=True)

    def abort(self, tickets: Iterable[object]) -> None:
        """Restart the workers that still compute one of `tickets`; one without a nanny ends its block first.

        The processes are killed and their nannies start new ones. Dask's own ``restart_workers`` asks first, for
        seconds, and has been seen to leave a worker that did not answer without a successor.
        """
        futures = {t.key: t for t in tickets if isinstance(t, Future)}
        if not futures:
            return
        workers = self._workers()
        busy = [
            address
            for address, keys in self._client.processing().items()
            if futures.keys() & set(keys) and workers.get(address, {}).get("nanny")
        ]
        self._client.cancel(list(futures.values()), force=True)
        if busy:
            self._client.run(_end_process, workers=busy, on_error="ignore")

    def close(self) -> None:
        """Close the client, and the cluster where it is ours."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()

    def _lanes(self) -> dict[str, list[str]]:
        return {address: sorted(w["resources"]) for address, w in self._workers().items()}

    def _workers(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return found


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _no_lane(stage: Stage, offered: Mapping[str, Sequence[str]], address: str) -> str:
    workers = (f"{worker} offers {', '.join(lanes) or 'no lane'}" for worker, lanes in sorted(offered.items()))
    return (
        f"stage {stage.name!r}: no worker offers lane {stage.lane!r} ({'; '.join(workers) or 'there is no worker'}). "
        f"Start one with: dask worker {address} --resources '{stage.lane}=1'"
    )


def _outcome(future: Future[BatchResult]) -> BatchResult | BaseException:
    """What became of a future; an error in here is an outcome too, because a callback that raises leaves its step waiting for ever."""
    try:
        if future.status == "cancelled":
            return BatchResult((), stopped=True)
        if future.status == "finished":
            result: BatchResult = future.result()
            return result
        error = future.exception()
    except Exception as trouble:  # noqa: BLE001  it is handed on
        return trouble
    if isinstance(error, KilledWorker):
        worker = error.last_worker
        # A worker that dies at once has reported nothing yet.
        memory = worker.metrics.get("memory", 0) / 2**20
        return WorkerLost(f"the worker died, last {worker.address} at {memory:.0f} MiB of memory")
    return error if isinstance(error, BaseException) else WorkerLost(f"Dask says {future.status!r}")


def local_cluster(workers: int | None, memory: str, lanes: Iterable[str]) -> DaskExecutor:
    """Worker processes of this machine, one thread each, that offer every lane."""
    count = workers or len(os.sched_getaffinity(0))
    settings = {
        "distributed.scheduler.allowed-failures": ALLOWED_FAILURES,
        "distributed.worker.daemon": True,
        "distributed.admin.low-level-log-length": 0,
    }
    with dask.config.set(settings):
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            memory_limit=memory,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            resources=dict.fromkeys(lanes, 1),
            silence_logs=logging.CRITICAL,
        )
    client = Client(cluster, set_as_default=False)
    return DaskExecutor(client, cluster)


def remote_cluster(address: str) -> DaskExecutor:
    """The workers of a Dask scheduler."""
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise LaneMissing(f"Dask scheduler {address}: cannot be reached ({error}). Start one with: dask scheduler") from error
    return DaskExecutor(client)
