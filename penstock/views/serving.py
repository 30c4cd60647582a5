"""What our HTTP endpoints share: where they listen, and who may ask.

On the loopback device anybody of this machine may; elsewhere only who has the token. No web page that has not been allowed sets anything.
"""

from __future__ import annotations

import base64
import errno
import hmac
import os
import socket
from collections.abc import Sequence
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.core.errors import ConfigError
from penstock.security.addresses import is_loopback

__all__ = ["Access", "listen", "refuse_open"]


def refuse_open(host: str, token: str | None) -> None:
    """Refuse an address that other machines reach where there is no token.

    Raises
    ------
    ConfigError
    """
    if token is None and not is_loopback(host):
        raise ConfigError(f"host {host!r} is reached by other machines, so a token is needed. Give one, or serve on 127.0.0.1.")
    if token == "":
        raise ConfigError("the token is empty. Give one that is hard to guess.")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. It names its protocol, without which asyncio lets each answer wait 40 ms for an acknowledgement.

    Raises
    ------
    ConfigError
        The port is taken, or the address is not of this machine.
    """
    listening: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)[0]
        listening = socket.socket(family, kind, protocol)
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        if listening is not None:
            listening.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"port {port} on {host} is taken. Name another, or 0 for a free one.") from error
        raise ConfigError(
            f"{host} port {port} cannot be listened on ({error}). Name an address of this machine and a free port."
        ) from error
    return listening


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
            answer = JSONResponse({"detail": "a token is needed: send it as bearer token, as password, or as ?token=."}, 401)
            answer.headers["WWW-Authenticate"] = 'Basic realm="penstock"'
        elif self._token is None and not is_loopback(_host_name(headers.get("host", "localhost"))):
            answer = JSONResponse(
                {"detail": f"host {headers.get('host')!r} is not this machine. Use localhost, or serve with a token."}, 403
            )
        elif scope["method"] not in ("GET", "HEAD", "OPTIONS") and headers.get("origin", "") not in {"", *self._allow_origins}:
            answer = JSONResponse({"detail": f"origin {headers['origin']!r} is not allowed."}, 403)
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
    except ValueError:
        return ""
