"""Fifty flow runs at once, from eight processes, on PostgreSQL: for Prefect's own database and for our index."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from realpostgres import PostgresServer, postgres_server
from toyline.raw import write_run

from penstock.config import load_experiment
from penstock.store import Store
from penstock_flows.server import serve

__all__ = ["postgres_server"]

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.timeout(3000)]

TOYS = Path(__file__).parents[1] / "toy"
FLOW_RUNS, PROCESSES, LIMIT = 50, 8, 4
WIDTH = 4
"""Runs that each flow run asks for; those of neighbours overlap."""
STAGES = 3
SUBMIT = """
import http.client, json, sys
from urllib.parse import urlsplit
api, deployment, requests = urlsplit(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
for request in requests:
    connection = http.client.HTTPConnection(api.hostname, api.port, timeout=120)
    body = json.dumps({"parameters": {"request": request}})
    connection.request("POST", f"{api.path}/deployments/{deployment}/create_flow_run", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = json.loads(answer.read())
    assert answer.status in (200, 201), content
    print(content["id"])
    connection.close()
"""


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The server, with an empty database for Prefect, which learns of it as its manual says."""
    address = postgres_server.create("prefect").replace("tester@", f"tester:{postgres_server.password}@")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", address.replace("postgresql:", "postgresql+asyncpg:"))
        patch.setenv("PGPASSWORD", postgres_server.password)
        yield postgres_server


@pytest.fixture(scope="module")
def prefect_on_postgres(database: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server whose database was migrated by hand before, as an administrator does; this process talks to it."""
    from prefect import settings
    from prefect.settings import temporary_settings

    home = tmp_path_factory.mktemp("prefect")
    upgrade = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
    subprocess.run(
        upgrade, env={**os.environ, "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1"}, check=True, timeout=600, capture_output=True
    )
    with serve(home) as environment:
        chosen = {settings.PREFECT_API_URL: environment["PREFECT_API_URL"], settings.PREFECT_HOME: environment["PREFECT_HOME"]}
        with temporary_settings(chosen):
            yield environment


@pytest.fixture
def experiment(database: PostgresServer, tmp_path: Path) -> Path:
    """Runs of the toy that take a second each, and an index in the database."""
    for run in range(1, FLOW_RUNS + WIDTH):
        write_run(tmp_path / "raw", run, 8, dict.fromkeys(range(0, 8, 2), "sleep:0.25"))
    text = f"""[experiment]
name = "toys"
instrument = "toy"
raw = "raw"
[store]
index = "{database.create("toys")}"
[plugins]
modules = ["toyline.plugin"]
[resources]
executor = "inline"
"""
    (tmp_path / "experiment.toml").write_text(text)
    return tmp_path


@pytest.fixture
def worker(prefect_on_postgres: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A worker that runs four flow runs at a time; its log."""
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    environment = {k: v for k, v in os.environ.items() if k != "PREFECT_SERVER_DATABASE_CONNECTION_URL"} | prefect_on_postgres
    environment |= {
        "PYTHONPATH": f"{TOYS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "PYTHONWARNINGS": "ignore",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "many", "--type", "process", "--limit", str(LIMIT)]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield log
        finally:
            for kind in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, kind)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=30)


def deploy() -> str:
    """The deployment of the flow `process` in the work pool ``many``; its id."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.workers.process import ProcessWorker

    async def enter() -> str:
        async with get_client() as client:
            template = ProcessWorker.get_default_base_job_template()
            await client.create_work_pool(WorkPoolCreate(name="many", type="process", base_job_template=template), overwrite=True)
            flow = await client.create_flow_from_name("process")
            made = await client.create_deployment(
                flow_id=flow,
                name="many",
                work_pool_name="many",
                entrypoint="penstock_flows.process.process",
                enforce_parameter_schema=False,
            )
            return str(made)

    return asyncio.run(enter())


def submit_all(api: str, deployment: str, experiment: Path) -> set[str]:
    """Create the flow runs, from several processes at the same time; their ids."""
    requests = [{"experiment": str(experiment), "runs": f"{first}-{first + WIDTH - 1}"} for first in range(1, FLOW_RUNS + 1)]
    commands = [[sys.executable, "-c", SUBMIT, api, deployment, json.dumps(requests[i::PROCESSES])] for i in range(PROCESSES)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    answers = [process.communicate(timeout=600)[0] for process in processes]
    return {line for answer in answers for line in answer.split()}


def read_all(read: Any, **filters: Any) -> list[Any]:
    found: list[Any] = []
    while some := read(limit=200, offset=len(found), **filters):
        found += some
    return found


def wait_for_all(wanted: int) -> list[Any]:
    """The flow runs once all have ended."""
    from prefect.client.orchestration import get_client

    deadline = time.monotonic() + 2400
    while True:
        with get_client(sync_client=True) as client:
            found = read_all(client.read_flow_runs)
        if len([r for r in found if r.state and r.state.is_final()]) >= wanted:
            return found
        assert time.monotonic() < deadline, Counter(r.state_name for r in found)
        time.sleep(5)


def task_runs(wanted: int) -> list[Any]:
    """Every task run that ended; the server enters them from events, so they may be a moment behind."""
    from prefect.client.orchestration import get_client

    deadline = time.monotonic() + 60
    while True:
        with get_client(sync_client=True) as client:
            found = [t for t in read_all(client.read_task_runs) if t.state and t.state.is_final()]
        if len([t for t in found if t.state_name == "Completed"]) >= wanted or time.monotonic() > deadline:
            return found
        time.sleep(1)


def cpu_seconds(word: str) -> float:
    """CPU time of the processes below this one in whose command `word` stands, and of what they started."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if word in " ".join(process.cmdline()):
                total += sum(process.cpu_times()[:4])
    return total


def counts(message: str) -> dict[str, int]:
    return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", message)}


def test_fifty_flow_runs_at_once_are_all_completed_and_no_key_is_computed_twice(
    prefect_on_postgres: dict[str, str], worker: Path, experiment: Path
) -> None:
    deployment = deploy()
    began = time.monotonic()

    submitted = submit_all(prefect_on_postgres["PREFECT_API_URL"], deployment, experiment)
    accepted = time.monotonic() - began
    flow_runs = wait_for_all(FLOW_RUNS)
    wall = time.monotonic() - began

    keys = (FLOW_RUNS + WIDTH - 1) * STAGES
    messages = [counts(r.state.message or "") for r in flow_runs]
    computed = Counter(t.name for t in task_runs(keys) if t.state_name == "Completed")
    tell_figures(flow_runs, accepted, wall, messages)
    assert {str(r.id) for r in flow_runs} == submitted
    assert Counter(r.state_name for r in flow_runs) == {"Completed": FLOW_RUNS}, worker.read_text()[-4000:]
    assert [sum(m.values()) for m in messages] == [WIDTH * STAGES] * FLOW_RUNS
    assert sum(m.get("computed", 0) for m in messages) == keys
    assert (len(computed), set(computed.values())) == (keys, {1})
    loaded = load_experiment(experiment)
    with Store(loaded.store_path, index=loaded.index_path) as store:
        assert len(list(store.manifests())) == len(store.index.artifacts()) == keys
        assert len(store.index.refs()) == keys
        assert store.index.claims() == {}


def tell_figures(flow_runs: list[Any], accepted: float, wall: float, messages: list[dict[str, int]]) -> None:
    late = sorted((r.start_time - r.expected_start_time).total_seconds() for r in flow_runs)
    spent = sorted(r.total_run_time.total_seconds() for r in flow_runs)
    print(
        f"\n{len(flow_runs)} flow runs: accepted in {accepted:.1f} s, all ended after {wall:.0f} s; start latency {late[0]:.1f} s (first), "
        f"{late[LIMIT - 1]:.1f} s (fourth), {late[len(late) // 2]:.0f} s (median), {late[-1]:.0f} s (last); a flow run took {spent[len(spent) // 2]:.1f} s (median), "
        f"{spent[-1]:.1f} s (longest); CPU: Prefect server {cpu_seconds('server start') + cpu_seconds('uvicorn'):.0f} s, PostgreSQL {cpu_seconds('postgres'):.0f} s; "
        f"computed {sum(m.get('computed', 0) for m in messages)}, current {sum(m.get('current', 0) for m in messages)}"
    )
