"""Prefect's Docker work pool starts the flow `process` in the flows image; with podman through its Docker-compatible socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock_flows.server import serve

pytestmark = [pytest.mark.containers, pytest.mark.timeout(3600)]
POOL = "boxes"


@contextmanager
def program(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs beside the test and is ended after it."""
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def docker_socket(engine: Any, folder: Path) -> Iterator[dict[str, str]]:
    """Environment by which Docker clients find the engine."""
    if not engine.podman:
        yield {}
        return
    socket = folder / "engine.sock"
    with program([engine.program, "system", "service", "--time=0", f"unix://{socket}"], dict(os.environ), folder / "engine.log"):
        engine.wait_until(socket.exists, "podman's socket")
        yield {"DOCKER_HOST": f"unix://{socket}"}


@pytest.fixture
def experiment(engine: Any, tmp_path: Path) -> Path:
    """A run that the image's user may read, in a folder that it may write."""
    folder = tmp_path / "boxed"
    folder.mkdir()
    write_run(folder / "raw", TpcSimulation(), 1, 4)
    (folder / "experiment.toml").write_text('[experiment]\nname = "boxed"\ninstrument = "attpc"\nraw = "raw"\n')
    folder.chmod(0o2775)
    if os.getuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 0, engine.user)
    for parent in list(tmp_path.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    return folder


DEPLOY = """
import json, sys
from prefect.deployments.runner import EntrypointType
from penstock_flows.process import process
made = process.to_deployment("boxed", job_variables=json.loads(sys.argv[2]), entrypoint_type=EntrypointType.MODULE_PATH)
print(made.apply(work_pool_name=sys.argv[1], image=sys.argv[3]))
"""


def test_a_flow_run_of_the_docker_pool_completes_in_the_flows_image(
    engine: Any, images: dict[str, Any], experiment: Path, tmp_path: Path
) -> None:
    pytest.importorskip("prefect_docker", reason="needs prefect-docker: pip install 'penstock[docker]'")
    with ExitStack() as stack:
        settings = stack.enter_context(serve(tmp_path / "prefect"))
        environment = {**os.environ, **settings, **stack.enter_context(docker_socket(engine, tmp_path))}
        user = f"{os.getuid()}:{os.getgid()}" if os.getuid() else f"{engine.user}:{engine.user}"
        variables = {
            "image_pull_policy": "Never",
            "network_mode": "host",
            "volumes": [f"{experiment}:{experiment}"],
            "container_create_kwargs": {"read_only": True, "tmpfs": {"/tmp": "rw,mode=1777"}, "user": user},
            "env": {"PREFECT_API_URL": settings["PREFECT_API_URL"], "PREFECT_HOME": "/tmp/prefect", "DO_NOT_TRACK": "1"},
            "auto_remove": True,
        }

        def call(*command: str) -> str:
            done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        call("-m", "prefect", "work-pool", "create", POOL, "--type", "docker")
        call("-c", DEPLOY, POOL, json.dumps(variables), engine.image("flows"))
        worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "docker"]
        stack.enter_context(program(worker, environment, tmp_path / "worker.log"))
        request = json.dumps({"experiment": str(experiment), "runs": "1", "executor": "inline"})
        told = call("-m", "prefect", "deployment", "run", "process/boxed", "--param", f"request={request}", "--watch")

    assert "Completed" in told, told + (tmp_path / "worker.log").read_text()
    found = [json.loads(p.read_text()) for p in (experiment / "store" / "objects").glob("*/*/manifest.json")]
    assert {m["stage"] for m in found} == {"tpc.points", "tpc.clusters", "tpc.estimates"}
    assert {m["environment"]["image"] for m in found} == {engine.image("flows").removeprefix("localhost/")}
