"""Registering runs: the checksums of their files, once; kept in the index beside size, mtime and inode."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from penstock.config import Experiment
from penstock.core.errors import BadRun, RunMissing
from penstock.core.subject import RawFile, Run
from penstock.store import Store

__all__ = ["Registrar"]

_CHUNK = 8 << 20


class Registrar:
    """Knows which runs lie on disk and which of them are registered; one look at the folder and one at the index."""

    def __init__(self, experiment: Experiment, store: Store) -> None:
        self._experiment = experiment
        self._store = store
        self._found = experiment.instrument.find_runs(experiment.raw)
        self._problems: dict[int, str] = {}

    @property
    def available(self) -> list[int]:
        """Runs on disk, ascending."""
        return sorted(self._found)

    def has(self, run: int) -> bool:
        """Whether the run lies on disk."""
        return run in self._found

    def missing_message(self, run: int) -> str:
        """What to tell about a run that is not there."""
        instrument = self._experiment.instrument
        names = ", ".join(instrument.file_name(role, run) for role in instrument.files)
        return f"run {run}: no file {names} in {self._experiment.raw}. Check the run range or [experiment] raw in {self._experiment.path.name}."

    def why_not(self, run: int) -> str:
        """Why the run is not registered."""
        return self._problems.get(run) or ("not registered" if self.has(run) else self.missing_message(run))

    def files(self, run: int) -> Mapping[str, Path]:
        """File by role of a run.

        Raises
        ------
        RunMissing
            No file of the run lies in the raw folder.
        """
        try:
            return self._found[run]
        except KeyError:
            raise RunMissing(self.missing_message(run)) from None

    def registered(self, runs: Iterable[int]) -> dict[int, Run]:
        """Those of `runs` that are registered and unchanged since; files are stat'ed, not read."""
        present = [r for r in runs if r in self._found]
        known = self._store.index.raw_files([str(p) for r in present for p in self._found[r].values()])
        registered = {}
        for run in present:
            files = []
            for role, path in self._found[run].items():
                entry = known.get(str(path))
                try:
                    stat = path.stat()
                except OSError as error:
                    self._problems[run] = f"run {run}: {error}"
                    break
                if entry is None or entry[:3] != (stat.st_size, stat.st_mtime_ns, stat.st_ino):
                    break
                files.append(RawFile(role, stat.st_size, entry[3]))
            else:
                registered[run] = self._run(run, files)
        return registered

    def register(self, runs: Iterable[int], report: Callable[[str, int, int], None]) -> None:
        """Hash the files of `runs` in parallel and keep their checksums; `why_not` tells of a file that cannot be read.

        Parameters
        ----------
        report
            Called from several threads with run and number of files in words, bytes done and bytes in all of a run.
        """
        with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1), thread_name_prefix="penstock-hash") as pool:
            hashed = []
            for run in runs:
                paths = list(self._found[run].values())
                try:
                    tally = _Tally(run, paths, report)
                except OSError as error:
                    self._problems[run] = f"run {run}: {error}"
                    continue
                hashed += [(run, path, pool.submit(_hash, path, tally.add)) for path in paths]
            for run, path, future in hashed:
                try:
                    digest, stat = future.result()
                except (OSError, BadRun) as error:
                    self._problems[run] = f"run {run}: {error}"
                    continue
                self._store.index.put_raw_file(str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino, digest)

    def _run(self, run: int, files: list[RawFile]) -> Run:
        experiment = self._experiment
        return Run(experiment.instrument.name, run, tuple(files), tuple(self._found[run].values()), experiment.facility, experiment.name)


class _Tally:
    """Bytes of the files of one run that were hashed, summed over the threads that do it."""

    def __init__(self, run: int, paths: Sequence[Path], report: Callable[[str, int, int], None]) -> None:
        self._name = f"run {run}, {len(paths)} file{'' if len(paths) == 1 else 's'}"
        self._total = sum(path.stat().st_size for path in paths)
        self._done = 0
        self._lock = threading.Lock()
        self._report = report

    def add(self, n_bytes: int) -> None:
        """Count further bytes and tell."""
        with self._lock:
            self._done += n_bytes
            self._report(self._name, self._done, self._total)


def _hash(path: Path, add: Callable[[int], None]) -> tuple[str, os.stat_result]:
    before = path.stat()
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            add(len(chunk))
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise BadRun(f"{path}: the file changed while it was read. Wait until it is complete and run the same command again.")
    return digest.hexdigest(), after
