"""The flow `replay`: captures through a user's worker and reducer, with the result in the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from penstock.core.plan import State as StepState
from penstock.events.request import ReplayRequest
from penstock.instruments.captures.adhoc import copy_out, replay_experiment
from penstock_flows._job import Job

__all__ = ["replay", "run_name"]

_THREADS: Any = ThreadPoolTaskRunner()
"""Threads, because Dask does the work; `Any` because Prefect declares runners invariant in their futures."""


def run_name() -> str:
    """The name of the flow run that begins: ``replay dump_xrd.cbors src.worker:TestWorker 4f2k9cqx7d``."""
    request = ReplayRequest.model_validate(flow_run.parameters["request"])
    files = [Path(name).name for name in request.files]
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{request.name} {files[0]}{more} {request.worker} {request.key().short}"


@flow(name="replay", flow_run_name=run_name, task_runner=_THREADS, persist_result=False, retries=0)
def replay(request: ReplayRequest) -> State[Any]:
    """Bring the result of a replay up to date, and copy the reducer's files to where they are wanted.

    Events go to virtual workers by number and results to the reducer in the order of events, so a result that is current is the
    same as a new one would be.
    """
    with replay_experiment(request) as (experiment, wanted), experiment.open_store() as store:
        job = Job(experiment, store, wanted, experiment.resources)
        state = job.conduct()
        if job.report is not None and request.output:
            target = Path(request.folder, request.output)
            for result in job.report.results:
                if result.state in (StepState.COMPUTED, StepState.CURRENT) and result.key is not None:
                    for path in copy_out(store, result.key, target):
                        get_run_logger().info("wrote %s", path)
        return state
