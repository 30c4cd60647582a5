"""Which lanes the Dask workers of this machine offer."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from penstock.config import Experiment, load_registry
from penstock.core.errors import ConfigError

__all__ = ["GPU", "WorkerGroup", "gpu_devices", "known_lanes", "share_lanes"]

GPU = "gpu"
"""The lane of CUDA workers; no CPU worker offers it."""


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """So many worker processes that offer the same lanes."""

    count: int
    lanes: tuple[str, ...]


def known_lanes(experiments: Iterable[Experiment]) -> set[str]:
    """The CPU lanes of all stages that are installed, and of the plug-ins and choices of some experiments."""
    lanes = {stage.lane for stage in load_registry().stages.values()}
    for experiment in experiments:
        lanes |= {stage.lane for stage in experiment.registry.stages.values()}
        lanes |= set(experiment.resources.lanes.values())
    return lanes - {GPU}


def share_lanes(workers: int, lanes: Collection[str], limits: Mapping[str, int]) -> list[WorkerGroup]:
    """Worker processes by the lanes that they offer: every one of them, but a limited lane only by so many.

    Raises
    ------
    ConfigError
        A lane is wanted on more workers than there are, or on CPU workers though it is that of the GPU.
    """
    for lane, most in limits.items():
        if lane == GPU:
            raise ConfigError("--lane gpu: each CUDA device gets one worker of this lane by itself; it cannot be set.")
        if most > workers:
            raise ConfigError(f"--lane {lane}={most}: there are only {workers} workers. Give more with --workers {most}.")
    everything = sorted({*lanes, *limits})
    offers = [tuple(lane for lane in everything if place < limits.get(lane, workers)) for place in range(workers)]
    return [WorkerGroup(len(list(same)), offered) for offered, same in groupby(offers) if offered]


def gpu_devices() -> int:
    """CUDA devices that can be worked with: dask-cuda is installed and the driver lists them."""
    tool = shutil.which("nvidia-smi")
    if tool is None or importlib.util.find_spec("dask_cuda") is None:
        return 0
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
