"""The Prefect API as our commands ask it: over HTTP, with the settings of Prefect's client, and without importing Prefect."""

from __future__ import annotations

import base64
import json
import os
import ssl
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["TIMEOUT_S", "ask_prefect", "prefect_profile", "prefect_setting", "profile_path"]

TIMEOUT_S = 3.0
"""How long an answer may take, in seconds."""


def ask_prefect(
    url: str, path: str, body: Mapping[str, Any] | None = None, *, login: bool = True, timeout_s: float = TIMEOUT_S
) -> tuple[int, Any]:
    """Status and content of an answer; the content of a refusal is None.

    Parameters
    ----------
    url
        Of the API: ``http://host:4200/api``.
    body
        Sent as JSON by POST; GET without.
    login
        Whether the password or key of this user's settings is sent.

    Raises
    ------
    OSError
        Nobody answers.
    ValueError
        What answers is no API.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"Prefect API {url!r}: is no address of HTTP. Set PREFECT_API_URL to one such as http://127.0.0.1:4200/api.")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url.rstrip('/')}{path}", data, {"Content-Type": "application/json"})  # noqa: S310  HTTP only
    authorization = _authorization() if login else None
    if authorization is not None:
        # Not handed on where the answer names another host.
        request.add_unredirected_header("Authorization", authorization)
    context = ssl.create_default_context(cafile=prefect_setting("PREFECT_API_SSL_CERT_FILE"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, None


def prefect_setting(name: str) -> str | None:
    """The value of a setting such as ``PREFECT_API_AUTH_STRING``: of the environment, else of the active profile, else None."""
    return os.environ.get(name) or prefect_profile().get(name)


def prefect_profile() -> Mapping[str, str]:
    """The settings of the active profile; none where there is no file that can be read: Prefect itself tells about that."""
    try:
        content = tomllib.loads(profile_path().read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return {}
    active = os.environ.get("PREFECT_PROFILE", content.get("active", ""))
    found = content.get("profiles", {}).get(active, {})
    return {name: str(value) for name, value in found.items()}


def profile_path() -> Path:
    """Where the profiles lie."""
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    return Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml"))


def _authorization() -> str | None:
    password, key = prefect_setting("PREFECT_API_AUTH_STRING"), prefect_setting("PREFECT_API_KEY")
    if password is not None:
        return f"Basic {base64.b64encode(password.encode()).decode()}"
    return None if key is None else f"Bearer {key}"
