"""Watching a raw folder: which runs are complete and new, each told once, also after a restart.

The folder is looked at from time to time, for network file systems tell of no changes. What was seen lies in
``watch-EXPERIMENT.json`` in the store's folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from penstock.config import Experiment
from penstock.core.canonical import Key, digest_key
from penstock.core.plan import State
from penstock.core.selection import RunRange
from penstock.execute._plan import Planner, Request
from penstock.execute._register import Registrar
from penstock.store import Store

__all__ = ["Arrival", "Glance", "RawWatch"]

FORMAT = 1

Signature = list[list[str | int]]
"""Path, size in bytes, mtime in ns and inode of each file of a run."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A run that is complete and not computed yet.

    Attributes
    ----------
    size
        Bytes of its files.
    key
        Of experiment, run and checksums: the same files have the same key, wherever and however often they are seen.
    """

    run: int
    size: int
    key: Key


@dataclass(frozen=True, slots=True)
class Glance:
    """What one look at the folder found: runs to be computed, and what is wrong that was not told before."""

    arrivals: tuple[Arrival, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Seen:
    """A run as it was last seen, since when it is so (s since 1970), whether it is dealt with, and what was told of it."""

    signature: Signature
    since: float
    dealt_with: bool = False
    told: str = ""


@dataclass(slots=True)
class _Memory:
    runs: dict[int, _Seen] = field(default_factory=dict)
    told: str = ""


class RawWatch:
    """Looks at the raw folder of an experiment.

    Parameters
    ----------
    runs
        Runs that are watched.
    stable_s
        How long size, time and inode of all files of a run must stay as they are before it is read, in seconds.
    """

    def __init__(self, experiment: Experiment, store: Store, runs: RunRange, stable_s: float) -> None:
        self._experiment = experiment
        self._store = store
        self._runs = runs
        self._stable_s = stable_s
        self._path = store.root / f"watch-{experiment.name}.json"
        self._memory = _load(self._path)

    def look(self, now: float) -> Glance:
        """Look once. An arrival is told again until it is confirmed.

        Parameters
        ----------
        now
            Seconds since 1970.
        """
        folder = self._experiment.raw
        if not folder.is_dir():
            return self._tell_folder(f"raw folder {folder} is not there. Mount it, or mend [experiment] raw.")
        registrar = Registrar(self._experiment, self._store)
        present = set(registrar.available)
        if self._memory.runs and not present:
            return self._tell_folder(
                f"raw folder {folder} holds no run, and there were {len(self._memory.runs)}. Mount it, or mend [experiment] raw."
            )
        self._memory.told = ""
        gone = {run: self._memory.runs.pop(run) for run in sorted(set(self._memory.runs) - present)}
        problems = [f"run {run}: its files have gone from {folder}" for run, seen in gone.items() if not seen.told]
        arrivals = []
        for run in self._runs.expand(sorted(present)) if present else ():
            if run in present:
                found, problem = self._look_at(run, registrar, now)
                arrivals += [found] if found else []
                problems += [problem] if problem else []
        self._save()
        return Glance(tuple(arrivals), tuple(problems))

    def confirm(self, arrival: Arrival) -> None:
        """Remember that an arrival is dealt with, so that it is not told again."""
        self._memory.runs[arrival.run].dealt_with = True
        self._save()

    def _tell_folder(self, problem: str) -> Glance:
        told, self._memory.told = self._memory.told, problem
        self._save()
        return Glance(problems=() if told == problem else (problem,))

    def _look_at(self, run: int, registrar: Registrar, now: float) -> tuple[Arrival | None, str]:
        files = registrar.files(run)
        if not self._is_whole(files):
            return None, ""
        try:
            signature = _sign(files)
        except OSError as error:
            return None, self._tell(run, [], now, f"run {run}: {error}")
        seen = self._memory.runs.get(run)
        if seen is None or seen.signature != signature or seen.since > now:
            seen = self._memory.runs[run] = _Seen(signature, now)
        if seen.dealt_with or now - seen.since < self._stable_s:
            return None, ""
        if run not in registrar.registered([run]):
            registrar.register([run], _ignore)
        subject = registrar.registered([run]).get(run)
        if subject is None or _sign(files) != signature:
            why = registrar.why_not(run)
            return None, self._tell(run, signature, now, why if why.startswith(f"run {run}") else f"run {run}: {why}")
        if not self._is_wanted(run, registrar):
            seen.dealt_with = True
            return None, ""
        key = digest_key({"experiment": self._experiment.name, "subject": subject.identity()})
        return Arrival(run, sum(int(size) for _, size, *_ in signature), key), ""

    def _is_whole(self, files: Mapping[str, Path]) -> bool:
        """Whether no role lacks its file; instruments with a finder of their own say themselves what makes a run."""
        instrument = self._experiment.instrument
        return bool(instrument.finder) or set(files) == set(instrument.files)

    def _is_wanted(self, run: int, registrar: Registrar) -> bool:
        rows = Planner(self._experiment, self._store, Request(RunRange(str(run))), registrar).plan()
        return any(row.state in (State.MISSING, State.STALE) for row in rows)

    def _tell(self, run: int, signature: Signature, now: float, problem: str) -> str:
        """The problem, unless it was told of the run before; it is looked at again, but not before it was stable once more."""
        seen = self._memory.runs.get(run)
        told = "" if seen is None else seen.told
        self._memory.runs[run] = _Seen(signature, now, told=problem)
        return "" if told == problem else problem

    def _save(self) -> None:
        content = {"format": FORMAT, "told": self._memory.told, "runs": {str(run): asdict(seen) for run, seen in self._memory.runs.items()}}
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}-{os.urandom(4).hex()}")
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(self._path)


def _sign(files: Mapping[str, Path]) -> Signature:
    stats = [(path, path.stat()) for path in files.values()]
    return [[str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino] for path, stat in stats]


def _ignore(_name: str, _done: int, _total: int) -> None:
    """Progress of checksums that nobody looks at."""


def _load(path: Path) -> _Memory:
    """What was seen; nothing where the file is not there or damaged: then all is looked at anew, and keys tell what is known."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            return _Memory()
        return _Memory({int(run): _Seen(**seen) for run, seen in content["runs"].items()}, content["told"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _Memory()
