"""One thread that reads the tree for all requests, so that a lock that is never released costs one thread and no request."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from penstock.formats.published import PublishedTree, Publisher
from penstock.views.hsds._refusal import Refusal

__all__ = ["Reader"]

T = TypeVar("T")


@dataclass(slots=True)
class _Job:
    work: Callable[[PublishedTree], Any]
    future: Future[Any]
    reading: bool = False


class Reader:
    """Runs functions over the published tree with its lock held, one after another.

    Parameters
    ----------
    lock_wait_s
        How long a request waits for the lock before it is answered with 503.
    """

    def __init__(self, publisher: Publisher, lock_wait_s: float) -> None:
        self._publisher = publisher
        self._lock_wait_s = lock_wait_s
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="penstock-publish-reader", daemon=True).start()

    async def read(self, work: Callable[[PublishedTree], T]) -> T:
        """What `work` makes of the tree.

        Raises
        ------
        Refusal
            The lock was not free in time (503).
        """
        job = _Job(work, Future())
        self._jobs.put(job)
        waiting = asyncio.wrap_future(job.future)
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=self._lock_wait_s)
            if done:
                result: T = waiting.result()
                return result
            if not job.reading:
                waiting.cancel()
                raise Refusal(503, f"the reducer held the lock of what it publishes for {self._lock_wait_s:g} s. Try again.")

    def close(self) -> None:
        """Let the thread end after the jobs at hand."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                with self._publisher.read() as tree:
                    job.reading = True
                    result = job.work(tree)
            except BaseException as error:  # noqa: BLE001  handed to the request that waits for it
                job.future.set_exception(error)
            else:
                job.future.set_result(result)
