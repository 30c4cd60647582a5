"""`run_under_prefect`: what ``penstock run`` calls where a Prefect API answers; same arguments and report as `execute.run`."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from penstock.config import Experiment, Resources
from penstock.core.errors import PenstockError, RunCancelled
from penstock.execute import Quiet, Request, RunReport, Watcher
from penstock.store import Store
from penstock.tpc.request import ProcessRequest

__all__ = ["run_under_prefect"]

_SETTINGS = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}
"""No telemetry, and never the ephemeral server; what the user has set stays. Prefect reads them when it is imported."""


def run_under_prefect(
    experiment: Experiment,
    store: Store,
    request: Request,
    *,
    watcher: Watcher | None = None,
    resources: Resources | None = None,
    stop: threading.Event | None = None,
) -> RunReport:
    """Bring every wanted result of a request up to date, as a run of the flow `process` on the configured API.

    Raises
    ------
    RunCancelled
        From the UI, by a signal or by the stop flag.
    ConfigError, LaneMissing, StoreError
        Before anything is computed.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from penstock_flows.login import check_login

    check_login()
    from prefect import Flow
    from prefect.client.schemas.objects import State

    from penstock_flows._job import Job
    from penstock_flows.process import title

    _quieten_console()
    resources = resources or experiment.resources
    asked = ProcessRequest(
        experiment=str(experiment.path),
        runs=request.runs.text,
        events=None if request.events.is_everything else str(request.events),
        preset=experiment.preset,
        stages=list(request.stages),
        other_overrides=dict(request.overrides),
        retry_failed=request.retry_failed,
        executor=resources.executor,
        workers=resources.workers,
        cpu_fallback=resources.cpu_fallback,
    )
    job = Job(experiment, store, request, resources, watcher or Quiet(), stop or threading.Event())
    raised: list[PenstockError] = []

    def process(request: ProcessRequest) -> State[Any]:
        try:
            return job.conduct()
        except PenstockError as error:
            raised.append(error)
            raise

    name = title(experiment, asked)
    state = Flow(process, name="process", flow_run_name=lambda: name, persist_result=False)(asked, return_state=True)
    if raised:
        raise raised[0]
    if state.is_cancelled() or job.stop.is_set():
        raise RunCancelled(state.message or "cancelled; what was committed stays")
    if job.report is None:
        raise PenstockError(f"flow run {name!r} ended {state.name}: {state.message}")
    return job.report


def _quieten_console() -> None:
    """Leave standard error to the progress bars; the API still gets every line."""
    from penstock_flows._console import console_handlers, without_ends_of_tasks

    for handler in console_handlers():
        handler.setLevel(logging.WARNING)
        handler.addFilter(without_ends_of_tasks)
