"""Instruments: how the raw data of a detector set-up are found and read, and what its pipeline is."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from penstock.core.schema import Records

__all__ = ["Instrument", "RunReader"]


class RunReader(Protocol):
    """Reads the events of one run's files by position; opened once a worker and run."""

    @property
    def n_events(self) -> int:
        """Events in the run."""

    @property
    def bytes_per_event(self) -> int:
        """Estimated memory of one event, for the size of batches."""

    def read(self, start: int, stop: int, step: int = 1, *, tables: Sequence[str] | None = None) -> Records:
        """The events at positions ``range(start, stop, step)``, of which only `tables` are wanted, where it is given."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Instrument:
    """A detector set-up. Heavy parts are dotted names, imported where they are used.

    Attributes
    ----------
    files
        Pattern of the raw file of each role, with ``{run}`` or ``{run:04d}`` for the run number.
    reader
        ``module:callable``, given the paths of the run's files; returns a `RunReader`.
    asset_makers
        For each asset schema the ``module:function`` that makes it from a mapping of role to the user's file.
    """

    name: str
    title: str
    raw: type[Records]
    reader: str
    files: Mapping[str, str]
    pipeline: tuple[str, ...]
    presets: Path
    asset_makers: Mapping[str, str] = field(default_factory=dict)
    asset_roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each asset slot the roles of files that experiment.toml may name."""
    required: Mapping[str, str] = field(default_factory=dict)
    """Roles of files without which stages that take the asset cannot work, and what such a file is."""
    finder: str = ""
    """``module:function`` that finds the files of runs, folder -> {run: {role: path}}, where they do not lie flat."""
    event_view: str = ""
    """``module:function`` that draws one event, for ``penstock view``."""

    def find_runs(self, folder: Path) -> dict[int, dict[str, Path]]:
        """Files by run and role that lie in `folder`; no file is opened."""
        if self.finder:
            module, _, name = self.finder.partition(":")
            listed: dict[int, dict[str, Path]] = getattr(importlib.import_module(module), name)(folder)
            return listed
        found: dict[int, dict[str, Path]] = {}
        patterns = {role: _pattern(text) for role, text in self.files.items()}
        for path in _entries(folder):
            for role, pattern in patterns.items():
                if match := pattern.match(path.name):
                    run = int(match["run"])
                    files = found.setdefault(run, {})
                    if role not in files or path.name == self.file_name(role, run):
                        files[role] = path
        return {run: {role: files[role] for role in self.files if role in files} for run, files in found.items()}

    def file_name(self, role: str, run: int) -> str:
        """Name of the file of `role` of a run."""
        return self.files[role].format(run=run)


def _entries(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.iterdir())) if folder.is_dir() else iter(())


def _pattern(text: str) -> re.Pattern[str]:
    before, _, rest = text.partition("{run")
    _, _, after = rest.partition("}")
    return re.compile(re.escape(before) + r"(?P<run>\d+)" + re.escape(after) + "$")
