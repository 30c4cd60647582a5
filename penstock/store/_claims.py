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
    """The claims of this process: taken one by one, kept alive by a thread, given back at the end.

    Parameters
    ----------
    expiry_s
        A claim of others without heartbeat for so long is taken over, in seconds.
    """

    def __init__(self, index: Index, *, expiry_s: float = EXPIRY_S) -> None:
        self._index = index
        self._expiry_s = expiry_s
        self.owner = f"{_host()}:{os.getpid()}:{_start_of(os.getpid())}:{uuid.uuid4().hex[:8]}"
        self._held: set[str] = set()
        self._owed: set[str] = set()
        self._taking = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="penstock-claims", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        with self._taking:
            self._owed |= self._held
            self._held.clear()
            self._repay()

    def take(self, key: str) -> bool:
        """Take the claim on `key`; False where a living owner holds it, also another thread. A dead process of this host is no owner."""
        with self._taking:
            if key in self._held:
                return False
            holder = self._index.claim_owner(key)
            dead = [holder] if holder is not None and _is_dead(holder) else []
            taken = self._index.claim(key, self.owner, dead, self._expiry_s)
            if taken:
                self._owed.discard(key)
                self._held.add(key)
            return taken

    def release(self, key: str) -> None:
        """Give back the claim on `key`: later, where the index cannot be reached now, for the work under the claim is done."""
        with self._taking:
            self._held.discard(key)
            self._owed.add(key)
            self._repay()

    def _repay(self) -> None:
        # What is still owed at the end of the process expires.
        with suppress(StoreError):
            for key in list(self._owed):
                self._index.release(key, self.owner)
                self._owed.discard(key)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            with self._taking:
                self._repay()
            if self._held:
                # A claim outlives several missed beats, and the next commit reports a disk that stays full.
                with suppress(StoreError):
                    self._index.heartbeat(self.owner)


def _host() -> str:
    """Name of this host, told apart from others of its name, such as containers that share its network but number processes on their own."""
    return "/".join([socket.gethostname(), _read(Path("/proc/sys/kernel/random/boot_id"))[:8], _namespace()])


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _is_dead(owner: str) -> bool:
    host, pid, started, _ = owner.rsplit(":", 3)
    return host == _host() and _start_of(int(pid)) != started


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
