"""A server over a tree, on a real socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from penstock.views.hsds import FixedTree, Publisher, PublishServer


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Publisher, PublishServer]]:
    """A publisher, and a server over it, that the tests of a module share."""
    publisher = Publisher()
    with PublishServer(publisher) as server:
        yield publisher, server


@pytest.fixture
def serve(shared: tuple[Publisher, PublishServer]) -> Iterator[Callable[..., PublishServer]]:
    """Serves a dictionary until the test ends; with further arguments of the server, by one of its own."""
    with ExitStack() as stack:

        def start(tree: Any, **arguments: Any) -> PublishServer:
            publisher, server = (Publisher(), None) if arguments else shared
            publisher.replace(tree if isinstance(tree, FixedTree) else FixedTree(tree))
            return server or stack.enter_context(PublishServer(publisher, **arguments))

        yield start


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """A client that keeps its connections."""
    with httpx.Client(timeout=20, headers={"accept-encoding": "gzip"}) as http:
        yield http
