"""Routes below ``/api/v1``: parameters, a snapshot to download, and what is published."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from penstock.core.errors import ConfigError
from penstock.formats.published import Publisher, write_copy
from penstock.stream.parameters import ParameterBase
from penstock.views.hsds._reading import Reader
from penstock.views.hsds._refusal import Refusal
from penstock.views.hsds.routes import answer_json

__all__ = ["ApiRoutes", "ParameterStore"]

_LARGEST_PARAMETER = 64 << 20


class ParameterStore(Protocol):
    """Where parameters stand; called from several threads."""

    def get(self, name: str) -> bytes:
        """The value as bytes; KeyError where there is no such parameter."""

    def set(self, name: str, data: bytes) -> None:
        """Take a new value; KeyError where there is no such parameter, ConfigError where the bytes are no value of its type."""

    def list(self) -> Sequence[ParameterBase]:
        """The descriptions."""


class ApiRoutes:
    """Routes over a publisher and, where there is one, a store of parameters."""

    def __init__(self, publisher: Publisher, reader: Reader, parameters: ParameterStore | None) -> None:
        self._publisher = publisher
        self._reader = reader
        self._parameters = parameters

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/api/v1/status", self._status),
            Route("/api/v1/left_out", self._left_out),
            Route("/api/v1/snapshot", self._snapshot),
            Route("/api/v1/parameters", self._list),
            Route("/api/v1/parameter/{name:path}", self._get),
            Route("/api/v1/parameter/{name:path}", self._set, methods=["POST"]),
        ]

    async def _status(self, request: Request) -> Response:
        publisher = self._publisher
        return answer_json({"publishing": publisher.current() is not None, "count": publisher.count, "since": publisher.since})

    async def _left_out(self, request: Request) -> Response:
        copied = await self._reader.read(lambda tree: tree.copy())
        return answer_json(copied.left_out)

    async def _snapshot(self, request: Request) -> Response:
        copied = await self._reader.read(lambda tree: tree.copy())
        folder = tempfile.TemporaryDirectory(prefix="penstock-snapshot-")
        path = Path(folder.name) / "snapshot.h5"
        await run_in_threadpool(write_copy, copied, path)
        return FileResponse(path, media_type="application/x-hdf5", filename=path.name, background=BackgroundTask(folder.cleanup))

    async def _list(self, request: Request) -> Response:
        descriptions = await run_in_threadpool(self._parameters.list) if self._parameters is not None else []
        return answer_json([_describe(parameter) for parameter in sorted(descriptions, key=lambda p: p.name)])

    async def _get(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            data = await run_in_threadpool(self._store().get, name)
        except KeyError as error:
            raise _unknown(name, error) from None
        return Response(data, media_type="application/x.bytes")

    async def _set(self, request: Request) -> Response:
        name, data = request.path_params["name"], bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > _LARGEST_PARAMETER:
                raise Refusal(413, f"parameter {name!r}: the value is larger than {_LARGEST_PARAMETER >> 20} MiB.")
        try:
            await run_in_threadpool(self._store().set, name, bytes(data))
        except KeyError as error:
            raise _unknown(name, error) from None
        except ConfigError as error:
            raise Refusal(400, str(error)) from error
        return answer_json("")

    def _store(self) -> ParameterStore:
        if self._parameters is None:
            raise Refusal(404, "there are no parameters here.")
        return self._parameters


def _describe(parameter: ParameterBase) -> dict[str, Any]:
    default = parameter.default
    shown = default.decode(errors="backslashreplace") if isinstance(default, bytes) else default
    return {"name": parameter.name, "description": parameter.description, "dtype": parameter.dtype, "default": shown}


def _unknown(name: str, error: KeyError) -> Refusal:
    said = error.args[0] if error.args and " " in str(error.args[0]) else f"parameter {name!r} is not known."
    return Refusal(404, str(said))
