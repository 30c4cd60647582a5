"""The lasting folder of `penstock up`: database, logs, who is running, and what an earlier one left behind."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from penstock.core.canonical import Json
from penstock_flows.up._errors import UpRunning

__all__ = ["MARK", "Home", "default_home"]

MARK = "PENSTOCK_UP"
"""Environment variable that every process of a home carries, with the home's path; so they are found whoever started them."""

KILL_S = 3.0
"""How long killed processes may take to be gone, in seconds."""


def default_home() -> Path:
    """``penstock/up`` in the user's data folder."""
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "penstock" / "up"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder, and what lies where in it."""

    folder: Path

    @property
    def prefect(self) -> Path:
        """Prefect's own home, with the SQLite database."""
        return self.folder / "prefect"

    @property
    def logs(self) -> Path:
        """A log file for each part."""
        return self.folder / "logs"

    @property
    def scratch(self) -> Path:
        """What Dask spills, and signs of life."""
        return self.folder / "scratch"

    @property
    def state(self) -> Path:
        """Addresses and process of the `up` that runs here, as JSON; absent while none is ready."""
        return self.folder / "up.json"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep every other `up` out of this home.

        Raises
        ------
        UpRunning
            Another one is in.
        """
        for folder in (self.prefect, self.logs, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)
        # Parameters, logs, and the key that opens the secrets of blocks lie here.
        self.folder.chmod(0o700)
        path = self.folder / "up.lock"
        with path.open("a+") as stream:
            self._lock(stream)
            # One that was killed leaves its addresses behind.
            self.state.unlink(missing_ok=True)
            try:
                yield
            finally:
                self.state.unlink(missing_ok=True)
                stream.truncate(0)

    def _lock(self, stream: IO[str]) -> None:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            pid = stream.read().strip() or "unknown"
            raise UpRunning(
                f"{self.folder}: penstock up is running here already, as process {pid}. "
                f"Stop it with: kill {pid}, or give another folder with --home."
            ) from None
        stream.seek(0)
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()

    def publish(self, state: Mapping[str, Json]) -> None:
        """Write down where everything is."""
        new = self.state.with_suffix(".new")
        new.write_text(json.dumps(state, indent=1) + "\n")
        new.replace(self.state)

    def mark(self) -> dict[str, str]:
        """The variable that processes of this home carry."""
        return {MARK: str(self.folder)}

    def leftovers(self) -> list[psutil.Process]:
        """Processes that were started for this home and live."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and self._is_marked(process):
                    found.append(process)
        return found

    def sweep(self, grace_s: float = 3.0) -> int:
        """End what is left of this home, with SIGTERM and after the grace with SIGKILL; how many processes that were."""
        seen: set[int] = set()
        deadline = time.monotonic() + grace_s
        while (found := self.leftovers()) and time.monotonic() < deadline + KILL_S:
            for process in found:
                with suppress(psutil.Error):
                    if time.monotonic() >= deadline:
                        process.kill()
                    elif process.pid not in seen:
                        process.terminate()
                seen.add(process.pid)
            psutil.wait_procs(found, timeout=0.2)
        return len(seen)

    def _is_marked(self, process: psutil.Process) -> bool:
        return bool(process.environ().get(MARK) == str(self.folder))
