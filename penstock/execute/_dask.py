"""Batches on Dask workers: in processes of this machine, or on a cluster by its scheduler's address.

A batch carries its lane as a Dask resource, so it only runs where that lane is offered; the wanted lanes are compared
with the workers' before anything is submitted, because Dask itself would wait without a word.
"""

from __future__ import annotations

import logging
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Future, LocalCluster
from distributed.client import ClosedClientError
from distributed.deploy.cluster import Cluster
from distributed.scheduler import KilledWorker
from distributed.versions import VersionMismatchWarning

from penstock.config import GPU_LANE, PluginSource, stage_code
from penstock.core.errors import CodeMismatch, LaneMissing, StoreError
from penstock.core.stage import Stage
from penstock.execute._batch import BatchCall, BatchResult, SchedulerLost, WorkerLost, run_batch
from penstock.execute._lanes import resource_names, spellings
from penstock.execute._security import security_of, warn_if_open
from penstock.execute._versions import codes_of, compare, question, refuse

__all__ = ["DaskExecutor", "local_cluster", "remote_cluster"]

GRACE_S = 5.0
"""How long a lane may be without workers before that is an error, in seconds."""
CONNECT_S = 10.0
"""How long a scheduler may take to answer, in seconds."""
RETURN_S = 60.0
"""How long a scheduler that went away may take to come back, in seconds."""

ALLOWED_FAILURES = 0
"""Dask's own retries: none, because Dask also blames the batches that only waited on a worker that died."""


class DaskExecutor:
    """Computes batches on the workers of a Dask cluster."""

    def __init__(self, client: Client, cluster: Cluster | None = None) -> None:
        self._client = client
        self._address = str(client.scheduler_info(n_workers=0)["address"])
        self._cluster = cluster
        self._resources: dict[str, str] = {}
        self._dropped: set[str] = set()

    @property
    def slots(self) -> int:
        """Threads of all workers."""
        return max(1, sum(int(w["nthreads"]) for w in self._workers().values()))

    def offers(self, lane: str) -> bool:
        """Whether a worker offers the lane now."""
        return bool(resource_names(lane, self._lanes()))

    def preflight(self, stages: Iterable[Stage]) -> None:
        """Compare the lanes of `stages` with those that workers offer; a worker that is being restarted gets some seconds."""
        deadline = time.monotonic() + GRACE_S
        for stage in stages:
            while not (names := resource_names(stage.lane, offered := self._lanes())):
                if time.monotonic() > deadline:
                    raise LaneMissing(_no_lane(stage, offered, None if self._is_ours else self._address))
                time.sleep(0.1)
            if len(names) > 1 and stage.lane not in self._resources:
                warnings.warn(_two_names(stage.lane, names), UserWarning, stacklevel=2)
            self._resources[stage.lane] = next(iter(names))

    def compare_versions(self, stages: Sequence[Stage], plugins: tuple[PluginSource, ...]) -> None:
        """Compare versions of the scheduler and of the workers that offer the lanes of `stages`, and their code where their sources differ.

        Workers of this machine that we started ourselves need no look. A worker that joins later compares with each batch.

        Raises
        ------
        CodeMismatch
            With all differences.
        """
        if self._is_ours:
            return
        served = self._serving(stages)
        asked = question(stages)
        ours = eval(asked)  # noqa: S307  our own text, the same that the others get
        scheduler = self._client.run_on_scheduler(eval, question(()))
        answers: dict[str, Any] = self._client.run(eval, asked, workers=list(served), on_error="ignore") if served else {}
        refuse(compare(scheduler, answers, ours, served))
        others = [address for address, answer in answers.items() if answer["sources"] != ours["sources"]]
        if others:
            self._compare_codes(others, stages, plugins)

    def find_folder(self, folder: Path, stages: Sequence[Stage]) -> None:
        """Ask the workers that offer the lanes of `stages` whether they see the store, where batches leave their blocks.

        Raises
        ------
        StoreError
            Naming the workers that do not.
        """
        if self._is_ours or not (served := self._serving(stages)):
            return
        seen: dict[str, bool] = self._client.run(os.path.isdir, str(folder), workers=list(served), on_error="ignore")
        blind = sorted(address for address, found in seen.items() if not found)
        if blind:
            raise StoreError(
                f"store {folder}: {len(blind)} of {len(seen)} workers do not see this folder ({', '.join(blind[:3])}). Name a folder that all share by one "
                "path: [store] path in experiment.toml, or [store] cache of a store in a bucket."
            )

    def submit(self, call: BatchCall, done: Callable[[BatchResult | BaseException], None]) -> object:
        """Submit the batch as a future on its lane."""
        lane = self._resources.get(call.lane, call.lane)
        try:
            future = self._client.submit(run_batch, call, resources={lane: 1}, pure=False)
        except ClosedClientError as error:
            raise SchedulerLost(self._gone()) from error
        future.add_done_callback(lambda f: done(self._outcome(f)))
        return future

    def cancel(self, tickets: Iterable[object]) -> None:
        """Cancel futures that wait."""
        self._drop([t for t in tickets if isinstance(t, Future) and not t.done()])

    def abort(self, tickets: Iterable[object]) -> None:
        """Restart the workers that still compute one of `tickets`; one without a nanny ends its block first.

        Their nannies kill the processes, which may hold the interpreter's lock and hear nothing, and start new ones.
        Dask's own ``restart_workers`` asks first, for seconds, and has been seen to leave a worker that did not answer
        without a successor.
        """
        futures = {t.key: t for t in tickets if isinstance(t, Future)}
        if not futures or self._is_closed:
            return
        workers = self._workers()
        nannies = [
            nanny
            for address, keys in self._client.processing().items()
            if futures.keys() & set(keys) and (nanny := workers.get(address, {}).get("nanny"))
        ]
        self._drop(list(futures.values()))
        if nannies:
            self._client.run(_kill_worker, workers=nannies, on_error="ignore")

    def close(self) -> None:
        """Close the client, and the cluster where it is ours."""
        self._client.close(timeout=RETURN_S)
        if self._cluster is not None:
            self._cluster.close()

    def _compare_codes(self, workers: Sequence[str], stages: Sequence[Stage], plugins: tuple[PluginSource, ...]) -> None:
        ours = {s.name: (s.version, stage_code(s).fingerprint) for s in stages}
        found = self._client.run(codes_of, plugins, list(ours), workers=list(workers), on_error="return")
        for address, theirs in sorted(found.items()):
            if not isinstance(theirs, dict):
                raise CodeMismatch(f"worker {address} has another penstock, which cannot say what its stages are ({theirs!r}). {_SAME}")
            for name, (version, code) in theirs.items():
                if (version, code) != ours[name]:
                    raise CodeMismatch(
                        f"worker {address}: stage {name!r} is version {version}, code {code}; "
                        f"this process has version {ours[name][0]}, code {ours[name][1]}. {_SAME}"
                    )

    @property
    def _is_ours(self) -> bool:
        """Whether the workers are processes of this machine that we started for this request."""
        return isinstance(self._cluster, LocalCluster)

    @property
    def _is_closed(self) -> bool:
        """Whether Dask gave the connection up."""
        return str(self._client.status) in ("closing", "closed")

    def _gone(self) -> str:
        return (
            f"Dask scheduler {self._address}: went away and did not come back within {RETURN_S:.0f} s. "
            "Start it and its workers again, then give the same command."
        )

    def _drop(self, futures: Sequence[Future[BatchResult]]) -> None:
        if futures and not self._is_closed:
            self._dropped |= {str(f.key) for f in futures}
            self._client.cancel(list(futures), force=True)

    def _outcome(self, future: Future[BatchResult]) -> BatchResult | BaseException:
        """What became of a future. Dask calls those cancelled, too, whose scheduler it lost."""
        if future.status == "cancelled" and str(future.key) not in self._dropped:
            return WorkerLost(f"the connection to Dask scheduler {self._address} was lost")
        return _outcome(future)

    def _lanes(self) -> dict[str, list[str]]:
        return {address: sorted(w["resources"]) for address, w in self._workers().items()}

    def _serving(self, stages: Sequence[Stage]) -> dict[str, list[Stage]]:
        """Those of `stages` that each worker may get, by its address."""
        workers = self._workers().items()
        return {a: found for a, w in workers if (found := [s for s in stages if set(spellings(s.lane)) & set(w["resources"])])}

    def _workers(self) -> dict[str, Any]:
        if self._is_closed:
            raise SchedulerLost(self._gone())
        # While the connection is lost Dask knows nothing at all.
        found: dict[str, Any] = self._client.scheduler_info(n_workers=-1).get("workers", {})
        return found


