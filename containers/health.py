"""Whether the Dask scheduler or the workers of this container are well; a Dask preload and a command in one.

As a preload it notes where each process serves ``/health``. As a command, the image's health check, it asks them all.
A container that announces nothing, such as one of a flow run, is well unless ``--announced`` is given.
"""

from __future__ import annotations

import http.client
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(tempfile.gettempdir()) / "penstock-health"
TIMEOUT_S = 5.0


def dask_setup(server: Any) -> None:
    """Called by Dask in each scheduler and worker once its HTTP server listens."""
    FOLDER.mkdir(exist_ok=True)
    host = server.http_server.address or "127.0.0.1"
    here = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  what it is bound to, not a request to bind
    (FOLDER / str(os.getpid())).write_text(f"{here} {server.http_server.port}")


def is_well(host: str, port: int) -> bool:
    """Whether ``/health`` there answers 200 within seconds."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    """Exit code 0 where all that was announced and lives is well; 1 with a line for each that is not."""
    alive = [note for note in sorted(FOLDER.glob("[0-9]*")) if Path("/proc", note.name).exists()]
    ill = []
    for note in alive:
        host, port = note.read_text().split()
        if not is_well(host, int(port)):
            ill.append(f"process {note.name}: no answer from http://{host}:{port}/health")
    if not alive and "--announced" in arguments:
        ill.append("no Dask process of this container serves /health")
    sys.stdout.write("".join(f"{line}\n" for line in ill))
    return 1 if ill else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
