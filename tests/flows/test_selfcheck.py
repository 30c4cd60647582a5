"""The flow `selfcheck` on a real Prefect server."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.client.schemas.objects import State
from pydantic import ValidationError

from penstock.simulate import selfcheck_events
from penstock.simulate.selfcheck import Check, Selfcheck
from penstock_flows.selfcheck import SelfcheckRequest, selfcheck

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]


def run(**fields: Any) -> State[Any]:
    state: State[Any] = selfcheck(SelfcheckRequest(**fields), return_state=True)
    return state


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"families": ["tcp"]}, r"no self-check of a family 'tcp' \(there are tpc, events.*Did you mean 'tpc'\?"),
        ({"executor": "dask"}, "String should match pattern"),
        ({"events": 3}, "Extra inputs are not permitted"),
    ],
    ids=["family", "executor", "unknown"],
)
def test_request_refuses_what_makes_no_sense(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SelfcheckRequest.model_validate(fields)


def test_event_streams_come_out_as_they_were_simulated(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck_events, "POINTS", 4)
    state = run(families=["events"])
    table = api.artifacts(state.state_details.flow_run_id)["selfcheck"]
    assert (state.name, state.message) == ("Completed", "6 checks of events, 0 failed.")
    assert {"family": "events", "check": "images summed", "found": "4", "expected": "4", "": "ok"} in table
    assert table[-1]["check"] == "stages current in a second pass"


def test_check_that_fails_fails_the_flow_with_its_reason(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck_events, "POINTS", 2)
    broken = Selfcheck(selfcheck_events.SELFCHECK.prepare, lambda *_: [Check("tracks found", "0.5", "at least 0.9", ok=False)])
    monkeypatch.setattr(selfcheck_events, "SELFCHECK", broken)
    state = run(families=["events"])
    table = api.artifacts(state.state_details.flow_run_id)["selfcheck"]
    assert state.name == "Failed"
    assert state.message == "2 checks of events, 1 failed. events: tracks found: 0.5, expected at least 0.9."
    assert table[0] == {"family": "events", "check": "tracks found", "found": "0.5", "expected": "at least 0.9", "": "**failed**"}


@pytest.mark.slow
def test_all_families_pass_their_checks(api: Any) -> None:
    state = run()
    assert (state.name, state.message) == ("Completed", "14 checks of tpc, events, 0 failed.")
