"""What a SLURM site is like, as a TOML file: partition, account, bounds, and the kinds of jobs that offer lanes.

Nothing is submitted here, and Dask is not imported.
"""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError, field_validator, model_validator

from penstock.config import explain_validation
from penstock.core.errors import ConfigError

__all__ = ["JobKind", "SlurmProfile", "load_profile", "walltime_seconds"]

_LANE = r"^[a-z][a-z0-9]*([_-][a-z0-9]+)*$"
_MEMORY = r"^[1-9][0-9]*(\.[0-9]+)? ?[KMGT]i?B$"
_WALLTIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<hours>\d{1,2}):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)")
_SHORTEST_S = 120


def walltime_seconds(text: str) -> int:
    """Seconds of a SLURM time of the form ``[D-]HH:MM:SS``."""
    found = _WALLTIME.fullmatch(text)
    if found is None:
        raise ValueError(f"walltime {text!r} is not of the form [D-]HH:MM:SS, such as 04:00:00 or 1-12:00:00")
    days, hours, minutes, seconds = (int(part or 0) for part in found.group("days", "hours", "minutes", "seconds"))
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class JobKind(_Section):
    """One kind of job: what it books, how many of it there may be, and the lanes that its workers offer."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)
    """Name of the kind; its jobs are called ``penstock-NAME``."""
    lanes: tuple[str, ...] = Field(min_length=1)
    """Lanes of its workers. A lane belongs to one kind."""
    workers: PositiveInt = Field(default=1, le=1024)
    """Worker processes of a job, one thread each. For GPUs: as many as `gpus`."""
    cores_per_worker: PositiveInt = Field(default=1, le=256)
    """Cores booked for each worker."""
    memory: str = Field(pattern=_MEMORY)
    """Memory of a job, such as ``64GB``; each worker may use its share."""
    min_jobs: NonNegativeInt = 0
    """Jobs that are kept from the first batch to the end, also when nothing waits."""
    max_jobs: PositiveInt = Field(default=1, le=10_000)
    """Most jobs of this kind at a time."""
    gpus: NonNegativeInt = Field(default=0, le=64)
    """GPUs of a job (``--gres=gpu:N``); its workers are started by ``dask cuda worker``, one process a device."""
    image: str | None = None
    """Container image, such as a ``.sif`` file that all nodes see. Without it, `python` runs on the node itself."""
    container: tuple[str, ...] = ("apptainer", "exec")
    """Command that runs a program in `image`, with its options; the image and the program follow."""
    python: str | None = None
    """Python that has penstock, as the node sees it. Without it: ``python`` of the image, or the one that runs now."""
    partition: str | None = None
    """In place of the profile's."""
    account: str | None = None
    """In place of the profile's."""
    walltime: str | None = None
    """In place of the profile's."""
    directives: tuple[str, ...] = ()
    """More ``#SBATCH`` options, such as ``--constraint=cpu``, after those of the profile."""

    @field_validator("lanes")
    @classmethod
    def _are_lanes(cls, lanes: tuple[str, ...]) -> tuple[str, ...]:
        for lane in lanes:
            if not re.match(_LANE, lane):
                raise ValueError(f"lane {lane!r} is not of the form 'tpc-fits': lower case, digits, single '-' or '_'")
        return lanes

    @field_validator("walltime")
    @classmethod
    def _is_walltime(cls, text: str | None) -> str | None:
        return text if text is None else _checked_walltime(text)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_jobs > self.max_jobs:
            raise ValueError(f"min_jobs {self.min_jobs} is above max_jobs {self.max_jobs}")
        if self.gpus and self.workers != self.gpus:
            raise ValueError(f"workers is {self.workers}, gpus {self.gpus}: there is one worker a device")
        return self

    def interpreter(self) -> str:
        """The command line that stands for Python in the job."""
        if self.image is None:
            return shlex.quote(self.python or sys.executable)
        return shlex.join([*self.container, self.image, self.python or "python"])


class SlurmProfile(_Section):
    """A SLURM site, and the jobs that compute there."""

    site: str
    """Name of the site, for messages."""
    partition: str | None = None
    """Partition (queue) of the jobs; the site's default without."""
    account: str | None = None
    """Account that is charged."""
    walltime: str = "01:00:00"
    """Time of a job, ``[D-]HH:MM:SS``. Workers leave some minutes before its end, so that no batch is cut off."""
    interface: str | None = None
    """Network device that nodes and the submitting machine share, such as ``ib0``."""
    tls: str | None = None
    """Folder that ``penstock certs`` made, on a file system that all nodes see, relative to the profile."""
    insecure: bool = False
    """Go without TLS: whoever reaches the scheduler's port can run code as you."""
    prologue: tuple[str, ...] = ()
    """Lines of the job script before the worker starts, such as ``module load apptainer``."""
    directives: tuple[str, ...] = ()
    """``#SBATCH`` options of all jobs."""
    local_folder: str | None = None
    """Scratch folder of the workers on their node; may hold variables of the job, such as ``$TMPDIR``."""
    log_folder: str = "slurm-logs"
    """Where jobs write what they say, on a file system that all nodes see, relative to the profile."""
    connect_seconds: PositiveInt = Field(default=60, le=3600)
    """A worker that finds no scheduler for so long ends, and its job with it."""
    idle_minutes: float = Field(default=5.0, gt=0, le=1440)
    """Jobs above `min_jobs` whose lanes had no batch for so long are given back."""
    poll_seconds: float = Field(default=15.0, ge=0.5, le=600)
    """Time between two looks at the queue."""
    jobs: tuple[JobKind, ...] = Field(min_length=1)
    """The kinds of jobs."""

    @field_validator("walltime")
    @classmethod
    def _is_walltime(cls, text: str) -> str:
        return _checked_walltime(text)

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        for what, names in (("lane", [lane for kind in self.jobs for lane in kind.lanes]), ("name", [kind.name for kind in self.jobs])):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ValueError(f"{what} {twice[0]!r} stands in more than one of [[jobs]]")
        if (self.tls is None) != self.insecure:
            raise ValueError("give either tls (a folder made by: penstock certs FOLDER) or insecure = true")
        return self

    def kind_of(self, lane: str) -> JobKind | None:
        """The kind whose workers offer `lane`."""
        return next((kind for kind in self.jobs if lane in kind.lanes), None)


def load_profile(path: Path) -> SlurmProfile:
    """Read a profile; its relative paths become absolute.

    Raises
    ------
    ConfigError
        With the file, the field and what is wrong about it.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"SLURM profile {path}: no such file. Begin with a copy of deploy/slurm/example.toml.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"SLURM profile {path}: not TOML: {error}.") from error
    try:
        profile = SlurmProfile.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"SLURM profile {path}: {explain_validation(error, SlurmProfile)}") from error
    base = path.resolve().parent
    places = {"log_folder": str(base / Path(profile.log_folder).expanduser())}
    if profile.tls is not None:
        places["tls"] = str(base / Path(profile.tls).expanduser())
    return profile.model_copy(update=places)


def _checked_walltime(text: str) -> str:
    if walltime_seconds(text) < _SHORTEST_S:
        raise ValueError(f"walltime {text!r} is below {_SHORTEST_S} s: a worker needs that to start and to leave")
    return text
