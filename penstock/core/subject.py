"""Subjects: what a result is about, and the runs among them.

A run enters a key as its instrument, number and manifest (sorted role, size, checksum): no path, no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from penstock.core.canonical import Json
from penstock.core.selection import EventSelection

__all__ = ["NoSubject", "RawFile", "Run", "RunSetSubject", "RunSubject", "Subject"]


@dataclass(frozen=True, slots=True, order=True)
class RawFile:
    """One file of a run as its manifest lists it: role, size in bytes, SHA-256."""

    role: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Run:
    """One registered recording. `paths` are where the files lie today, in the order of `files`; not identity."""

    instrument: str
    number: int
    files: tuple[RawFile, ...]
    paths: tuple[Path, ...]
    facility: str = ""
    experiment: str = ""

    def identity(self) -> Json:
        """The run as it enters a key."""
        return {
            "instrument": self.instrument,
            "run": self.number,
            "files": [[f.role, f.size, f.sha256] for f in sorted(self.files)],
        }


@dataclass(frozen=True, slots=True)
class RunSubject:
    """All or some events of one run."""

    run: Run
    events: EventSelection = EventSelection()

    def identity(self) -> Json:
        """The subject as it enters a key; a selection stands in it, so that a trial never poses as a run."""
        whole = self.run.identity()
        return whole if self.events.is_everything else {"of": whole, "events": str(self.events)}

    @property
    def label(self) -> str:
        """``run-0094``, the name in refs; with a selection ``run-0094.events-0-500-1``."""
        name = f"run-{self.run.number:04d}"
        return name if self.events.is_everything else f"{name}.events-{str(self.events).replace(':', '-')}"


@dataclass(frozen=True, slots=True)
class RunSetSubject:
    """Several results taken together, such as a calibration from many runs."""

    members: tuple[str, ...]
    name: str

    def identity(self) -> Json:
        """The sorted keys of the members."""
        return {"set": list[Json](sorted(self.members))}

    @property
    def label(self) -> str:
        """The name in refs."""
        return f"set-{self.name}"


@dataclass(frozen=True, slots=True)
class NoSubject:
    """Nothing: results that depend on parameters alone, such as a track mesh."""

    def identity(self) -> Json:
        """Always null."""
        return None

    @property
    def label(self) -> str:
        """The name in refs."""
        return "none"


Subject: TypeAlias = RunSubject | RunSetSubject | NoSubject
