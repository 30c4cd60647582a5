"""What `deploy/prefect.yaml` and the experiments come to: pools, queues and deployments as they are wanted, before any API is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import yaml

from penstock.config import Experiment
from penstock.core.errors import ConfigError

__all__ = [
    "OF_EXPERIMENT",
    "POOLS",
    "DeploymentSpec",
    "PoolKind",
    "QueueSpec",
    "Timing",
    "common_deployments",
    "experiment_deployments",
    "queues",
    "read_yaml",
    "reprocess_queue",
]

PoolKind = Literal["process", "docker", "kubernetes"]

POOLS: dict[PoolKind, str] = {"process": "penstock", "docker": "penstock-docker", "kubernetes": "penstock-kubernetes"}
"""The work pool of each kind, by name."""

OF_EXPERIMENT = ("process", "reprocess", "watch", "prune")
"""Flows of which each experiment has a deployment of its own."""

_IN_CONTAINERS = {"PREFECT_HOME": "/tmp/prefect"}  # noqa: S108  inside the image, where all else is read-only
"""A worker hands its own Prefect settings on, its folder among them, which no image has."""

REPROCESS_PRIORITY = 11
"""Reprocessing waits for everything else; of several instruments the order does not matter."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When a schedule fires: by cron (UTC), or every so many seconds.

    Attributes
    ----------
    active
        Whether it fires once it is made. Afterwards it stays as people set it in the UI, unless `insist`.
    asked_for
        Whether somebody named this time; else one that is on the server already stays at its time.
    """

    slug: str
    cron: str = ""
    interval_s: float = 0.0
    active: bool = True
    insist: bool = False
    asked_for: bool = False


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A queue of a work pool.

    Attributes
    ----------
    priority
        The lower the number, the sooner its flow runs begin. No two queues of a pool have the same: Prefect moves the others up.
    limit
        Flow runs at a time; any number without.
    or_later
        Whether a higher number will do as well.
    """

    name: str
    priority: int
    limit: int | None = None
    or_later: bool = False


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """A deployment as it is wanted."""

    name: str
    entrypoint: str
    description: str
    tags: tuple[str, ...]
    parameters: Mapping[str, Any]
    pool: str
    queue: str
    job_variables: Mapping[str, Any]
    timing: Timing | None
    version: str

    @property
    def flow(self) -> str:
        """Name of the flow, which is that of its function."""
        return self.entrypoint.rpartition(".")[2]


def read_yaml() -> dict[str, Any]:
    """The content of `prefect.yaml`: of the wheel, or of the checkout that this package lies in."""
    here = Path(__file__).resolve()
    for path in (here.with_name("prefect.yaml"), here.parents[2] / "deploy" / "prefect.yaml"):
        if path.is_file():
            content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
            return content
    raise ConfigError(f"prefect.yaml lies neither in {here.parent} nor in deploy/ of a checkout. Install penstock again.")


def queues(content: Mapping[str, Any], experiments: Sequence[Experiment]) -> list[QueueSpec]:
    """The queues of a pool; reprocessing goes one at a time for each instrument."""
    common = [QueueSpec(name, priority) for name, priority in content["definitions"]["queues"].items()]
    instruments = sorted({experiment.instrument.name for experiment in experiments})
    return [*common, *(QueueSpec(reprocess_queue(name), REPROCESS_PRIORITY, limit=1, or_later=True) for name in instruments)]


def reprocess_queue(instrument: str) -> str:
    """The queue in which experiments of an instrument are reprocessed one at a time."""
    return f"reprocess-{instrument}"


def common_deployments(content: Mapping[str, Any], pool: PoolKind, job_variables: Mapping[str, Any]) -> list[DeploymentSpec]:
    """The deployments of prefect.yaml, on the pool of that kind.

    Parameters
    ----------
    job_variables
        Of the work pool, such as ``{"image": "penstock/flows:0.1"}``; they win over those of prefect.yaml.
    """
    return [_deployment(entry, pool, job_variables) for entry in content["deployments"]]


def experiment_deployments(common: Sequence[DeploymentSpec], experiment: Experiment) -> list[DeploymentSpec]:
    """`process`, `reprocess`, `watch` and `prune` for an experiment: its path stands in the form, and the schedules fire.

    That of `watch` sleeps until someone wakes it, because each look costs the start of a process.
    """
    by_name = {spec.name: spec for spec in common}
    made = []
    for name in OF_EXPERIMENT:
        spec = by_name[name]
        request = {"experiment": str(experiment.path)} | ({"deployment": f"process/process-{experiment.name}"} if name == "watch" else {})
        tags = dict.fromkeys([*(t for t in spec.tags if t not in ("tpc", "events")), experiment.instrument.name, experiment.name])
        made.append(
            replace(
                spec,
                name=f"{name}-{experiment.name}",
                description=f"Experiment {experiment.name} of {experiment.instrument.name}. {spec.description}",
                tags=tuple(tags),
                parameters={"request": request},
                queue=reprocess_queue(experiment.instrument.name) if name == "reprocess" else spec.queue,
                timing=replace(spec.timing, active=name != "watch") if spec.timing else None,
            )
        )
    return made


def _deployment(entry: Mapping[str, Any], pool: PoolKind, job_variables: Mapping[str, Any]) -> DeploymentSpec:
    work_pool = entry["work_pool"]
    common: Mapping[str, Any] = work_pool["job_variables"]
    inside = {} if pool == "process" else _IN_CONTAINERS
    return DeploymentSpec(
        name=entry["name"],
        entrypoint=entry["entrypoint"],
        description=entry["description"],
        tags=tuple(entry["tags"]),
        parameters=entry["parameters"],
        pool=POOLS[pool],
        queue=work_pool["work_queue_name"],
        job_variables={**common, **job_variables, "env": {**common["env"], **inside, **job_variables.get("env", {})}},
        timing=next((Timing(s["slug"], s["cron"], active=s["active"]) for s in entry["schedules"]), None),
        version=version("penstock"),
    )
