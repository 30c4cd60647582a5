"""Whether parts answer, asked over HTTP with nothing but the standard library."""

from __future__ import annotations

import base64
import http.client
import json
import os
import time
from typing import Any
from urllib.parse import urlsplit

__all__ = ["ask", "is_healthy", "worker_count"]

HEALTH_S = 3.0
"""A part that is well answers within that time, in seconds."""
ANSWER_S = 30.0
"""An answer that takes the database may take so long on a busy machine, in seconds."""
TRIES = 5
PAUSE_S = 1.0


def ask(url: str, body: object = None, *, timeout_s: float = ANSWER_S) -> Any:
    """The JSON (or text) that an address answers to GET, or to POST where there is a body.

    A server whose SQLite is busy answers 503 and is asked again, as Prefect's own client does.

    Raises
    ------
    OSError
        Nobody answers, or the answer is no success.
    """
    for left in reversed(range(TRIES)):
        status, content = _ask_once(url, body, timeout_s)
        if status != http.client.SERVICE_UNAVAILABLE or not left:
            break
        time.sleep(PAUSE_S)
    if status >= http.client.BAD_REQUEST:
        raise OSError(f"{url}: {status} {content[:500].decode(errors='replace')}")
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")


def _ask_once(url: str, body: object, timeout_s: float) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=timeout_s)
    headers = {"Content-Type": "application/json"} | _credentials()
    try:
        if body is None:
            connection.request("GET", parts.path, headers=headers)
        else:
            connection.request("POST", parts.path, json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"{url}: {error!r}") from error
    finally:
        connection.close()


def is_healthy(url: str) -> bool:
    """Whether an address answers with success."""
    try:
        ask(url, timeout_s=HEALTH_S)
    except OSError:
        return False
    return True


def worker_count(dashboard: str) -> int:
    """Workers that a Dask scheduler has; 0 where it does not answer."""
    try:
        return int(ask(f"{dashboard}/json/counts.json", timeout_s=HEALTH_S)["workers"])
    except (OSError, KeyError, TypeError):
        return 0


def _credentials() -> dict[str, str]:
    secret = os.environ.get("PREFECT_API_AUTH_STRING")
    return {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"} if secret else {}
