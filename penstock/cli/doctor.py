"""``penstock doctor``: what is missing or doubtful on this machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from penstock.cli._options import json_option, load_runner, open_experiment_store, print_json
from penstock.config import find_experiment, load_experiment, load_registry
from penstock.core.errors import PenstockError

__all__ = ["doctor"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``ok``, ``note`` or ``problem``."""

    what: str
    state: str
    detail: str


@click.command(epilog="Example: penstock doctor --json")
@click.argument("experiment", type=click.Path(path_type=Path), required=False)
@json_option
def doctor(experiment: Path | None, as_json: bool) -> None:
    """Look at packages, plug-ins, caches, the store, the Prefect API and devices; exit code 1 where there is a problem."""
    findings = [
        *_packages(),
        *_plugins(),
        *_machine(),
        *_jit_cache(),
        *_experiment(experiment or find_experiment(Path.cwd())),
        *_prefect(),
        *_gpu(),
    ]
    if as_json:
        print_json([{"what": f.what, "state": f.state, "detail": f.detail} for f in findings])
    else:
        for finding in findings:
            click.echo(f"{finding.state:<8} {finding.what}: {finding.detail}")
    if any(f.state == "problem" for f in findings):
        sys.exit(1)


def _packages() -> Iterator[Finding]:
    yield Finding("python", "ok" if sys.version_info >= (3, 11) else "problem", platform.python_version())
    for name in ("penstock", "numpy", "numba", "h5py", "pyarrow", "distributed", "prefect"):
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "problem", "is not installed. Install penstock with: pip install -c constraints.txt penstock")


def _plugins() -> Iterator[Finding]:
    registry = load_registry()
    yield Finding("stages", "ok", ", ".join(registry.stages))
    for problem in registry.problems:
        yield Finding(f"plug-in {problem.source}", "problem", problem.reason)


def _machine() -> Iterator[Finding]:
    yield Finding("cores", "ok", str(len(os.sched_getaffinity(0))))
    disk = shutil.disk_usage(Path.cwd())
    yield Finding("disk here", "ok" if disk.free > 2e9 else "problem", f"{disk.free / 1e9:.0f} GB free")


def _jit_cache() -> Iterator[Finding]:
    from penstock.kernels import jit_cache_dir

    folder = jit_cache_dir()
    yield Finding(
        "compiled kernels",
        "ok" if folder else "note",
        str(folder) if folder else "no writable place: kernels are compiled in every process",
    )


def _experiment(path: Path | None) -> Iterator[Finding]:
    if path is None:
        yield Finding("experiment", "note", "no experiment.toml here or above")
        return
    try:
        loaded = load_experiment(path)
        with open_experiment_store(loaded) as store:
            yield Finding(
                "experiment",
                "ok",
                f"{loaded.path}: {loaded.instrument.name}, {len(loaded.instrument.find_runs(loaded.raw))} runs in {loaded.raw}",
            )
            yield Finding("store", "ok", f"{store.root}: {len(store.index.artifacts())} artifacts")
            for problem in loaded.registry.problems:
                yield Finding(f"plug-in {problem.source}", "problem", problem.reason)
    except PenstockError as error:
        yield Finding("experiment", "problem", str(error))


def _prefect() -> Iterator[Finding]:
    runner = load_runner("prefect")
    url = runner.api_url() if runner is not None else None
    if runner is None or url is None:
        yield Finding("prefect API", "note", "none is configured (PREFECT_API_URL): penstock run computes without Prefect")
    elif runner.api_is_reachable():
        yield Finding("prefect API", "ok", url)
    else:
        yield Finding("prefect API", "problem", f"{url} does not answer. Start it with: prefect server start")


def _gpu() -> Iterator[Finding]:
    tool = shutil.which("nvidia-smi")
    yield Finding("gpu", "ok" if tool else "note", tool or "none found: GPU lanes are not offered by this machine")
