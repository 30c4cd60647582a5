"""The flow `process`: bring the results of some runs up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from penstock.config import Experiment, Resources, load_experiment
from penstock.core.errors import ConfigError
from penstock.core.selection import RunRange
from penstock.execute import Request
from penstock.store import Store
from penstock.tpc.request import ProcessRequest
from penstock_flows._job import Job

__all__ = ["process", "request_of", "resources_of", "run_name"]


def run_name() -> str:
    """The name of the flow run that begins: ``attpc e20009 runs 94-110 default 4f2k9cqx7d``."""
    request = ProcessRequest.model_validate(flow_run.parameters["request"])
    try:
        experiment = load_experiment(Path(request.experiment), preset=request.preset)
    except ConfigError:
        # The flow itself will fail with this error; its name must not.
        return f"{Path(request.experiment).stem} runs {request.runs}"
    return title(experiment, request)


def title(experiment: Experiment, request: ProcessRequest) -> str:
    """Instrument, experiment, runs, preset and the short key of the request."""
    key = request.key(experiment.preset)
    return f"{experiment.instrument.name} {experiment.name} runs {request.runs} {experiment.preset} {key.short}"


def request_of(request: ProcessRequest) -> Request:
    """The part of a request that `execute` takes."""
    return Request(RunRange(request.runs), request.selection, tuple(request.stages), request.values(), request.retry_failed)


def resources_of(request: ProcessRequest, experiment: Experiment) -> Resources:
    """The experiment's resources with those of the request."""
    wanted = {"executor": request.executor, "workers": request.workers}
    return experiment.resources.model_copy(update={name: value for name, value in wanted.items() if value is not None})


_THREADS: Any = ThreadPoolTaskRunner()
"""Threads, because Dask does the work; `Any` because Prefect declares runners invariant in their futures."""


@flow(name="process", flow_run_name=run_name, task_runner=_THREADS, persist_result=False, retries=0)
def process(request: ProcessRequest) -> State[Any]:
    """Compute what is not current for the runs asked for, one task for each run and stage.

    Shows its progress, the plan before, the run table after and a figure for each stage as artifacts. A run that fails
    fails alone; the flow run then ends Failed and its run table says which and why.
    """
    experiment = load_experiment(Path(request.experiment), preset=request.preset)
    with Store(experiment.store_path, index=experiment.index_path) as store:
        return Job(experiment, store, request_of(request), resources_of(request, experiment)).conduct()
