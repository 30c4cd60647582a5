"""Jobs of a SLURM profile: their scripts, written by dask-jobqueue, and what SLURM says of them."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Security
from distributed.core import Status

from penstock.core.errors import ConfigError
from penstock.execute._jobqueue_profile import JobKind, SlurmProfile, walltime_seconds

# Its import makes Ctrl-C end the process at once, whoever imports it; cancelling is ours.
_ON_CTRL_C = signal.getsignal(signal.SIGINT)
try:
    from dask_jobqueue.slurm import SLURMCluster, SLURMJob
except ModuleNotFoundError as error:
    raise ConfigError("SLURM jobs need the package dask-jobqueue. Install it with: pip install 'penstock[cluster]'") from error
finally:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _ON_CTRL_C)

__all__ = [
    "QueuedJob",
    "SLURMCluster",
    "WatchedJob",
    "job_options",
    "job_scripts",
    "last_words",
    "leave_early_s",
    "parse_queue",
    "queued_jobs",
    "security_of",
]

_PEM = {"ca": "ca.pem", "cert": "node.pem", "key": "node-key.pem"}
_ADDRESS = "tcp://ADDRESS-OF-THE-SCHEDULER"
_NO_WEB = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")
"""Without a dashboard a worker serves HTTP all the same, without TLS, and to everybody unless an address is named."""


class WatchedJob(SLURMJob):  # type: ignore[misc]  # dask-jobqueue has no types
    """A job that keeps why it was refused; dask-jobqueue would only log that."""

    refused: str | None = None

    async def start(self) -> None:
        try:
            await super().start()
        except (RuntimeError, OSError, ValueError) as error:
            self.refused = " ".join(str(error).split())
            # For Dask it runs, without a worker ever coming; whoever watches the queue sees that there is no such job.
            self.status = Status.running

    async def close(self) -> None:
        await super().close()
        self.status = Status.closed


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """What SLURM says of a job."""

    state: str
    left_s: float
    """Time to its end, in seconds; infinite where SLURM does not say."""


def job_scripts(profile: SlurmProfile) -> dict[str, str]:
    """The job script of each kind, as it would be submitted, but for address and number."""
    security = security_of(profile)
    scheme = "tls" if security else "tcp"
    return {
        kind.name: WatchedJob(_ADDRESS.replace("tcp", scheme), name=f"{kind.name}-N", **job_options(profile, kind, security)).job_script()
        for kind in profile.jobs
    }


def parse_queue(text: str) -> dict[str, QueuedJob]:
    """Jobs by number, from the output of ``squeue --noheader --format "%i %T %L"``."""
    found = {}
    for line in text.splitlines():
        number, state, left = line.split()
        try:
            left_s = float(walltime_seconds(left if left.count(":") == 2 else f"00:{left.zfill(5)}"))
        except ValueError:  # UNLIMITED, INVALID, NOT_SET
            left_s = math.inf
        found[number] = QueuedJob(state, left_s)
    return found


def queued_jobs() -> dict[str, QueuedJob]:
    command = ["squeue", "--noheader", "--format", "%i %T %L", "--user", str(os.getuid())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise OSError(f"squeue ended with code {done.returncode}: {done.stderr.strip()}")
    return parse_queue(done.stdout)


def security_of(profile: SlurmProfile) -> Security | None:
    if profile.tls is None:
        return None
    files = {name: Path(profile.tls) / file for name, file in _PEM.items()}
    missing = next((file for file in files.values() if not file.is_file()), None)
    if missing is not None:
        raise ConfigError(f"SLURM site {profile.site!r}: {missing} is missing. Make it with: penstock certs {profile.tls}")
    ca, cert, key = (str(files[name]) for name in ("ca", "cert", "key"))
    roles = {f"tls_{role}_{what}": path for role in ("scheduler", "worker", "client") for what, path in (("cert", cert), ("key", key))}
    return Security(require_encryption=True, tls_ca_file=ca, **roles)


def job_options(profile: SlurmProfile, kind: JobKind, security: Security | None) -> dict[str, Any]:
    """What dask-jobqueue is told of one kind of job."""
    devices = (f"--gres=gpu:{kind.gpus}",) if kind.gpus else ()
    logs = (f"-{end[0]} {profile.log_folder}/penstock-{kind.name}-%j.{end}" for end in ("err", "out"))
    return {
        "job_name": f"penstock-{kind.name}",
        "queue": kind.partition or profile.partition,
        "account": kind.account or profile.account,
        "walltime": kind.walltime or profile.walltime,
        "cores": kind.workers,
        "processes": kind.workers,
        "job_cpu": kind.workers * kind.cores_per_worker,
        "memory": kind.memory,
        "python": kind.interpreter(),
        "worker_command": "dask cuda worker" if kind.gpus else "distributed.cli.dask_worker",
        "worker_extra_args": ["--resources", ",".join(f"{lane}=1" for lane in kind.lanes), *_NO_WEB],
        "death_timeout": profile.connect_seconds,
        "interface": profile.interface,
        "protocol": "tls://" if security else None,
        "security": security,
        "local_directory": profile.local_folder,
        "job_script_prologue": list(profile.prologue),
        "job_extra_directives": [*logs, *devices, *profile.directives, *kind.directives],
    }


def leave_early_s(profile: SlurmProfile) -> float:
    """Workers leave so long before their job ends: a twentieth of its time, at least two looks at the queue."""
    shortest = min(walltime_seconds(kind.walltime or profile.walltime) for kind in profile.jobs)
    return min(600.0, max(2 * profile.poll_seconds, shortest / 20))


def last_words(folder: Path, kind: JobKind, number: str) -> str:
    """The last line that a job wrote."""
    lines = [line for end in ("err", "out") for file in folder.glob(f"penstock-{kind.name}-{number}.{end}") for line in _tail(file)]
    return lines[0] if lines else "it wrote nothing"


def _tail(file: Path) -> list[str]:
    lines = [line for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1:]
