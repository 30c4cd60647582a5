"""A real Prefect worker in a process of its own, and what a test wants to know of flow runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

TOYS = Path(__file__).parent


@contextmanager
def worker(settings: Mapping[str, str], log: Path, pool: str = "penstock") -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the process pool that looks for work every second; it knows the toy instrument."""
    environment = {
        **os.environ,
        **settings,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_PREFETCH_SECONDS": "2",
        "PYTHONPATH": str(TOYS),
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--install-policy", "never"]
    with log.open("ab") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield process
        finally:
            for kind in (signal.SIGINT, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, kind)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=60)
                    break


def until(found: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """The first value that is true, asked for twice a second."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {timeout_s:.0f} s")


def seconds_running(client: Any, flow_run_id: Any) -> float:
    """From Running to its end, as the server has it."""
    states = sorted(client.read_flow_run_states(flow_run_id), key=lambda state: state.timestamp)
    began = next(state.timestamp for state in states if state.type == "RUNNING")
    return float((states[-1].timestamp - began).total_seconds())


def forget(client: Any) -> None:
    """Remove deployments, pools, limits and automations: the server is shared, and schedules would go on firing."""
    for automation in client.read_automations():
        client.delete_automation(automation.id)
    for deployment in client.read_deployments():
        client.delete_deployment(deployment.id)
    for limit in client.read_concurrency_limits(limit=100, offset=0):
        client.delete_concurrency_limit_by_tag(limit.tag)
    for pool in client.read_work_pools():
        client.delete_work_pool(pool.name)
