"""A reducer that publishes while it reduces, under a lock."""

import threading
from contextlib import contextmanager

import numpy as np

from penstock.stream.stins import StinsImage, parse


class Profiles:
    """Returns the sum of each column of an image."""

    def process_event(self, event):
        acquired = parse(event.streams["xrd"])
        return acquired.data.sum(axis=0, dtype=np.int64) if isinstance(acquired, StinsImage) else None


class ReadWriteLock:
    """Many read, or one writes."""

    def __init__(self):
        self._changed = threading.Condition()
        self._readers = 0

    @contextmanager
    def read(self):
        """Hold for reading."""
        with self._changed:
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def write(self):
        """Hold for writing."""
        with self._changed:
            self._changed.wait_for(lambda: self._readers == 0)
            yield


class _Reading:
    """The reading side as a context manager that can be entered again and again."""

    def __init__(self, lock):
        self._lock = lock
        self._held = threading.local()

    def __enter__(self):
        self._held.now = self._lock.read()
        return self._held.now.__enter__()

    def __exit__(self, *exc):
        return self._held.now.__exit__(*exc)


class Published:
    """A group with profiles that grow, their attributes, a name with a space, and how many events there were."""

    def __init__(self):
        self.lock = ReadWriteLock()
        self.publish_rlock = _Reading(self.lock)
        self.publish = {
            "_attrs": {"creator": "test"},
            "profiles": {"sum": np.zeros((0, 10), np.int64), "sum_attrs": {"unit": "counts"}, "column": np.arange(10)},
            "last event": 0,
            "comment": "grows",
        }

    def process_result(self, result):
        with self.lock.write():
            group = self.publish["profiles"]
            group["sum"] = np.vstack([group["sum"], result.payload])
            self.publish["last event"] = result.event_number
