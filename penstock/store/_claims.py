"""Claims: who computes a key at this moment, so that a second request waits and adopts the result."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock.core.errors import StoreError
from penstock.store._index import Index

__all__ = ["EXPIRY_S", "Claims"]

EXPIRY_S = 30.0
"""A claim without heartbeat for so long is taken over, in seconds."""
BEAT_S = 5.0
"""Seconds between heartbeats."""


class Claims:
    """The claims of this process: taken one by one, kept alive by a thread, given back at the end."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{_start_of(os.getpid())}:{uuid.uuid4().hex[:8]}"
        self._held: set[str] = set()
        self._taking = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="penstock-claims", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        for key in list(self._held):
            self.release(key)

    def take(self, key: str) -> bool:
        """Take the claim on `key`; False where a living owner holds it, also another thread. A dead process of this host is no owner."""
        with self._taking:
            if key in self._held:
                return False
            holder = self._index.claim_owner(key)
            dead = [holder] if holder is not None and _is_dead(holder) else []
            taken = self._index.claim(key, self.owner, dead, EXPIRY_S)
            if taken:
                self._held.add(key)
            return taken

    def release(self, key: str) -> None:
        """Give back the claim on `key`."""
        self._held.discard(key)
        self._index.release(key, self.owner)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            if self._held:
                # A claim outlives several missed beats, and the next commit reports a disk that stays full.
                with suppress(StoreError):
                    self._index.heartbeat(self.owner)


def _is_dead(owner: str) -> bool:
    host, pid, started, _ = owner.rsplit(":", 3)
    return host == socket.gethostname() and _start_of(int(pid)) != started


def _start_of(pid: int) -> str:
    """When a process began, in clock ticks since boot, so that a reused process number is told apart; empty where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "" if not _alive(pid) else "alive"
    fields = text[text.rindex(")") + 2 :].split()
    return "" if fields[0] == "Z" else fields[19]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
