"""Batches on SLURM jobs: a scheduler in this process, and jobs that offer lanes, as many as batches wait for.

dask-jobqueue writes and submits the job scripts. What it lacks is here: several kinds of jobs under one scheduler, jobs that
come and go with the batches of their lanes, and jobs that end before a worker came, for which Dask would wait without a word.
"""

from __future__ import annotations

import logging
import math
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
from distributed import Client

from penstock.core.errors import ConfigError, LaneMissing
from penstock.core.stage import Stage
from penstock.execute._batch import BatchCall, BatchResult
from penstock.execute._dask import ALLOWED_FAILURES, DaskExecutor
from penstock.execute._jobqueue_jobs import (
    QueuedJob,
    SLURMCluster,
    WatchedJob,
    job_options,
    last_words,
    leave_early_s,
    queued_jobs,
    security_of,
)
from penstock.execute._jobqueue_profile import JobKind, SlurmProfile, load_profile

__all__ = ["SlurmExecutor", "slurm_cluster"]

FAILED_STARTS = 3
"""Jobs of a kind that may end, one after another, before one of its workers came."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Fleet:
    """The jobs of one kind."""

    kind: JobKind
    jobs: set[str] = field(default_factory=set)
    outstanding: int = 0
    idle_since: float | None = None
    failed_starts: int = 0
    reason: str = ""

    def wanted(self, now: float, idle_s: float) -> int:
        """Jobs that there should be: enough for every batch; those of an idle lane are kept for a while."""
        if self.outstanding:
            self.idle_since = None
            return min(self.kind.max_jobs, max(self.kind.min_jobs, math.ceil(self.outstanding / self.kind.workers)))
        self.idle_since = self.idle_since or now
        return self.kind.min_jobs if now - self.idle_since > idle_s else max(self.kind.min_jobs, len(self.jobs))


class SlurmExecutor(DaskExecutor):
    """Computes batches on the workers of SLURM jobs, which are submitted when batches wait and given back when none do."""

    def __init__(self, profile: SlurmProfile, where: str, cluster: SLURMCluster, client: Client) -> None:
        super().__init__(client, cluster)
        self._profile, self._where, self._jobs = profile, where, cluster
        self._fleets = {kind.name: _Fleet(kind) for kind in profile.jobs}
        self._lock = threading.Lock()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._trouble: Exception | None = None
        self._came: set[str] = set()
        self._missed: Counter[str] = Counter()
        self._numbers = 0
        self._leave_early_s = leave_early_s(profile)
        self._watch = threading.Thread(target=self._look_after, name="penstock-slurm", daemon=True)
        self._watch.start()

    @property
    def slots(self) -> int:
        """Workers that there can be, not those that there are: what waits is what makes jobs."""
        return sum(kind.max_jobs * kind.workers for kind in self._profile.jobs)

    def offers(self, lane: str) -> bool:
        """Whether a job of the profile would offer the lane."""
        return self._profile.kind_of(lane) is not None

    def preflight(self, stages: Iterable[Stage]) -> None:
        """Compare the lanes of `stages` with those of the profile; a kind whose jobs all end at once offers none."""
        if self._trouble is not None:
            raise LaneMissing(f"SLURM profile {self._where}: its jobs cannot be looked after ({self._trouble!r}).") from self._trouble
        for stage in stages:
            kind = self._profile.kind_of(stage.lane)
            if kind is None:
                offered = "; ".join(f"{k.name} offers {', '.join(k.lanes)}" for k in self._profile.jobs)
                raise LaneMissing(
                    f"stage {stage.name!r}: no job of SLURM profile {self._where} offers lane {stage.lane!r} ({offered}). "
                    f"Add {stage.lane!r} to the lanes of one of [[jobs]]."
                )
            fleet = self._fleets[kind.name]
            if fleet.failed_starts >= FAILED_STARTS:
                raise LaneMissing(
                    f"stage {stage.name!r}: {fleet.failed_starts} jobs 'penstock-{kind.name}' of SLURM profile {self._where} ended before a "
                    f"worker came ({fleet.reason}). Look into {self._profile.log_folder}, and at: penstock cluster script {self._where}"
                )

    def submit(self, call: BatchCall, done: Callable[[BatchResult | BaseException], None]) -> object:
        """Submit the batch; a job for it is asked for if those that there are have enough to do."""
        kind = self._profile.kind_of(call.lane)
        assert kind is not None, "preflight comes first"
        fleet = self._fleets[kind.name]
        with self._lock:
            fleet.outstanding += 1

        def counted(outcome: BatchResult | BaseException) -> None:
            with self._lock:
                fleet.outstanding -= 1
            done(outcome)

        ticket = super().submit(call, counted)
        self._wake.set()
        return ticket

    def close(self) -> None:
        """Cancel all jobs, close the scheduler."""
        self._closing.set()
        self._wake.set()
        self._watch.join()
        super().close()

    def _look_after(self) -> None:
        """Until closed: compare the jobs with what waits, at once when a batch was submitted, and every few seconds."""
        last_look = 0.0
        while not self._closing.is_set():
            try:
                if time.monotonic() - last_look >= self._profile.poll_seconds:
                    self._judge(queued_jobs())
                    last_look = time.monotonic()
                self._adjust()
            except (OSError, subprocess.SubprocessError) as error:
                # A controller that is busy or restarted answers again later; jobs run on without it.
                _log.warning("SLURM profile %s: %s", self._where, error)
            except Exception as error:  # noqa: BLE001  it is handed on: nobody looks after the jobs from here on
                self._trouble = error
                return
            self._wake.clear()
            self._wake.wait(self._profile.poll_seconds)

    def _judge(self, queue: Mapping[str, QueuedJob]) -> None:
        """Forget jobs that ended, and empty those that soon will."""
        leaving: list[str] = []
        for fleet in self._fleets.values():
            for name, workers in self._workers_of(fleet).items():
                if workers:
                    self._came.add(name)
                    fleet.failed_starts = 0
                job = self._jobs.workers.get(name)
                if job is None:  # Dask gave it up, because its worker went
                    self._change((), (name,), fleet)
                    continue
                queued = queue.get(str(job.job_id))
                if queued is not None:
                    self._missed.pop(name, None)
                    leaving += workers if queued.state == "RUNNING" and queued.left_s < self._leave_early_s else []
                elif not workers:
                    self._lost(fleet, name, job)
        if leaving:
            self._client.retire_workers(leaving, close_workers=True, remove=True)

    def _workers_of(self, fleet: _Fleet) -> dict[str, list[str]]:
        """Addresses of the workers of each job."""
        present = {str(worker["name"]): address for address, worker in self._workers().items()}
        return {
            name: [address for worker, address in present.items() if worker == name or worker.startswith(f"{name}-")]
            for name in sorted(fleet.jobs)
        }

    def _lost(self, fleet: _Fleet, name: str, job: WatchedJob) -> None:
        """A job that SLURM does not list, twice in a row, since a new one may not be listed yet."""
        self._missed[name] += 1
        if job.refused is None and self._missed[name] < 2:
            return
        if name not in self._came:
            fleet.failed_starts += 1
            fleet.reason = job.refused or f"job {job.job_id}: {last_words(Path(self._profile.log_folder), fleet.kind, job.job_id)}"
        self._change((), (name,), fleet)

    def _adjust(self) -> None:
        now = time.monotonic()
        for fleet in self._fleets.values():
            if fleet.failed_starts >= FAILED_STARTS:
                continue
            with self._lock:
                surplus = len(fleet.jobs) - fleet.wanted(now, 60 * self._profile.idle_minutes)
                idle = fleet.outstanding == 0
            if surplus < 0:
                names = tuple(f"{fleet.kind.name}-{self._numbers + i}" for i in range(-surplus))
                self._numbers -= surplus
                self._change(names, (), fleet)
            elif surplus > 0:
                gone = [name for name, workers in self._workers_of(fleet).items() if idle or not workers]
                self._change((), gone[-surplus:], fleet)

    def _change(self, new: Sequence[str], gone: Sequence[str], fleet: _Fleet) -> None:
        """Submit and cancel jobs, by the list that the cluster keeps of what there should be."""
        kind = fleet.kind
        spec: dict[str, Any] = {"cls": WatchedJob, "options": job_options(self._profile, kind, security_of(self._profile))}
        if kind.workers > 1:
            spec["group"] = [f"-{i}" for i in range(kind.workers)]

        async def change() -> None:
            self._jobs.worker_spec.update(dict.fromkeys(new, spec))
            for name in gone:
                self._jobs.worker_spec.pop(name, None)
            await self._jobs

        fleet.jobs.difference_update(gone)
        fleet.jobs.update(new)
        if not self._closing.is_set():
            self._jobs.sync(change)


def slurm_cluster(path: Path) -> SlurmExecutor:
    """An executor on the jobs of the profile at `path`.

    Raises
    ------
    ConfigError
        The profile is wrong, its certificates are missing, or this machine does not submit to SLURM.
    """
    profile = load_profile(path)
    try:
        queued_jobs()
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"SLURM profile {path}: 'squeue' does not work here ({error}). Run penstock where jobs are submitted.") from error
    Path(profile.log_folder).mkdir(parents=True, exist_ok=True)
    with dask.config.set({"distributed.scheduler.allowed-failures": ALLOWED_FAILURES, "distributed.admin.low-level-log-length": 0}):
        cluster = _open_cluster(profile)
    client = Client(cluster, set_as_default=False)
    return SlurmExecutor(profile, str(path), cluster, client)


def _open_cluster(profile: SlurmProfile) -> SLURMCluster:
    security = security_of(profile)
    return SLURMCluster(
        n_workers=0,
        job_cls=WatchedJob,
        scheduler_options={"dashboard_address": "127.0.0.1:0"},
        silence_logs=logging.CRITICAL,
        **job_options(profile, profile.jobs[0], security),
    )
