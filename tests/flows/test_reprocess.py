"""The flow `reprocess` is `process` for the last runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from penstock.tpc.request import ProcessRequest
from penstock_flows.reprocess import ReprocessRequest, reprocess

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


def test_request_asks_for_the_last_fifty_runs_and_is_otherwise_that_of_process() -> None:
    request = ReprocessRequest(experiment="/data/e1")
    assert request.runs == "last:50"
    assert request.model_dump() == ProcessRequest(experiment="/data/e1", runs="last:50").model_dump()
    assert list(ReprocessRequest.model_fields) == list(ProcessRequest.model_fields)


@pytest.mark.parametrize(
    "fields", [{"experiment": ""}, {"experiment": "x", "runs": "last"}, {"experiment": "x", "workers": 0}, {"experiment": "x", "run": "1"}]
)
def test_request_refuses_what_makes_no_sense(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ReprocessRequest.model_validate(fields)


def test_flow_run_brings_the_last_runs_up_to_date_and_the_next_computes_nothing(api: Any, experiment_folder: Path) -> None:
    request = ReprocessRequest(experiment=str(experiment_folder), runs="last:1", stages=["tpc.points"])
    first: Any = reprocess(request, return_state=True)
    second: Any = reprocess(request, return_state=True)
    assert (first.message, second.message) == ("1 computed", "1 current")
    name = api.runs_named(f"attpc {experiment_folder.name} ")[0].name
    assert name.startswith(f"reprocess attpc {experiment_folder.name} runs last:1 default ")
