"""The flow `reprocess`: `process` for the last runs, made to be scheduled."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from pydantic import Field

from penstock.core.selection import RUN_RANGE_PATTERN
from penstock.tpc.request import ProcessRequest
from penstock_flows.process import THREADS, bring_up_to_date, name_of

__all__ = ["ReprocessRequest", "reprocess", "run_name"]


class ReprocessRequest(ProcessRequest):
    """Which of the last runs of an experiment to bring up to date, and how."""

    runs: str = Field(default="last:50", title="Runs", json_schema_extra={"pattern": RUN_RANGE_PATTERN})
    """Run range: last:50, 94-110,115,!100 or all."""


def run_name() -> str:
    """The name of the flow run that begins: ``reprocess attpc e20009 runs last:50 default 4f2k9cqx7d``."""
    return f"reprocess {name_of(ReprocessRequest.model_validate(flow_run.parameters['request']))}"


@flow(name="reprocess", flow_run_name=run_name, task_runner=THREADS, persist_result=False, retries=0)
def reprocess(request: ReprocessRequest) -> State[Any]:
    """Bring the results of the last runs up to date, as `process` does; where all is current that takes seconds.

    It goes by keys, so running it once more, or beside a `process` of the same runs, computes nothing twice.
    """
    return bring_up_to_date(request)
