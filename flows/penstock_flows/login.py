"""Whether the configured Prefect API lets us in and talks as we do, found out before Prefect is imported and without its traceback."""

from __future__ import annotations

from importlib.metadata import version

from penstock.cli.prefect_api import ask_prefect, prefect_setting
from penstock.core.errors import ConfigError
from penstock.security import without_login
from penstock_flows._api import api_url

__all__ = ["ApiRefused", "check_login", "check_version"]


class ApiRefused(ConfigError, PermissionError):
    """The Prefect API wants a password that it was not given."""


def check_login() -> None:
    """Ask the configured API something that needs the password, with the password that Prefect's client would send.

    An API that does not answer is no matter here: whoever uses it next says so.

    Raises
    ------
    ApiRefused
        It answers 401 or 403.
    ConfigError
        It has another major version.
    """
    status = check_version()
    if status in (401, 403):
        found = "refuses the password" if prefect_setting("PREFECT_API_AUTH_STRING") else "wants a password"
        raise ApiRefused(
            f"Prefect API {without_login(api_url() or '')}: {found} ({status}). Set PREFECT_API_AUTH_STRING to what the server was started with (PREFECT_SERVER_API_AUTH_STRING)."
        )


def check_version() -> int | None:
    """Ask the configured API for its version; how it answered, or None where it did not.

    Raises
    ------
    ConfigError
        Its major version is another one than that of the installed Prefect.
    """
    url = api_url()
    if url is None:
        return None
    try:
        status, theirs = ask_prefect(url, "/admin/version")
    except (OSError, ValueError):
        return None
    ours = version("prefect")
    if isinstance(theirs, str) and theirs.partition(".")[0] != ours.partition(".")[0]:
        raise ConfigError(
            f"Prefect API {without_login(url)}: its server has version {theirs}, and here Prefect {ours} is installed. "
            "Set PREFECT_API_URL to a server of the same major version, such as that of penstock up."
        )
    return status
