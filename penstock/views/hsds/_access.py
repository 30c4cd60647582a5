"""Who may ask: those with the token, or without one those on this machine, and no web page that has not been allowed."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Sequence
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.views.hsds.routes import answer_json

__all__ = ["Access", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Access:
    """Lets a request through, or answers 401 or 403.

    Without a token the name in the ``Host`` header must be one of this machine, so that no web site can reach the server by a name of its own
    that leads here. A request that changes something must not come from a web page, unless its origin is allowed.
    """

    def __init__(self, app: ASGIApp, token: str | None, allow_origins: Sequence[str]) -> None:
        self._app = app
        self._token = token
        self._allow_origins = frozenset(allow_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._token is not None and not self._has_token(scope, headers):
            answer = answer_json({"detail": "a token is needed: send it as bearer token, as password, or as ?token=."}, 401)
            answer.headers["WWW-Authenticate"] = 'Basic realm="penstock"'
        elif self._token is None and not is_loopback(_host_name(headers.get("host", "localhost"))):
            answer = answer_json(
                {"detail": f"host {headers.get('host')!r} is not this machine. Use localhost, or serve with a token."}, 403
            )
        elif scope["method"] not in ("GET", "HEAD", "OPTIONS") and headers.get("origin", "") not in {"", *self._allow_origins}:
            answer = answer_json({"detail": f"origin {headers['origin']!r} is not allowed."}, 403)
        else:
            await self._app(scope, receive, send)
            return
        await answer(scope, receive, send)

    def _has_token(self, scope: Scope, headers: Headers) -> bool:
        assert self._token is not None
        kind, _, credentials = headers.get("authorization", "").partition(" ")
        offered = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if kind.lower() == "bearer":
            offered.append(credentials.strip())
        elif kind.lower() == "basic":
            offered.append(_password(credentials))
        return any(hmac.compare_digest(text.encode(), self._token.encode()) for text in offered)


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
