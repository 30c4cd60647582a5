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
from penstock.tpc.request import ProcessRequest
from penstock_flows._job import Job

__all__ = ["THREADS", "absolute", "bring_up_to_date", "name_of", "process", "request_of", "resources_of", "run_name", "title"]


def run_name() -> str:
    """The name of the flow run that begins: ``attpc e20009 runs 94-110 default 4f2k9cqx7d``."""
    return name_of(ProcessRequest.model_validate(flow_run.parameters["request"]))


def name_of(request: ProcessRequest) -> str:
    """The name of a flow run for a request; of one whose experiment cannot be loaded too, for the flow itself fails with that error."""
    try:
        experiment = load_experiment(Path(request.experiment), preset=request.preset)
    except ConfigError:
        return f"{request.experiment} runs {request.runs}"
    return title(experiment, request)


def title(experiment: Experiment, request: ProcessRequest) -> str:
    """Instrument, experiment, runs, preset and the short key of the request."""
    key = request.key(experiment.preset)
    return f"{experiment.instrument.name} {experiment.name} runs {request.runs} {experiment.preset} {key.short}"


def request_of(request: ProcessRequest) -> Request:
    """The part of a request that `execute` takes."""
    return Request(RunRange(request.runs), request.selection, tuple(request.stages), request.values(), request.retry_failed, "request")


def resources_of(request: ProcessRequest, experiment: Experiment) -> Resources:
    """The experiment's resources with those of the request."""
    wanted = {"executor": request.executor, "workers": request.workers, "cpu_fallback": request.cpu_fallback or None}
    return experiment.resources.model_copy(update={name: value for name, value in wanted.items() if value is not None})


def bring_up_to_date(request: ProcessRequest) -> State[Any]:
    """The body of a flow: compute what is not current; the state that the flow run ends in."""
    experiment = load_experiment(absolute(request.experiment), preset=request.preset)
    with experiment.open_store() as store:
        return Job(experiment, store, request_of(request), resources_of(request, experiment)).conduct()


def absolute(experiment: str) -> Path:
    """The path of an experiment, where it is one that everybody understands alike.

    Raises
    ------
    ConfigError
        It is relative, and not there as seen from the folder of this flow run.
    """
    path = Path(experiment)
    if not path.is_absolute() and not path.exists():
        raise ConfigError(
            f"experiment {experiment!r}: there is none in {Path.cwd()}, the folder of this flow run. Give its absolute path, as the worker sees it."
        )
    return path


THREADS: Any = ThreadPoolTaskRunner()
"""Threads, because Dask does the work; `Any` because Prefect declares runners invariant in their futures."""


@flow(name="process", flow_run_name=run_name, task_runner=THREADS, persist_result=False, retries=0)
def process(request: ProcessRequest) -> State[Any]:
    """Compute what is not current for the runs asked for, one task for each run and stage.

    Shows its progress, the plan before, the run table after and a figure for each stage as artifacts. A run that fails
    fails alone; the flow run then ends Failed and its run table says which and why.
    """
    return bring_up_to_date(request)
