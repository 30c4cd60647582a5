"""The routes of HSDS that its clients read from; nothing can be written.

REST interface: https://github.com/HDFGroup/hdf-rest-api. Objects are read as they are when asked for, in the shape that the client was told;
if that is no longer possible the answer is 410, and the client opens the tree again.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
from numpy.lib.recfunctions import repack_fields
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.formats.published import Layout, NotInTree, PublishedTree, Publisher
from penstock.formats.published.hdf5_types import describe_shape, describe_type
from penstock.views.hsds._encoding import as_bytes, as_json_value, compress, value_as_json
from penstock.views.hsds._ids import Ids
from penstock.views.hsds._reading import Reader
from penstock.views.hsds._refusal import Refusal
from penstock.views.hsds._selection import parse_selection

__all__ = ["HsdsRoutes", "answer_json"]

_VERSION = "0.8.5"
"""Version of HSDS whose routes these are; from 0.9 on clients send lists of indices for several dimensions at once."""
_COMPRESSED_FROM = 1000
BODY_BYTES = 16 << 20
"""A request has no larger body: points by their indices are the largest."""
_Array = NDArray[Any] | None
logger = logging.getLogger(__name__)


def answer_json(content: object, status: int = 200) -> Response:
    """A JSON answer; NaN and Infinity are written as HSDS does."""
    return Response(json.dumps(content), status, media_type="application/json")


class HsdsRoutes:
    """Routes over the tree of a publisher."""

    def __init__(self, publisher: Publisher, reader: Reader) -> None:
        self._publisher = publisher
        self._reader = reader
        self._ids = Ids()
        self._warned: set[tuple[str, str]] = set()

    def routes(self) -> list[Route]:
        """All of them."""
        attributes = [
            Route(f"/{collection}/{{id}}/{rest}", handler)
            for collection in ("groups", "datasets")
            for rest, handler in (("attributes", self._attributes), ("attributes/{name:path}", self._attribute))
        ]
        return [
            *attributes,
            Route("/about", self._about),
            Route("/", self._domain),
            Route("/groups/{id}", self._group),
            Route("/groups/{id}/links", self._links),
            Route("/groups/{id}/links/{name:path}", self._link),
            Route("/datasets/{id}", self._dataset),
            Route("/datasets/{id}/{part}", self._part),
            Route("/datasets/{id}/value", self._value, methods=["POST"]),
        ]

    def _times(self) -> dict[str, float]:
        return {"created": self._publisher.since, "lastModified": self._publisher.since}

    async def _about(self, request: Request) -> Response:
        about = {"name": "penstock", "about": "what a reducer publishes", "hsds_version": _VERSION, "state": "READY"}
        return answer_json({**about, "greeting": "", "start_time": int(self._publisher.since)})

    async def _domain(self, request: Request) -> Response:
        def open_view(tree: PublishedTree) -> str:
            return self._ids.make(self._ids.open_view(), "/", True)

        root = await self._reader.read(open_view)
        return answer_json({"root": root, "class": "domain", "owner": "admin", "version": _VERSION, **self._times()})

    async def _group(self, request: Request) -> Response:
        def look(tree: PublishedTree) -> tuple[str, str, dict[str, bool], dict[str, _Array]]:
            view, path = self._resolve(request, tree)
            return view, path, self._members(tree, path), tree.attributes(path)

        view, path, members, attributes = await self._reader.read(look)
        return answer_json(
            self._described(request, view, path, attributes, linkCount=len(members)) | self._linked(request, view, path, members)
        )

    async def _links(self, request: Request) -> Response:
        def look(tree: PublishedTree) -> list[dict[str, Any]]:
            view, path = self._resolve(request, tree)
            return [self._describe_link(view, path, name, is_group) for name, is_group in self._members(tree, path).items()]

        return answer_json({"links": await self._reader.read(look)})

    async def _link(self, request: Request) -> Response:
        name = request.path_params["name"]

        def look(tree: PublishedTree) -> dict[str, Any]:
            view, path = self._resolve(request, tree)
            members = self._members(tree, path)
            if name not in members:
                why = tree.refused(path).get(name)
                raise Refusal(404, f"{path}: there is no {name!r}." if why is None else f"{path}: {name!r} is left out: {why}")
            return self._describe_link(view, path, name, members[name])

        return answer_json({"link": await self._reader.read(look)})

    async def _attributes(self, request: Request) -> Response:
        with_values = request.query_params.get("IncludeData", "0") not in ("0", "")

        def look(tree: PublishedTree) -> dict[str, _Array]:
            return tree.attributes(self._resolve(request, tree)[1])

        found = await self._reader.read(look)
        return answer_json({"attributes": [self._describe_attribute(name, array, with_values) for name, array in found.items()]})

    async def _attribute(self, request: Request) -> Response:
        name = request.path_params["name"]

        def look(tree: PublishedTree) -> _Array:
            _, path = self._resolve(request, tree)
            attributes = tree.attributes(path)
            if name not in attributes:
                raise Refusal(404, f"{path}: there is no attribute {name!r}.")
            return attributes[name]

        return answer_json(self._describe_attribute(name, await self._reader.read(look), with_value=True))

    async def _dataset(self, request: Request) -> Response:
        def look(tree: PublishedTree) -> tuple[str, str, Layout, dict[str, _Array]]:
            view, path = self._resolve(request, tree)
            layout = tree.layout(path)
            self._ids.tell(view, path, layout)
            return view, path, layout, tree.attributes(path)

        view, path, layout, attributes = await self._reader.read(look)
        described = self._described(request, view, path, attributes, is_group=False)
        return answer_json(described | _describe_layout(layout) | {"creationProperties": {}})

    async def _part(self, request: Request) -> Response:
        part = request.path_params["part"]
        if part == "value":
            return await self._value(request)
        if part not in ("type", "shape"):
            raise Refusal(404, f"there is no {part!r} of a dataset.")

        def look(tree: PublishedTree) -> Layout:
            return tree.layout(self._resolve(request, tree)[1])

        return answer_json({part: _describe_layout(await self._reader.read(look))[part]})

    async def _value(self, request: Request) -> Response:
        asked, points = await _parse_request(request)
        if asked.get("query"):
            raise Refusal(400, "queries are not supported. Read the values and select from them.")

        def look(tree: PublishedTree) -> tuple[_Array, Layout]:
            view, path = self._resolve(request, tree)
            return self._read(tree, path, self._ids.told(view, path), asked.get("select") if points is None else None)

        array, layout = await self._reader.read(look)
        return await run_in_threadpool(_encode, request, array if points is None else _pick(array, points, layout), asked.get("fields"))

    def _read(self, tree: PublishedTree, path: str, told: Layout | None, select: str | None) -> tuple[_Array, Layout]:
        seen: list[Layout] = []

        def choose(layout: Layout) -> tuple[slice | list[int], ...]:
            seen.append(told or layout)
            if told is not None and not _still_holds(told, layout):
                raise Refusal(410, f"{path} was {_say(told)}, and is {_say(layout)} now. Open the tree again.")
            return parse_selection(select, seen[0].shape or ())

        return tree.read(path, choose), seen[0]

    def _resolve(self, request: Request, tree: PublishedTree) -> tuple[str, str]:
        identifier = request.path_params["id"]
        view, path = self._ids.resolve(identifier, tree)
        try:
            is_group = tree.is_group(path)
        except NotInTree:
            raise Refusal(410, f"{identifier} is not in the tree, or not any more. Open the tree again.") from None
        if is_group != identifier.startswith("g"):
            raise Refusal(410, f"{path} is not what it was. Open the tree again.")
        return view, path

    def _members(self, tree: PublishedTree, path: str) -> dict[str, bool]:
        for name, reason in tree.refused(path).items():
            if (path, name) not in self._warned:
                self._warned.add((path, name))
                logger.warning("publish: %s is left out: %s", f"{path.rstrip('/')}/{name}", reason)
        return tree.members(path)

    def _described(
        self, request: Request, view: str, path: str, attributes: dict[str, _Array], is_group: bool = True, **counts: int
    ) -> dict[str, Any]:
        described: dict[str, Any] = {
            "id": self._ids.make(view, path, is_group),
            "root": self._ids.make(view, "/", True),
            "attributeCount": len(attributes),
            **counts,
            **self._times(),
        }
        if "include_attrs" in request.query_params:
            described["attributes"] = {name: self._describe_attribute(name, array, True) for name, array in attributes.items()}
        if "getalias" in request.query_params:
            described["alias"] = [path]
        return described

    def _linked(self, request: Request, view: str, path: str, members: dict[str, bool]) -> dict[str, Any]:
        if "include_links" not in request.query_params:
            return {}
        return {"links": {name: self._describe_link(view, path, name, is_group) for name, is_group in members.items()}}

    def _describe_link(self, view: str, path: str, name: str, is_group: bool) -> dict[str, Any]:
        identifier = self._ids.make(view, f"{path.rstrip('/')}/{name}", is_group)
        kind = {"class": "H5L_TYPE_HARD", "collection": "groups" if is_group else "datasets"}
        return {**kind, "id": identifier, "title": name, **self._times()}

    def _describe_attribute(self, name: str, array: _Array, with_value: bool) -> dict[str, Any]:
        layout = Layout(np.dtype(np.float64), None) if array is None else Layout(array.dtype, array.shape)
        value = {"value": as_json_value(array)} if with_value else {}
        return {"name": name, **_describe_layout(layout), **value, "created": self._publisher.since}


def _describe_layout(layout: Layout) -> dict[str, Any]:
    return {"type": describe_type(layout.dtype), "shape": describe_shape(layout.shape)}


def _still_holds(told: Layout, now: Layout) -> bool:
    """Whether what was told can still be read: the dataset grew at most."""
    if told.dtype != now.dtype or told.shape is None or now.shape is None:
        return told == now
    return len(told.shape) == len(now.shape) and all(a <= b for a, b in zip(told.shape, now.shape, strict=True))


def _say(layout: Layout) -> str:
    kind = "text" if layout.dtype.kind == "O" else str(layout.dtype)
    return "without a value" if layout.shape is None else f"{kind} of shape {layout.shape}"


async def _body(request: Request) -> bytes:
    parts, length = [], 0
    async for part in request.stream():
        parts.append(part)
        length += len(part)
        if length > BODY_BYTES:
            raise Refusal(413, f"the body is larger than {BODY_BYTES >> 20} MiB. Ask for fewer points at once.")
    return b"".join(parts)


async def _parse_request(request: Request) -> tuple[dict[str, Any], NDArray[np.uint64] | None]:
    """What is asked for, in the address or in the body, and the points, if any."""
    asked: dict[str, Any] = dict(request.query_params)
    if request.method != "POST":
        return asked, None
    body = await _body(request)
    if request.headers.get("content-type") == "application/octet-stream":
        return asked, np.frombuffer(body[: len(body) // 8 * 8], "<u8")
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON ({error}).") from None
    if not isinstance(given, dict):
        raise Refusal(400, f"the body is {type(given).__name__}, not a JSON object.")
    try:
        points = np.asarray(given["points"], np.uint64) if "points" in given else None
    except (ValueError, TypeError, OverflowError):
        raise Refusal(400, "points are lists of indices.") from None
    return asked | given, points


def _pick(array: _Array, points: NDArray[np.uint64], layout: Layout) -> _Array:
    rank = len(layout.shape or ())
    if array is None or rank == 0 or points.size % rank:
        raise Refusal(400, f"{points.size} coordinates do not make points of {rank} dimensions.")
    chosen = points.reshape(-1, rank)
    if (chosen >= np.array(array.shape, np.uint64)).any():
        raise Refusal(400, f"a point lies outside of the shape {array.shape}.")
    picked: NDArray[Any] = array[tuple(chosen.astype(np.int64).T)]
    return picked


def _encode(request: Request, array: _Array, fields: str | None) -> Response:
    if fields and array is not None:
        array = _only_fields(array, fields.split(":"))
    accepted = request.headers.get("accept", "")
    if "application/octet-stream" in accepted and array is not None and array.size:
        body, media_type = as_bytes(array), "application/octet-stream"
    else:
        body, media_type = value_as_json(array), "application/json"
    headers = {"Content-Type": media_type, "Vary": "Accept, Accept-Encoding"}
    if len(body) > _COMPRESSED_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        squeezed = compress(body)
        if squeezed is not None:
            body, headers["Content-Encoding"] = squeezed, "gzip"
    return Response(body, headers=headers)


def _only_fields(array: NDArray[Any], names: list[str]) -> NDArray[Any]:
    known = array.dtype.names or ()
    missing = [name for name in names if name not in known]
    if missing:
        raise Refusal(400, f"there is no field {missing[0]!r}; there are {', '.join(known) or 'none'}.")
    packed: NDArray[Any] = repack_fields(array[names])
    return packed
