"""The flow runs that a worker of this machine has in hand: cancelled in order when it is stopped."""

from __future__ import annotations

import time

from penstock_flows.up._health import ask
from penstock_flows.up._site import POOL

__all__ = ["cancel_runs", "settle_runs"]

ANSWER_S = 5.0
CANCEL_S = 9.0
"""How long flow runs may take to stop, in seconds; their batches have five."""
_WHY = "penstock up was stopped; what was committed stays"


def cancel_runs(api: str) -> int:
    """Cancel what runs, as the UI does it, and wait until it has ended; how many flow runs that were.

    What is scheduled stays so, for the next time.
    """
    running = _find(api, "RUNNING")
    for identity in running:
        _set(api, identity, "CANCELLING")
    for identity in _find(api, "PENDING"):
        _set(api, identity, "CANCELLED")
    deadline = time.monotonic() + CANCEL_S
    while running and _find(api, "CANCELLING") and time.monotonic() < deadline:
        time.sleep(0.2)
    return len(running)


def settle_runs(api: str) -> int:
    """Say that nothing is being cancelled any more, when no process is left to say so; of how many flow runs."""
    left = _find(api, "CANCELLING")
    for identity in left:
        _set(api, identity, "CANCELLED")
    return len(left)


def _find(api: str, state: str) -> list[str]:
    wanted = {"flow_runs": {"state": {"type": {"any_": [state]}}}, "work_pools": {"name": {"any_": [POOL]}}}
    return [str(run["id"]) for run in ask(f"{api}/flow_runs/filter", wanted, timeout_s=ANSWER_S)]


def _set(api: str, identity: str, state: str) -> None:
    body = {"state": {"type": state, "message": _WHY}, "force": True}
    ask(f"{api}/flow_runs/{identity}/set_state", body, timeout_s=ANSWER_S)
