"""The Prefect API: whether it answers, its version, who may use it, where its password lies, and telemetry."""

from __future__ import annotations

import importlib.metadata
import re
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from penstock.cli._options import load_runner
from penstock.cli.doctor._deployments import look_at_deployments
from penstock.cli.doctor._files import is_readable_by_others
from penstock.cli.doctor._finding import Finding
from penstock.cli.prefect_api import TIMEOUT_S, ask_prefect, prefect_profile, prefect_setting, profile_path
from penstock.security import host_of, is_loopback

__all__ = ["look_at_prefect"]

_SECRETS = re.compile(r"PREFECT_\w*(AUTH_STRING|API_KEY|PASSWORD|ENCRYPTION_KEY|CONNECTION_URL)")
_PAGE = "http://page.invalid"
"""A web page that has nothing to do with the server."""
_CLOSE = "Start the server with PREFECT_SERVER_API_AUTH_STRING, and its clients with PREFECT_API_AUTH_STRING (docs/security.md)."


def look_at_prefect() -> Iterator[Finding]:
    """The API that the environment or the active profile names."""
    runner = load_runner("prefect")
    url = runner.api_url() if runner is not None else None
    if runner is None or url is None:
        yield Finding("prefect API", "note", "none is configured (PREFECT_API_URL): penstock run computes without Prefect")
    elif "@" in urlsplit(url).netloc:
        yield Finding(
            "prefect API",
            "problem",
            "PREFECT_API_URL holds a password, which messages and logs then show",
            "Take it out and change it; give user:password by PREFECT_API_AUTH_STRING.",
        )
    elif runner.api_is_reachable():
        yield Finding("prefect API", "ok", url)
        yield from _version(url)
        yield from _who_may(url)
        yield from look_at_deployments(url)
    else:
        yield Finding(
            "prefect API",
            "problem",
            f"{url} does not answer, so penstock run computes without Prefect and its flow runs are seen nowhere",
            "Start it with: prefect server start, or correct PREFECT_API_URL (prefect config view); it ends in /api.",
        )
    yield from _profile()


def _version(url: str) -> Iterator[Finding]:
    """Whether the server is of the version of our client; it is asked with our password."""
    theirs = _ask(url, "/admin/version", login=True)[1]
    try:
        ours = importlib.metadata.version("prefect")
    except importlib.metadata.PackageNotFoundError:
        return
    if isinstance(theirs, str) and theirs.split(".")[:2] != ours.split(".")[:2]:
        yield Finding(
            "prefect version",
            "problem",
            f"the server at {url} is Prefect {theirs}, this client {ours}: what one of both does not know fails midway",
            f"Install one version on both, the server first: pip install prefect=={ours}",
        )


def _who_may(url: str) -> Iterator[Finding]:
    host = host_of(url)
    anybody = _ask(url, "/admin/version", login=False)[0]
    if anybody == 200 and not is_loopback(host):
        yield Finding("prefect access", "problem", f"{url} asks for no password: whoever reaches it runs code on its workers", _CLOSE)
    elif anybody == 200 and _answers_pages(url):
        yield Finding(
            "prefect access",
            "problem",
            f"{url} asks for no password and answers to every web page: one that your browser shows can run code on its workers",
            f"Start the server with PREFECT_SERVER_CORS_ALLOWED_ORIGINS={url.removesuffix('/api')}, or with a password (docs/security.md).",
        )
    elif anybody == 200:
        yield Finding("prefect access", "note", f"{url} asks for no password: all users of this machine may use it", _CLOSE)
    elif url.startswith("http://") and not is_loopback(host):
        yield Finding(
            "prefect access",
            "problem",
            f"{url} takes its password in the clear",
            "Put it behind a reverse proxy with TLS, and name https:// (docs/security.md).",
        )
    else:
        yield Finding("prefect access", "ok", f"{url} asks for a password")
    yield from _as_us(url)


def _answers_pages(url: str) -> bool:
    """Whether the server lets a foreign web page send JSON and read what comes back (https://fetch.spec.whatwg.org/#http-cors-protocol)."""
    asked = {"Origin": _PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    request = urllib.request.Request(f"{url.rstrip('/')}/flows/", headers=asked, method="OPTIONS")  # noqa: S310  HTTP only
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT_S) as answer:
            return answer.headers.get("Access-Control-Allow-Origin") in ("*", _PAGE)
    except OSError:
        return False


def _as_us(url: str) -> Iterator[Finding]:
    """What the server says to our own password."""
    password = prefect_setting("PREFECT_API_AUTH_STRING")
    status, content = _ask(url, "/admin/settings", login=True)
    if status in (401, 403):
        yield Finding(
            "prefect password",
            "problem",
            f"{url} refuses {'the password of this shell' if password else 'a client without password'}",
            "Set PREFECT_API_AUTH_STRING to what the server was started with.",
        )
    elif isinstance(content, dict) and content.get("server", {}).get("analytics_enabled"):
        yield Finding(
            "telemetry",
            "note",
            f"the Prefect server at {url} reports its use to its makers",
            "Start it with PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1.",
        )


def _profile() -> Iterator[Finding]:
    held = sorted(name for name, value in prefect_profile().items() if value and _SECRETS.fullmatch(name))
    if not held:
        return
    path = profile_path()
    if is_readable_by_others(path):
        yield Finding("prefect profile", "problem", f"{path} holds {', '.join(held)} and can be read by others", f"chmod 600 {path}")
    else:
        yield Finding("prefect profile", "ok", f"{path} holds {', '.join(held)}; only you can read it")


def _ask(url: str, path: str, *, login: bool) -> tuple[int, Any]:
    """Status and content of an answer; 0 where there is none."""
    try:
        return ask_prefect(url, path, login=login)
    except (OSError, ValueError):
        return 0, None
