"""experiment.toml and its store: whether they load, what is open, passwords in plain sight."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from penstock.cli.doctor._files import look_at_certificates, writable_by_everybody
from penstock.cli.doctor._finding import Finding
from penstock.cli.doctor._storage import look_at_storage
from penstock.config import SLURM, Experiment, PluginSource, Resources, load_experiment, nested
from penstock.core.errors import ConfigError, PenstockError
from penstock.security import host_of, is_loopback

__all__ = ["look_at_executor", "look_at_experiment", "look_at_passwords", "look_at_plugin_folders", "look_at_scheduler"]

ANSWER_S = 3.0
"""How long a scheduler may take to answer, in seconds."""
DASK_PORT = 8786

_PASSWORD_IN_ADDRESS = re.compile(r"^[\w+.-]+://[^/\s@:]*:(?!\$|\d+/)[^\s@]+@")
"""A password may hold a slash that was not written as %2F; a port holds digits alone."""
_SECRET_NAMES = re.compile(r"(^|[._-])(password|passwd|token|secret|auth_string|api_key|secret_key|access_key)$", re.IGNORECASE)


def look_at_experiment(path: Path | None) -> Iterator[Finding]:
    """The experiment at `path`, its store and its plug-ins."""
    if path is None:
        yield Finding("experiment", "note", "no experiment.toml here or above")
        return
    try:
        loaded = load_experiment(path)
    except PenstockError as error:
        yield Finding("experiment", "problem", str(error))
        yield from look_at_passwords(path / "experiment.toml" if path.is_dir() else path)
        return
    yield _look_at_runs(loaded)
    try:
        with loaded.open_store() as store:
            yield Finding("store", "ok", f"{store.name}: {sum(one.count for one in store.index.totals().values())} artifacts")
            yield from look_at_storage(loaded, store)
    except PenstockError as error:
        yield Finding("store", "problem", str(error))
    for problem in loaded.registry.problems:
        yield Finding(f"plug-in {problem.source}", "problem", problem.reason)
    yield from look_at_plugin_folders(loaded.plugins)
    yield from writable_by_everybody("experiment", [loaded.path, loaded.path.parent])
    yield from writable_by_everybody("store", _places(loaded))
    yield from look_at_passwords(loaded.path)
    yield from look_at_executor(loaded.resources.executor)
    yield from look_at_scheduler(loaded.resources)
    for folder in _certificates(loaded):
        yield from look_at_certificates(folder)


def _look_at_runs(loaded: Experiment) -> Finding:
    try:
        runs = len(loaded.instrument.find_runs(loaded.raw))
    except PenstockError as error:
        return Finding("experiment", "problem", str(error))
    found = f"{loaded.path}: {loaded.instrument.name}, {runs} runs in {loaded.raw}"
    if not runs:
        return Finding("experiment", "note", found, "Correct [experiment] raw, if there should be some, or the instrument.")
    return Finding("experiment", "ok", found)


def look_at_plugin_folders(plugins: tuple[PluginSource, ...]) -> Iterator[Finding]:
    """Folders and files that experiment.toml imports from."""
    for plugin in plugins:
        if plugin.folder is not None:
            folder = Path(plugin.folder)
            yield from writable_by_everybody(
                f"plug-in {plugin.name}", [folder, folder.joinpath(*plugin.name.split(".")).with_suffix(".py")]
            )


def look_at_passwords(path: Path) -> Iterator[Finding]:
    """Passwords that stand in experiment.toml, which is shared and lands in version control; they are not repeated."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Whoever loaded the experiment has said so.
        return
    for name in _passwords(content):
        yield Finding(
            "password",
            "problem",
            f"{path}: {name!r} holds a password",
            "Take it out and change it; give it by environment or by a file that only you read (~/.pgpass for PostgreSQL).",
        )


def look_at_executor(executor: str) -> Iterator[Finding]:
    """Whether batches go to other machines in the clear."""
    host = host_of(executor)
    if executor.startswith("tcp://") and host and not is_loopback(host):
        yield Finding(
            "executor",
            "problem",
            f"{executor} is neither encrypted nor guarded: whoever reaches that scheduler runs code as its user",
            "Make certificates (penstock certs FOLDER), start Dask with them, and name tls:// instead.",
        )
    else:
        yield Finding("executor", "ok", executor)


def look_at_scheduler(resources: Resources) -> Iterator[Finding]:
    """Whether somebody answers where batches are sent, and whether there are certificates to show."""
    executor = resources.executor
    if executor.startswith(SLURM) and shutil.which("sbatch") is None:
        yield Finding("scheduler", "problem", f"{executor}: this machine has no sbatch", "Call penstock on a login node of the cluster.")
    if not executor.startswith(("tcp://", "tls://")):
        return
    from penstock.execute._security import security_of

    try:
        security_of(executor, Path(resources.tls) if resources.tls else None)
        parts = urlsplit(executor)
        with socket.create_connection((parts.hostname or "", parts.port or DASK_PORT), timeout=ANSWER_S):
            yield Finding("scheduler", "ok", f"{executor} takes connections")
    except (ConfigError, ValueError) as error:
        yield Finding("scheduler", "problem", str(error))
    except OSError as error:
        advice = "Start one with: dask scheduler, or correct [resources] executor or PENSTOCK_EXECUTOR."
        yield Finding("scheduler", "problem", f"{executor}: nobody answers there ({error})", advice)


def _passwords(content: Mapping[str, Any]) -> Iterator[str]:
    for name, value in nested(content).items():
        for text in value if isinstance(value, list) else [value]:
            named = _SECRET_NAMES.search(name) and isinstance(text, str) and text
            if isinstance(text, str) and (named or _PASSWORD_IN_ADDRESS.match(text)):
                yield name


def _places(loaded: Experiment) -> Iterator[Path]:
    """Folders and files of the store that lie on a disk here; an object store guards itself."""
    root = loaded.store_path
    for path in (root, root / "objects", root / "refs", root / "attempts", root / "index.sqlite", loaded.index_path):
        if isinstance(path, Path) and path.exists():
            yield path


def _certificates(loaded: Experiment) -> Iterator[Path]:
    """Folders of certificates that experiment.toml or Dask's configuration names."""
    named = getattr(loaded.resources, "tls", None)
    found = [loaded.path.parent / named] if named else []
    configured = os.environ.get("DASK_CONFIG")
    if configured and (Path(configured).parent / "node.pem").is_file():
        found.append(Path(configured).parent)
    yield from dict.fromkeys(found)
