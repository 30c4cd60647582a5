"""The environment of a computation, as manifests record it: versions, git, host, device, numerics class."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from penstock.core.canonical import Json

__all__ = ["environment", "environment_of", "numerics_class"]

_PACKAGES = ("penstock", "numpy", "scipy", "numba", "h5py", "pyarrow", "pydantic", "dask")


@cache
def environment() -> dict[str, Json]:
    """Versions, git commit, host, image, device and numerics class of this process."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "git": _git(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "image": os.environ.get("PENSTOCK_IMAGE"),
        "device": "cpu",
        "numerics": numerics_class(),
    }


def environment_of(workers: Iterable[Mapping[str, str]]) -> dict[str, Json]:
    """That of this process, with device, numerics class and image of those workers that computed; where they differ, all of them.

    Parameters
    ----------
    workers
        What each block says of the worker that computed it.
    """
    told = list(workers)
    names = sorted({name for one in told for name in one})
    return {**environment(), **{name: " | ".join(sorted({one.get(name, "unknown") for one in told})) for name in names}}


@cache
def numerics_class(arrays: str = "numpy") -> str:
    """Within one class, one key means the same bytes: pinned versions, CPU family, array backend.

    Parameters
    ----------
    arrays
        The array backend; of CuPy with its version and the model of the device.
    """
    versions = "-".join(f"{name}{_version(name)}" for name in ("numpy", "scipy", "numba"))
    return f"{platform.machine()}-{_cpu_family()}-{versions}-{arrays}"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _cpu_family() -> str:
    wanted = {"avx2", "avx512f", "fma", "asimd", "sve"}
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return "generic"
    for line in info.read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return "+".join(sorted(wanted & set(line.split(":")[1].split()))) or "generic"
    return "generic"


def _git() -> str | None:
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
