"""A Prefect server of one's own on this machine: a process with its own folder, SQLite, and no telemetry."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from penstock.core.errors import PenstockError

__all__ = ["ServerFailed", "free_port", "is_free", "serve", "server_environment"]

START_S = 180.0
"""A cold server on a busy machine may take this long, in seconds."""
PORTS = range(20000, 32000)
"""Below those that systems give to outgoing connections, so that a free one is not given away before its server listens."""


class ServerFailed(PenstockError, RuntimeError):
    """The server did not start."""


def free_port() -> int:
    """A port of the loopback device that nobody listens on; another one each time, most likely."""
    return next(port for port in random.SystemRandom().sample(PORTS, len(PORTS)) if is_free(port))


def is_free(port: int) -> bool:
    """Whether a server could listen on a port of the loopback device now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def server_environment(home: Path, port: int) -> dict[str, str]:
    """Environment of the server and of whoever talks to it."""
    api = f"http://127.0.0.1:{port}/api"
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_UI_API_URL": api,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        # Its own pages only: every other page in somebody's browser could start runs, which is code.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port},http://localhost:{port}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # SQLite takes one writer at a time; who waits longer than that is sent away with 503.
        "PREFECT_SERVER_DATABASE_TIMEOUT": "30",
        "DO_NOT_TRACK": "1",
    }


@contextmanager
def serve(home: Path, port: int | None = None) -> Iterator[dict[str, str]]:
    """Run a server on the loopback device; yields the environment of its clients.

    Parameters
    ----------
    home
        Folder of its database and settings.
    port
        A free one if left out.
    """
    port = port or free_port()
    home.mkdir(parents=True, exist_ok=True)
    settings = server_environment(home, port)
    command = [sys.executable, "-m", "penstock_flows.serving", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    log = home / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            _wait(process, port, log)
            yield settings
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerFailed(f"the Prefect server ended with code {process.returncode}:\n{log.read_text()[-2000:]}")
        if _is_healthy(port):
            return
        time.sleep(0.2)
    raise ServerFailed(f"the Prefect server did not answer on port {port} within {START_S:.0f} s:\n{log.read_text()[-2000:]}")


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and what it started: they are a process group of their own."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
            return
