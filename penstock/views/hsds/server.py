"""The server: a thread of its own with the routes of HSDS and those of the parameters."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from penstock.core.errors import ConfigError
from penstock.formats.published import NotInTree, NotPublishable, Publisher
from penstock.views.hsds._reading import Reader
from penstock.views.hsds._refusal import Refusal
from penstock.views.hsds.api import ApiRoutes, ParameterStore
from penstock.views.hsds.routes import HsdsRoutes, answer_json
from penstock.views.serving import Access, listen, refuse_open

__all__ = ["PublishServer"]

_START_S = 10.0
_STOP_S = 5.0


class PublishServer:
    """Serves what a publisher publishes, from entering the context until leaving it.

    ``h5pyd.File(server.url, "r")`` and ``silx view http://...`` open it. Requests read the tree one after another, with its lock held for as
    long as the copy takes. Everything is served as it is when asked for.

    Parameters
    ----------
    parameters
        Store behind ``/api/v1/parameter``; None serves no parameters.
    host
        Address to listen on.
    port
        0 takes a free one; `port` says which.
    token
        What clients must send: as bearer token (``api_key`` of h5pyd), as password with any user name, or as ``?token=``. Needed on any
        address that other machines reach.
    allow_origins
        Origins of web pages that may read, such as that of an h5web (``https://h5web.example.org``).
    lock_wait_s
        How long a request waits for the lock of the tree before it is answered with 503.

    Raises
    ------
    ConfigError
        The address needs a token, or cannot be listened on.
    """

    def __init__(
        self,
        publisher: Publisher,
        parameters: ParameterStore | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        *,
        allow_origins: Sequence[str] = (),
        lock_wait_s: float = 5.0,
    ) -> None:
        refuse_open(host, token)
        self._host = host
        self._wanted_port = port
        self._publisher = publisher
        self._parameters = parameters
        self._token = token
        self._allow_origins = tuple(allow_origins)
        self._lock_wait_s = lock_wait_s
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._socket.getsockname()[1]) if self._socket is not None else self._wanted_port

    @property
    def url(self) -> str:
        """Where clients on this machine find it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104  compared, not listened on
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def __enter__(self) -> Self:
        """Listen and serve."""
        self._socket = listen(self._host, self._wanted_port)
        self._reader = Reader(self._publisher, self._lock_wait_s)
        config = uvicorn.Config(
            self._app(),
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="penstock-publish", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise ConfigError(f"the server on {self._host} did not start within {_START_S:g} s. The log says why.")
            time.sleep(0.002)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop: requests at hand are answered for a second, then dropped."""
        self._server.should_exit = True
        self._thread.join(_STOP_S)
        if self._thread.is_alive():
            self._server.force_exit = True
        self._reader.close()
        if self._socket is not None:
            self._socket.close()
            self._wanted_port, self._socket = 0, None

    def _app(self) -> Starlette:
        middleware = [Middleware(Access, token=self._token, allow_origins=self._allow_origins)]
        if self._allow_origins:
            cors = Middleware(
                CORSMiddleware,
                allow_origins=self._allow_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type"],
            )
            middleware.insert(0, cors)
        routes = [
            *ApiRoutes(self._publisher, self._reader, self._parameters).routes(),
            *HsdsRoutes(self._publisher, self._reader).routes(),
        ]
        handlers = {Refusal: _refused, NotInTree: _not_found, NotPublishable: _not_found}
        return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    answer = answer_json({"detail": error.message}, error.status)
    if error.status == 503:
        answer.headers["Retry-After"] = "1"
    return answer


async def _not_found(request: Request, error: Exception) -> Response:
    return answer_json({"detail": str(error)}, 404)
