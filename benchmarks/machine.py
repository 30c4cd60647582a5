"""The machine that benchmarks run on: what it is, how busy it is, and the CPU time of our processes."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import psutil

__all__ = ["THREADS_OFF", "busy_cores", "cpu_seconds", "describe_machine", "tree_cpu_seconds", "wait_until_quiet"]

THREADS_OFF = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"),
    "1",
)
"""Environment in which libraries start no threads of their own."""

_PACKAGES = ("numpy", "numba", "scipy", "h5py", "pyarrow", "distributed")


def describe_machine(peer: Mapping[str, str] | None = None) -> str:
    """One line: cores, processor, load, versions; a second one with the versions of a peer."""
    ours = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    memory = psutil.virtual_memory().total / 2**30
    lines = [
        f"machine: {len(os.sched_getaffinity(0))} cores ({_processor()}), {memory:.0f} GiB, load {load}; Python {platform.python_version()}, {ours}"
    ]
    if peer:
        lines.append("peer: " + ", ".join(f"{name} {found}" for name, found in peer.items()))
    return "\n".join(lines)


def busy_cores(seconds: float) -> float:
    """Cores that are busy, with whatever, during the next `seconds`; time taken by other machines of the host included."""
    before = psutil.cpu_times()
    time.sleep(seconds)
    after = psutil.cpu_times()
    spent = sum(after) - sum(before) - (after.guest - before.guest) - (after.guest_nice - before.guest_nice)
    idle = after.idle - before.idle + after.iowait - before.iowait
    return (psutil.cpu_count() or 1) * (1.0 - idle / spent) if spent > 0 else 0.0


def wait_until_quiet(limit: float, patience_s: float, window_s: float = 5.0) -> float | None:
    """Wait until fewer than `limit` cores are busy; how many were, or None where that took too long.

    The load average of the kernel would still count the benchmark's own last minutes, so the cores are watched instead.
    """
    deadline = time.monotonic() + patience_s
    while True:
        busy = busy_cores(window_s)
        if busy < limit:
            return busy
        if time.monotonic() >= deadline:
            return None


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended, in seconds."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def tree_cpu_seconds() -> float:
    """The same, and that of its children that still live, in seconds."""
    total = cpu_seconds()
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