_SAME = "Install the same penstock and plug-ins on both and restart the workers."


def _kill_worker(dask_worker: Any) -> None:
    """Runs in a nanny, which Dask hands over under the only name that it knows for it."""
    if dask_worker.pid is not None:
        os.kill(dask_worker.pid, signal.SIGKILL)


def _no_lane(stage: Stage, offered: Mapping[str, Sequence[str]], address: str | None) -> str:
    """What is missing, and how to get it; without an address where the cluster is our own and ends with us."""
    workers = (f"{worker} offers {', '.join(lanes) or 'no lane'}" for worker, lanes in sorted(offered.items()))
    on_gpu = stage.lane == GPU_LANE
    start = f"Start one with: dask {'cuda ' if on_gpu else ''}worker {address or 'tcp://SCHEDULER:8786'} --resources '{stage.lane}=1'"
    return (
        f"stage {stage.name!r}: no worker offers lane {stage.lane!r} ({'; '.join(workers) or 'there is no worker'}). {start}"
        f"{' and name its scheduler as executor' if address is None else ''}"
        f"{', or allow CPUs with --cpu-fallback (cpu_fallback = true under [resources])' if on_gpu else ''}"
    )


def _two_names(lane: str, names: Mapping[str, Sequence[str]]) -> str:
    offered = "; ".join(f"{', '.join(addresses)} as {name!r}" for name, addresses in names.items())
    return f"lane {lane!r} is offered under two names ({offered}); only {next(iter(names))!r} gets its batches. Give all workers one name."


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


def remote_cluster(address: str, tls: Path | None = None) -> DaskExecutor:
    """The workers of a Dask scheduler.

    Parameters
    ----------
    tls
        Folder of certificates for ``tls://``; without, Dask's own configuration decides.

    Raises
    ------
    ConfigError
        The certificates are missing or cannot be read.
    LaneMissing
        The scheduler does not answer, or does not know these certificates.
    """
    warn_if_open(address)
    security = security_of(address, tls)
    try:
        with warnings.catch_warnings():
            # Dask's own table of versions, which `compare_versions` judges by what a stage needs.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            client = Client(address, timeout=CONNECT_S, set_as_default=False, security=security)
            # Dask has one time for the first connection and for every later one.
            client._timeout = RETURN_S  # noqa: SLF001
    except (OSError, TimeoutError) as error:
        hint = "Check that both have certificates of one authority." if address.startswith("tls://") else "Start one with: dask scheduler"
        raise LaneMissing(f"Dask scheduler {address}: cannot be reached ({error}). {hint}") from error
    return DaskExecutor(client)
