"""Whether the configured Prefect API lets us in, found out before Prefect is imported and without its traceback."""

from __future__ import annotations

from penstock.cli.prefect_api import ask_prefect, prefect_setting
from penstock.core.errors import ConfigError
from penstock_flows._api import api_url

__all__ = ["ApiRefused", "check_login"]


class ApiRefused(ConfigError, PermissionError):
    """The Prefect API wants a password that it was not given."""


def check_login() -> None:
    """Ask the configured API something that needs the password, with the password that Prefect's client would send.

    An API that does not answer is no matter here: whoever uses it next says so.

    Raises
    ------
    ApiRefused
        It answers 401 or 403.
    """
    url = api_url()
    if url is None:
        return
    try:
        status, _ = ask_prefect(url, "/admin/version")
    except (OSError, ValueError):
        return
    if status in (401, 403):
        found = "refuses the password" if prefect_setting("PREFECT_API_AUTH_STRING") else "wants a password"
        raise ApiRefused(
            f"Prefect API {url}: {found} ({status}). Set PREFECT_API_AUTH_STRING to what the server was started with (PREFECT_SERVER_API_AUTH_STRING)."
        )
