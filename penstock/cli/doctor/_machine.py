"""Packages, plug-ins, cores, disk, compiled kernels, devices."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

from penstock.cli.doctor._files import is_world_writable
from penstock.cli.doctor._finding import Finding
from penstock.config import load_registry

__all__ = ["look_at_machine"]

_PACKAGES = ("penstock", "numpy", "numba", "h5py", "pyarrow", "distributed", "prefect")
_ENOUGH_DISK = 2e9
"""Bytes."""


def look_at_machine() -> Iterator[Finding]:
    """What does not depend on an experiment."""
    yield Finding("python", "ok" if sys.version_info >= (3, 11) else "problem", platform.python_version())
    for name in _PACKAGES:
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            # Images of workers do without Prefect.
            if name == "prefect":
                yield Finding(name, "note", "is not installed", "Where flows run: pip install 'penstock[flows]'")
            else:
                yield Finding(name, "problem", "is not installed", "pip install 'penstock[all]'")
    yield from _plugins()
    yield Finding("cores", "ok", str(len(os.sched_getaffinity(0))))
    disk = shutil.disk_usage(Path.cwd())
    yield Finding("disk here", "ok" if disk.free > _ENOUGH_DISK else "problem", f"{disk.free / 1e9:.0f} GB free")
    yield _jit_cache()
    tool = shutil.which("nvidia-smi")
    yield Finding("gpu", "ok" if tool else "note", tool or "none found: GPU lanes are not offered by this machine")


def _plugins() -> Iterator[Finding]:
    registry = load_registry()
    yield Finding("stages", "ok", ", ".join(registry.stages))
    for problem in registry.problems:
        yield Finding(f"plug-in {problem.source}", "problem", problem.reason)
    points = {p.module: p.value for group in ("stages", "instruments", "commands") for p in entry_points(group=f"penstock.{group}")}
    for module, value in points.items():
        path = getattr(sys.modules.get(module), "__file__", None)
        if path is not None and (is_world_writable(Path(path)) or is_world_writable(Path(path).parent)):
            yield Finding(
                f"plug-in {value}",
                "problem",
                f"{Path(path).parent} can be written by everybody, whose code then runs as you",
                f"Take that right away: chmod -R o-w {Path(path).parent}",
            )


def _jit_cache() -> Finding:
    from penstock.kernels import jit_cache_dir

    folder = jit_cache_dir()
    if folder is None:
        return Finding("compiled kernels", "note", "no writable place: kernels are compiled in every process")
    if is_world_writable(folder):
        return Finding(
            "compiled kernels", "problem", f"{folder} can be written by everybody, whose code then runs as you", f"chmod -R o-w {folder}"
        )
    return Finding("compiled kernels", "ok", str(folder))
