"""Executors: where batches are computed. The inline one computes in this process; others live beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from penstock.config import GPU_LANE, SLURM, PluginSource, Resources
from penstock.core.errors import ConfigError, LaneMissing
from penstock.core.stage import Stage
from penstock.execute._batch import BatchCall, BatchResult, run_batch
from penstock.execute._device import array_namespace

__all__ = ["Executor", "Inline", "open_executor"]


class Executor(Protocol):
    """Computes batches somewhere; opened for the time of one request."""

    @property
    def slots(self) -> int:
        """Batches that can be computed at the same time."""

    def offers(self, lane: str) -> bool:
        """Whether a worker offers the lane now."""

    def preflight(self, stages: Iterable[Stage]) -> None:
        """Fail at once where no worker offers the lane of a stage (`LaneMissing`)."""

    def compare_versions(self, stages: Sequence[Stage], plugins: tuple[PluginSource, ...]) -> None:
        """Fail where workers of the lanes of `stages` run on what changes their results (`CodeMismatch`)."""

    def find_folder(self, folder: Path, stages: Sequence[Stage]) -> None:
        """Fail where workers of the lanes of `stages` do not see the store (`StoreError`)."""

    def submit(self, call: BatchCall, done: Callable[[BatchResult | BaseException], None]) -> object:
        """Start a batch; `done` is called once, from any thread, with its result or with why there is none."""

    def cancel(self, tickets: Iterable[object]) -> None:
        """Forget batches that have not begun."""

    def abort(self, tickets: Iterable[object]) -> None:
        """Stop batches that are being computed, by restarting their workers."""

    def close(self) -> None:
        """Give the workers back."""


class Inline:
    """Computes each batch at once in the calling thread."""

    slots = 1

    def offers(self, lane: str) -> bool:
        """Every lane is offered by this process, that of devices where it has one."""
        try:
            array_namespace("gpu" if lane == GPU_LANE else "cpu")
        except LaneMissing:
            return False
        return True

    def preflight(self, stages: Iterable[Stage]) -> None:
        """Every lane is offered by this process, that of devices where it has one."""
        if any(stage.lane == GPU_LANE for stage in stages):
            array_namespace("gpu")

    def compare_versions(self, stages: Sequence[Stage], plugins: tuple[PluginSource, ...]) -> None:
        """There is nobody to compare with."""

    def find_folder(self, folder: Path, stages: Sequence[Stage]) -> None:
        """What this process opened it sees."""

    def submit(self, call: BatchCall, done: Callable[[BatchResult | BaseException], None]) -> object:
        """Compute the batch, then report it."""
        done(run_batch(call))
        return call

    def cancel(self, tickets: Iterable[object]) -> None:
        """Nothing waits."""

    def abort(self, tickets: Iterable[object]) -> None:
        """Nothing runs elsewhere."""

    def close(self) -> None:
        """Nothing to give back."""


def open_executor(resources: Resources, lanes: Iterable[str]) -> Executor:
    """The executor that the resources name: ``inline``, ``local``, or the address of a Dask scheduler."""
    if resources.executor == "inline":
        return Inline()
    if resources.executor == "local":
        from penstock.execute._dask import local_cluster

        return local_cluster(resources.workers, resources.memory, lanes)
    if resources.executor.startswith(("tcp://", "tls://")):
        from penstock.execute._dask import remote_cluster

        return remote_cluster(resources.executor, None if resources.tls is None else Path(resources.tls))
    if resources.executor.startswith(SLURM):
        from penstock.execute._jobqueue import slurm_cluster

        return slurm_cluster(Path(resources.executor.removeprefix(SLURM)))
    raise ConfigError(
        f"executor {resources.executor!r} is not known. Use inline, local, tcp://host:port or tls://host:port of a Dask scheduler, or slurm:PROFILE.toml."
    )
