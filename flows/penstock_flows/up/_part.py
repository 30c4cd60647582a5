"""One process that `penstock up` keeps running."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Part", "Process"]

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Part:
    """How a process is started and how one knows that it works.

    Attributes
    ----------
    is_ready
        Cheap; asked again and again.
    stop_s
        It ends by itself within that time of SIGTERM, or is killed, in seconds.
    stays_well
        `is_ready` must hold as long as it runs, not only once.
    ends
        It does its work and ends, instead of staying.
    sign
        A file by which it tells that it is ready; removed before it is started.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    is_ready: Callable[[], bool]
    stop_s: float = 3.0
    stays_well: bool = False
    ends: bool = False
    sign: Path | None = None


@dataclass(slots=True)
class Process:
    """A part that was started.

    Attributes
    ----------
    well
        When it was last seen to work, on the monotonic clock.
    ready
        Whether it has been seen to work since it was started.
    deaths
        When it died, each time.
    """

    part: Part
    popen: subprocess.Popen[bytes] | None = None
    well: float = 0.0
    ready: bool = False
    deaths: list[float] = field(default_factory=list)
    due: float | None = None
    """When it is to be started again."""

    def start(self) -> None:
        """Start it, with an empty log unless it died before.

        It has a session of its own, so that the terminal's Ctrl-C reaches only the one who ends everything in order.
        To be called from the main thread: on Linux the process hears of the death of the thread that started it.
        """
        if self.part.sign is not None:
            self.part.sign.unlink(missing_ok=True)
        with self.part.log.open("ab" if self.deaths else "wb") as log:
            self.popen = subprocess.Popen(
                self.part.command,
                env={**self.part.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self.well = time.monotonic()
        self.ready = False
        self.due = None

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs or was never started."""
        return None if self.popen is None else self.popen.poll()

    @property
    def runs(self) -> bool:
        """Whether it is there."""
        return self.popen is not None and self.popen.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process."""
        return None if self.popen is None else self.popen.pid

    def ask_to_end(self) -> None:
        """SIGTERM."""
        if self.popen is not None and self.runs:
            self.popen.terminate()

    def end(self) -> None:
        """Wait until it has ended, at most `stop_s`; then end its whole process group."""
        if self.popen is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout=self.part.stop_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to all of its group."""
        if self.popen is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout=5)

    def last_words(self, size: int = 1500) -> str:
        """The end of its log."""
        with suppress(OSError):
            return self.part.log.read_bytes()[-size:].decode(errors="replace").strip()
        return ""


def _end_with_parent() -> None:
    """In the new process: get SIGTERM when the one who started it dies, however it dies."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
