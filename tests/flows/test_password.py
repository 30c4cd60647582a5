"""A server with a password: our commands use it, and it goes nowhere else."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from toybench import ToyExperiment

from penstock_flows.server import free_port, serve

pytestmark = pytest.mark.slow

TOYS = Path(__file__).parents[1] / "toy"
DEPLOY = ("-m", "penstock.cli", "deploy")
NEEDS = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_SERVER_METRICS_ENABLED")


@dataclass
class Locked:
    """A server with a password, and the environment of clients that know it not."""

    settings: dict[str, str]
    password: str
    home: Path

    def call(self, *command: str, folder: Path, password: str | None) -> subprocess.CompletedProcess[str]:
        environment = clean() | self.settings | ({"PREFECT_API_AUTH_STRING": password} if password else {})
        return subprocess.run(
            [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
        )

    def traces(self) -> list[bytes]:
        """The password as it might be written down."""
        return [self.password.encode(), self.password.partition(":")[2].encode(), base64.b64encode(self.password.encode())]


def clean() -> dict[str, str]:
    """The environment without any of Prefect's settings."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")} | {"PYTHONPATH": str(TOYS), "PYTHONWARNINGS": "ignore"}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    password = f"admin:{secrets.token_urlsafe(12)}"
    home = tmp_path_factory.mktemp("locked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_SERVER_API_AUTH_STRING", password)
        patch.setenv("PREFECT_SERVER_METRICS_ENABLED", "true")
        with serve(home) as settings:
            for name in NEEDS:
                patch.delenv(name)
            yield Locked(settings, password, home)


@contextmanager
def running(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as stream:
        process = subprocess.Popen([sys.executable, *command], env=clean(), stdout=stream, stderr=stream, start_new_session=True)
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


class Wiretap:
    """Passes connections on to an address, and keeps what goes there."""

    def __init__(self, target: int) -> None:
        self.heard = bytearray()
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError), sink:
            while content := source.recv(65536):
                self.heard += content
                sink.sendall(content)

    def close(self) -> None:
        self._listening.close()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)


@pytest.mark.parametrize("password", [None, "admin:wrong"], ids=["none", "wrong"])
@pytest.mark.parametrize("command", [("-m", "penstock.cli", "run", "--prefect", "--executor", "inline"), DEPLOY], ids=["run", "deploy"])
def test_without_the_password_commands_say_what_to_set(
    locked: Locked, toy: ToyExperiment, command: tuple[str, ...], password: str | None
) -> None:
    toy.write_run(1)
    done = locked.call(*command, folder=toy.folder, password=password)
    assert done.returncode != 0
    assert "Set PREFECT_API_AUTH_STRING" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_server_measures_itself_for_those_with_the_password(locked: Locked) -> None:
    url = f"{locked.settings['PREFECT_API_URL']}/metrics"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url)
    credentials = base64.b64encode(locked.password.encode()).decode()
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": f"Basic {credentials}"})) as answer:
        assert b"process_resident_memory_bytes" in answer.read()


def test_deploy_works_with_the_password(locked: Locked, tmp_path: Path) -> None:
    done = locked.call(*DEPLOY, folder=tmp_path, password=locked.password)
    assert done.returncode == 0, done.stderr


def test_the_password_reaches_neither_workers_nor_store_nor_logs_nor_the_database(
    locked: Locked, toy: ToyExperiment, tmp_path: Path
) -> None:
    toy.write_run(1)
    port = free_port()
    dask = ("-m", "dask")
    scheduler = (*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    worker = (
        *dask,
        "worker",
        f"tcp://127.0.0.1:{port}",
        "--host",
        "127.0.0.1",
        "--no-dashboard",
        "--no-nanny",
        "--nthreads",
        "1",
        "--resources",
        "toy=1",
    )
    with running(*scheduler, log=tmp_path / "scheduler.log"):
        wait_for(port)
        tap = Wiretap(port)
        with running(*worker, log=tmp_path / "worker.log") as process:
            run = ("-m", "penstock.cli", "run", "--prefect", "--executor", f"tcp://127.0.0.1:{tap.port}")
            done = locked.call(*run, folder=toy.folder, password=locked.password)
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        tap.close()
    assert done.returncode == 0, done.stderr
    assert b"run_batch" in tap.heard
    files = [p for folder in (toy.folder, locked.home, tmp_path) for p in folder.rglob("*") if p.is_file()]
    assert any(p.name == "prefect.db" for p in files)
    assert any(p.name == "manifest.json" for p in files)
    places: Mapping[str, bytes] = {
        "to Dask": bytes(tap.heard),
        "environment of the worker": environment,
        "output": (done.stdout + done.stderr).encode(),
        **{str(p): p.read_bytes() for p in files},
    }
    assert [place for place, content in places.items() if any(trace in content for trace in locked.traces())] == []
