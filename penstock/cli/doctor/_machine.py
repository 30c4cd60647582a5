"""Packages, plug-ins, cores, disk, compiled kernels, devices."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from penstock.cli.doctor._files import is_world_writable
from penstock.cli.doctor._finding import Finding
from penstock.cli.doctor._limits import look_at_limits
from penstock.cli.doctor._storage import look_at_disk
from penstock.config import load_registry

__all__ = ["look_at_devices", "look_at_machine", "look_at_schedules"]

_PACKAGES = ("penstock", "numpy", "numba", "h5py", "pyarrow", "distributed", "prefect")
_SCHEDULES_NEED = (2, 1)
"""From this version of SQLAlchemy on, Prefect 3.8 starts no flow run that is due."""


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
    yield from look_at_schedules()
    yield from _plugins()
    yield Finding("cores", "ok", str(len(os.sched_getaffinity(0))))
    yield look_at_disk("disk here", Path.cwd())
    yield _jit_cache()
    yield look_at_devices(shutil.which("nvidia-smi"), has_cupy=find_spec("cupy") is not None)
    yield from look_at_limits()


def look_at_devices(tool: str | None, *, has_cupy: bool) -> Finding:
    """Whether this machine can offer the lane ``gpu``: `tool` is where the driver's program lies."""
    if tool is None:
        return Finding("gpu", "note", "none found: GPU lanes are not offered by this machine")
    if not has_cupy:
        advice = "For workers that offer the lane gpu: pip install 'penstock[gpu]' dask-cuda"
        return Finding("gpu", "note", f"{tool} is there, but CuPy is not installed: workers here refuse batches of the lane gpu", advice)
    return Finding("gpu", "ok", tool)


def look_at_schedules() -> Iterator[Finding]:
    """Whether the packages beside Prefect let its schedules fire."""
    try:
        prefect, sqlalchemy = importlib.metadata.version("prefect"), importlib.metadata.version("sqlalchemy")
    except importlib.metadata.PackageNotFoundError:
        return
    if prefect.startswith("3.8.") and _parts(sqlalchemy) >= _SCHEDULES_NEED:
        yield Finding(
            "sqlalchemy",
            "problem",
            f"{sqlalchemy} beside Prefect {prefect}: schedules never fire, and flow runs wait for ever without an error",
            "Where the server runs: pip install 'sqlalchemy<2.1', and restart it.",
        )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


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
