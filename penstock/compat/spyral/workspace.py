"""The workspace that a phase sees: made for one run, filled with what earlier stages have left, and taken over afterwards.

It lies in a temporary folder and has the layout of Spyral's; files of the store are linked into it, never copied back.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from penstock.compat.spyral.plain import NotPlain, decode, encode
from penstock.compat.spyral.schema import PhaseResult
from penstock.core.errors import PenstockError
from penstock.core.schema import Records
from penstock.formats.spyral.clouds import write_clusters, write_points
from penstock.formats.spyral.layout import CLUSTERS, ESTIMATES, FITS, POINTS, run_name
from penstock.formats.spyral.tables import write_estimates, write_fits

__all__ = [
    "ARTIFACTS",
    "RESULT",
    "SETUP",
    "PhaseFailed",
    "export_records",
    "keep_result",
    "link_files",
    "payload_of",
    "temporary_workspace",
]

RESULT = "result.json"
"""Beside the files of a phase: which of them are artifacts under which names, and the metadata."""

SETUP = "setup.json"
"""Beside the assets of a phase: what its constructor was given, and the members that `create_assets` changed."""

ARTIFACTS: Mapping[str, str] = {
    "trace": "traces",
    "pointcloud": "points",
    "cluster": "clusters",
    "estimation": "estimates",
    "interp_solver": "fits",
}
"""Slot of a stage that fills each of Spyral's artifacts."""


class PhaseFailed(PenstockError, RuntimeError):
    """A phase did not do what its protocol says."""


@contextmanager
def temporary_workspace() -> Iterator[Path]:
    """An empty workspace, removed afterwards."""
    with TemporaryDirectory(prefix="penstock-workspace-") as folder:
        workspace = Path(folder).resolve()
        (workspace / "log").mkdir()
        yield workspace


def export_records(slot: str, records: Records, run: int, workspace: Path) -> Path:
    """Write the records of a run as the file of the phase that makes them in Spyral; where that file lies."""
    name = run_name(run)
    if slot == "points":
        write_points([records], path := workspace / POINTS / f"{name}.h5")
    elif slot == "clusters":
        write_clusters([records], path := workspace / CLUSTERS / f"{name}.h5")
    elif slot == "estimates":
        write_estimates([records], path := workspace / ESTIMATES / f"{name}.parquet")
    else:
        written = write_fits([records], workspace / FITS, run)
        # Spyral writes no file where no track was fitted, and names it nevertheless.
        path = written[0] if written else workspace / FITS / f"{name}.parquet"
    return path


def link_files(source: Path, workspace: Path, *, copied: bool = False) -> None:
    """Let the files below a folder of the store appear at the same places in a workspace."""
    for path in sorted(p for p in source.rglob("*") if p.is_file() and p.name not in (RESULT, SETUP)):
        target = workspace / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if copied:
            shutil.copyfile(path, target)
        else:
            target.symlink_to(path.resolve())


def payload_of(source: Path, workspace: Path, run: int, raw: Mapping[str, Path]) -> PhaseResult:
    """The result of an earlier phase, whose files are linked into `workspace`."""
    kept = json.loads((source / RESULT).read_text(encoding="utf-8"))
    artifacts = {name: raw["trace"] if where == "$trace" else workspace / where for name, where in kept["artifacts"].items()}
    return PhaseResult(artifacts, successful=True, run_number=run, metadata=decode(kept["metadata"], workspace))


def keep_result(phase: Any, result: Any, payload: PhaseResult, workspace: Path, folder: Path) -> None:
    """Copy what a phase has made of a run into `folder`: the files that its result names, and others of its own folder.

    Raises
    ------
    PhaseFailed
        It was not successful, names a file that is not there, or has metadata that cannot be kept.
    """
    where = f"phase {phase.name!r}"
    if result is None or not result.successful:
        raise PhaseFailed(f"{where}: its result is {'missing' if result is None else 'marked as not successful'}; look into its log lines.")
    given = {Path(path).absolute(): name for name, path in payload.artifacts.items()}
    artifacts: dict[str, str] = {}
    for name, found in result.artifacts.items():
        path = Path(found).absolute()
        if given.get(path) == "trace":
            artifacts[name] = "$trace"
            continue
        if not path.exists():
            raise PhaseFailed(
                f"{where}: its result names {path.name!r} as artifact {name!r}, but there is no such file. Write it in run()."
            )
        inside = path.relative_to(workspace) if path.is_relative_to(workspace) else Path(phase.name) / path.name
        artifacts[name] = inside.as_posix()
        if path not in given:
            _copy(path, folder / inside)
    own = phase.get_artifact_path(workspace)
    for path in sorted(own.rglob("*")) if own.is_dir() else ():
        if path.is_file() and not path.is_symlink() and not (folder / path.relative_to(workspace)).exists():
            _copy(path, folder / path.relative_to(workspace))
    try:
        metadata = encode(getattr(result, "metadata", {}), workspace, "metadata")
    except NotPlain as error:
        raise PhaseFailed(f"{where}: {error}, which cannot be kept for later phases. Write it to a file, and name that.") from error
    (folder / RESULT).write_text(
        json.dumps({"artifacts": artifacts, "metadata": metadata}, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)
