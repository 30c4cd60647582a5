"""Whether a Prefect API is configured and answers, found out without importing Prefect (which takes seconds)."""

from __future__ import annotations

import http.client

from penstock.cli.prefect_api import TIMEOUT_S, ask_prefect, prefect_setting

__all__ = ["api_is_configured", "api_is_reachable", "api_url"]


def api_url() -> str | None:
    """The API that Prefect would use: ``PREFECT_API_URL``, else that of the active profile; None without."""
    return prefect_setting("PREFECT_API_URL")


def api_is_configured() -> bool:
    """Whether an API is named in the environment or in the active profile."""
    return api_url() is not None


def api_is_reachable(timeout_s: float = TIMEOUT_S) -> bool:
    """Whether the configured API answers; an answer that asks for credentials counts, a server's failure does not."""
    url = api_url()
    if url is None:
        return False
    try:
        status, _ = ask_prefect(url, "/health", login=False, timeout_s=timeout_s)
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return status < http.client.INTERNAL_SERVER_ERROR
