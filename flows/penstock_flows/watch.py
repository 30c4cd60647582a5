"""The flow `watch`: one look at a raw folder, and a flow run of a deployment for each run that is complete and new."""

from __future__ import annotations

import time
from typing import Annotated, Any

import httpx
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import BaseModel, ConfigDict, Field, field_validator

from penstock.config import Experiment, load_experiment
from penstock.core.errors import ConfigError, PenstockError
from penstock.core.selection import RunRange
from penstock.execute.watch import Arrival, RawWatch
from penstock_flows.process import absolute

__all__ = ["WatchRequest", "run_name", "trigger", "watch"]

_MB = 1e6


class WatchRequest(BaseModel):
    """Whose raw folder to look at, and what to start for a new run."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    experiment: str = Field(min_length=1, title="Experiment")
    """Path of experiment.toml, or of the folder that holds it. Absolute for a worker."""

    deployment: str = Field(default="process/process", pattern=r"^[^/]+/[^/]+$", title="Deployment")
    """Flow and deployment that are started for each run, such as process/process-e20009."""

    runs: str = Field(default="all", title="Runs")
    """Runs that are watched: 94-110,115,!100 or all."""

    stable_seconds: Annotated[float, Field(ge=0.0)] = Field(default=30.0, title="Stable [s]")
    """How long the files of a run must not change before it counts as complete (at least 0; default 30)."""

    @field_validator("runs")
    @classmethod
    def _is_run_range(cls, text: str) -> str:
        RunRange(text)
        return text


def run_name() -> str:
    """The name of the flow run that begins: ``watch /data/e20009/experiment.toml``."""
    return f"watch {WatchRequest.model_validate(flow_run.parameters['request']).experiment}"


def trigger(experiment: Experiment, arrival: Arrival, deployment: str) -> str:
    """Start a deployment for a run, or find that it was started for the same files before; the name of the flow run.

    Raises
    ------
    ConfigError
        There is no such deployment.
    PenstockError
        The API did not take it. Nothing is lost: the next look tries again.
    """
    try:
        with get_client(sync_client=True) as client:
            found = client.read_deployment_by_name(deployment)
            started = client.create_flow_run_from_deployment(
                found.id,
                parameters={"request": {"experiment": str(experiment.path), "runs": str(arrival.run), "preset": experiment.preset}},
                idempotency_key=f"watch-{arrival.key}",
                tags=["watch"],
            )
    except ObjectNotFound:
        raise ConfigError(f"no deployment {deployment!r} on the Prefect server. Make it with: penstock deploy {experiment.path}") from None
    except httpx.HTTPError as error:
        raise PenstockError(f"run {arrival.run}: the Prefect API did not take it: {error}. The next look tries again.") from error
    return started.name


@flow(name="watch", flow_run_name=run_name, persist_result=False, retries=0)
def watch(request: WatchRequest) -> State[Any]:
    """Look once at the raw folder of an experiment, and start a deployment for each run that is complete and new.

    Made to be scheduled: what was seen is remembered from one look to the next, and the same files start nothing twice.
    """
    experiment = load_experiment(absolute(request.experiment))
    logger = get_run_logger()
    with experiment.open_store() as store:
        looking = RawWatch(experiment, store, RunRange(request.runs), request.stable_seconds)
        glance = looking.look(time.time())
        for problem in glance.problems:
            logger.warning("%s", problem)
        for arrival in glance.arrivals:
            name = trigger(experiment, arrival, request.deployment)
            looking.confirm(arrival)
            logger.info("run %d: %.1f MB, key %s, flow run %s", arrival.run, arrival.size / _MB, arrival.key.short, name)
    return Completed(message=f"{len(glance.arrivals)} runs started, {len(glance.problems)} problems")
