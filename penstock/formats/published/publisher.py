"""Who publishes now: the reducer of the running scan, or that of the last one until the next begins."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from penstock.formats.published.tree import PublishedTree

__all__ = ["FixedTree", "Published", "Publisher"]


class Published(Protocol):
    """What publishes a tree, such as a reducer."""

    @property
    def publish(self) -> Any:
        """The dictionary; None before there is one."""

    @property
    def publish_lock(self) -> AbstractContextManager[Any]:
        """Held by those who read the dictionary; one that can be entered again and again."""


@dataclass(slots=True)
class FixedTree:
    """A dictionary to publish, with a lock if something changes it meanwhile."""

    publish: Any
    publish_lock: AbstractContextManager[Any] = field(default_factory=nullcontext)


class Publisher:
    """Holds the tree that is published until another replaces it; safe for threads.

    Parameters
    ----------
    nexus
        Whether groups get attributes that say what to plot (`penstock.formats.published.defaults`).
    """

    def __init__(self, nexus: bool = True) -> None:
        self.nexus = nexus
        self._lock = threading.Lock()
        self._state: tuple[Published | None, int, float] = (None, 0, time.time())

    def replace(self, source: Published | None) -> None:
        """Publish the tree of `source` from now on; None publishes an empty one."""
        with self._lock:
            self._state = (source, self._state[1] + 1, time.time())

    def current(self) -> Published | None:
        """What is published; None before the first."""
        return self._state[0]

    @property
    def count(self) -> int:
        """How many were published so far, the current one included."""
        return self._state[1]

    @property
    def since(self) -> float:
        """When the current one came, in seconds since 1970 UTC."""
        return self._state[2]

    @contextmanager
    def read(self) -> Iterator[PublishedTree]:
        """The tree, with its lock held meanwhile.

        Raises
        ------
        NotPublishable
            What is published is no dictionary.
        """
        source = self.current()
        if source is None:
            yield PublishedTree({}, self.nexus)
            return
        with source.publish_lock:
            tree = source.publish
            yield PublishedTree({} if tree is None else tree, self.nexus)
