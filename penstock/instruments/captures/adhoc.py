"""A replay of single files with a store: the experiment that it comes to, without an experiment.toml."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from penstock.config import Experiment, make_experiment
from penstock.core.errors import ConfigError
from penstock.core.selection import RunRange
from penstock.events.request import ReplayRequest
from penstock.execute import Request
from penstock.formats.captures.folders import SUFFIXES
from penstock.store import Store

__all__ = ["RUN", "STAGE", "copy_out", "replay_experiment"]

RUN = 1
"""Number of the run that the files of a replay make."""
STAGE = "events.mapreduce"


@contextmanager
def replay_experiment(request: ReplayRequest) -> Iterator[tuple[Experiment, Request]]:
    """The experiment and the request that a replay of files comes to, for as long as the context lasts.

    Raises
    ------
    ConfigError
        There are no files, one is missing or no capture by its name, or the classes cannot be found.
    """
    folder = Path(request.folder).resolve()
    if not request.files:
        raise ConfigError("a replay needs captures; name at least one file.")
    values = {name: getattr(request, name) for name in ("worker", "reducer", "nworkers", "parameters", "parameters_file", "on_error")}
    with TemporaryDirectory(prefix="penstock-replay-") as scratch:
        for path in (folder / name for name in request.files):
            suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if path.name.endswith(s)), None)
            if suffix is None or not path.is_file():
                raise ConfigError(f"{path}: {'no such file' if suffix else f'no capture by its name, which should end in {SUFFIXES[0]}'}.")
            link = Path(scratch) / f"run_{RUN:04d}.{path.name}"
            if link.exists():
                raise ConfigError(f"{path}: a second file of the name {path.name!r}.")
            link.symlink_to(path)
        content = {
            "experiment": {"name": request.name, "instrument": "captures", "raw": scratch},
            "store": {"path": str(folder / request.store)},
            "params": {"events": {"mapreduce": values}},
            "resources": {"executor": request.executor or "inline", **({"workers": request.workers} if request.workers else {})},
        }
        experiment = make_experiment(content, folder / "experiment.toml")
        yield experiment, Request(RunRange(str(RUN)), stages=(STAGE,), retry_failed=request.retry_failed)


def copy_out(store: Store, key: str, target: Path) -> list[Path]:
    """Copy the files that a reducer made out of the store; files in `target` of the same names are replaced.

    Returns
    -------
    list of Path
        The copies, in the order of their names.
    """
    source = store.data_folder(store.resolve(key))
    made = []
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.unlink(missing_ok=True)
        shutil.copyfile(path, copy)
        made.append(copy)
    return made
