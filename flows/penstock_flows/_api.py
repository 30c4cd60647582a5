"""Whether a Prefect API is configured and answers, found out without importing Prefect (which takes seconds)."""

from __future__ import annotations

import http.client
import os
import ssl
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["api_is_configured", "api_is_reachable", "api_url"]

TIMEOUT_S = 3.0


def api_url() -> str | None:
    """The API that Prefect would use: ``PREFECT_API_URL``, else that of the active profile; None without."""
    return os.environ.get("PREFECT_API_URL") or _profile_url()


def api_is_configured() -> bool:
    """Whether an API is named in the environment or in the active profile."""
    return api_url() is not None


def api_is_reachable(timeout_s: float = TIMEOUT_S) -> bool:
    """Whether the configured API answers; an answer that asks for credentials counts, a server's failure does not."""
    url = api_url()
    if url is None:
        return False
    parts = urlsplit(url)
    if parts.hostname is None or parts.scheme not in ("http", "https"):
        return False
    connection = (
        http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout_s, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    )
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/health")
        return connection.getresponse().status < http.client.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _profile_url() -> str | None:
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml"))
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, tomllib.TOMLDecodeError):
        # Prefect itself tells about a profile file that it cannot read.
        return None
    active = os.environ.get("PREFECT_PROFILE", content.get("active", ""))
    url = content.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")
    return str(url) if url else None
