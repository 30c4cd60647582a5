"""Automations on a real server: a failure is told, and a flow run whose process was killed does not hold its place for ever."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prefect.states import Failed, Running
from pydantic import SecretStr
from realworker import forget, until, worker
from toybench import ToyExperiment

from penstock_flows.deployments import apply

pytestmark = [pytest.mark.server, pytest.mark.timeout(1800)]


@pytest.fixture
def client(api: Any) -> Iterator[Any]:
    with api.client() as found:
        yield found
        forget(found)


@pytest.fixture
def told() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The address of an HTTP server, and what it was sent."""
    received: list[dict[str, str]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", received
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_flow_run_that_fails_is_told_to_the_webhook(client: Any, told: tuple[str, list[dict[str, str]]]) -> None:
    address, received = told
    apply([], notify=SecretStr(address))
    made = client.read_deployment_by_name("process/process")
    flow_run = client.create_flow_run_from_deployment(made.id, parameters={"request": {"experiment": "/data/x"}}, name="x runs 1")
    client.set_flow_run_state(flow_run.id, Running(), force=True)
    client.set_flow_run_state(flow_run.id, Failed(message='run 1: it says "no"'), force=True)
    until(lambda: received, 60, "the webhook was called")
    assert received[0]["text"] == 'penstock: flow run x runs 1 is Failed. run 1: it says "no"'
    assert (received[0]["flow_run"], received[0]["state"]) == ("x runs 1", "Failed")
    assert str(flow_run.id) in received[0]["url"]


@pytest.mark.slow
def test_after_kill_9_the_flow_run_becomes_crashed_and_the_next_schedule_runs(
    client: Any, api: Any, toy: ToyExperiment, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    toy.write_run(1, 4, {2: f"wait@{gate}"})
    toy.configure('[resources]\nexecutor = "inline"\n')
    path = toy.folder / "experiment.toml"
    path.write_text(path.read_text().replace('"toys"', '"killed"'))
    apply([toy.folder], schedule=20.0)

    def states(name: str) -> list[Any]:
        return [r for r in api.runs_named("reprocess toy killed ") if r.state.name == name]

    with worker(api.settings, tmp_path / "first.log") as first:
        pid = int(until(lambda: (p := gate.with_name("gate.reached")).exists() and p.read_text(), 600, "the flow computes"))
        os.kill(first.pid, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
    gate.touch()
    (lost,) = states("Running")
    with worker(api.settings, tmp_path / "second.log"):
        done = until(lambda: states("Completed"), 900, "the next schedule runs")
        took = time.monotonic() - killed
    lost = client.read_flow_run(lost.id)
    print(f"killed to next completed: {took:.0f} s; {done[-1].state.message}")
    assert lost.state.name == "Crashed"
    assert "No sign of life for 90 s" in lost.state.message
    assert done[-1].state.message == "3 computed"
    assert done[-1].start_time >= lost.end_time
    assert took < 300
