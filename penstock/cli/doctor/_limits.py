"""What the system allows a process: open files, shared memory."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from penstock.cli.doctor._finding import Finding

__all__ = ["judge_open_files", "look_at_limits", "look_at_shared_memory"]

ENOUGH_OPEN_FILES = 1024
"""What most systems allow; a scheduler needs some four for each worker."""
ENOUGH_SHARED = 64e6
"""Bytes; what containers get where nobody asks for more."""


def look_at_limits() -> Iterator[Finding]:
    """Limits that end a computation midway, with errors that do not name them."""
    yield judge_open_files(*resource.getrlimit(resource.RLIMIT_NOFILE))
    yield look_at_shared_memory(Path("/dev/shm"))  # noqa: S108  looked at, nothing is written there


def judge_open_files(soft: int, hard: int) -> Finding:
    """What these limits of open files amount to."""
    if soft == resource.RLIM_INFINITY or soft >= ENOUGH_OPEN_FILES:
        return Finding("open files", "ok", "as many as wanted" if soft == resource.RLIM_INFINITY else f"{soft} a process")
    wanted = ENOUGH_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_OPEN_FILES)
    detail = f"{soft} a process: many workers or many runs end with 'Too many open files'"
    if wanted <= soft:
        return Finding(
            "open files", "problem", detail, f"Let the administrator raise it (limits.conf, LimitNOFILE) to {ENOUGH_OPEN_FILES}."
        )
    return Finding("open files", "problem", detail, f"Before the command: ulimit -n {wanted}")


def look_at_shared_memory(folder: Path) -> Finding:
    """Whether processes can share memory and locks, as Python's multiprocessing does in `folder`."""
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        detail = f"{folder} is not there or cannot be written: processes can share neither memory nor locks"
        return Finding("shared memory", "problem", detail, "Mount it: mount -t tmpfs tmpfs /dev/shm, or in a container --shm-size 1g.")
    free = shutil.disk_usage(folder).free
    if free < ENOUGH_SHARED:
        detail = f"{free / 1e6:.0f} MB free in {folder}: phases that share arrays end with a bus error"
        return Finding("shared memory", "note", detail, "Remove what lies there, or in a container give more: --shm-size 1g.")
    return Finding("shared memory", "ok", f"{free / 1e6:.0f} MB free in {folder}")
