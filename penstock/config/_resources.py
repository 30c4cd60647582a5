"""Resources of a computation: where batches run, on which lanes, how many at once. None of it changes a result."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator

from penstock.core.errors import ConfigError, nearest
from penstock.core.stage import Stage

__all__ = ["GPU_LANE", "SLURM", "Resources", "check_lanes"]

GPU_LANE = "gpu"
"""The lane of stages that compute on a device through the array namespace ``xp``."""

SLURM = "slurm:"
"""What an executor begins with that computes in SLURM jobs; the path of a profile follows."""

_LANE = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
"""What Dask takes as a resource and what survives as the name of an environment variable in capitals."""


def _environment_executor() -> str:
    return os.environ.get("PENSTOCK_EXECUTOR") or "local"


def _environment_tls() -> str | None:
    folder = os.environ.get("PENSTOCK_TLS")
    return str(Path(folder).absolute()) if folder else None


class Resources(BaseModel):
    """How stages are computed. None of it changes a result."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    executor: str = Field(default_factory=_environment_executor)
    """``inline``, ``local`` (Dask workers in processes of this machine), ``tcp://host:port`` or ``tls://host:port`` of a Dask
    scheduler, or ``slurm:PROFILE.toml``. Without it the environment variable PENSTOCK_EXECUTOR decides."""
    workers: PositiveInt | None = None
    """Worker processes of ``local``; all cores without."""
    memory: str = "auto"
    """Memory limit of a worker of ``local``, such as ``4GB``."""
    batch_seconds: float = Field(default=2.0, gt=0)
    """Wanted time of one batch."""
    batch_blocks: PositiveInt | None = None
    """Blocks of one batch; by time and memory without."""
    lanes: dict[str, str] = {}
    """Lane by stage, for stages that run elsewhere than the others of their family: ``"tpc.fits" = "tpc-fits"``."""
    cpu_fallback: bool = False
    """Run stages of the lane ``gpu`` on the CPU lane of their family where no worker offers ``gpu``; else that is an error."""
    tls: str | None = Field(default_factory=_environment_tls)
    """Folder that ``penstock certs`` made, relative to experiment.toml, for ``tls://``. Without it PENSTOCK_TLS, else Dask's own
    configuration, decides."""

    @field_validator("lanes", mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        """TOML reads a stage without quotes, ``tpc.fits = "x"``, as a table in a table."""
        return dict(_flatten(value, "")) if isinstance(value, Mapping) else value

    @field_validator("lanes")
    @classmethod
    def _are_lanes(cls, lanes: dict[str, str]) -> dict[str, str]:
        for stage, lane in lanes.items():
            if not _LANE.fullmatch(lane):
                raise ValueError(f"lane {lane!r} of stage {stage!r} is not of the form 'tpc-fits': lower case, digits, single '-' or '_'")
        return lanes

    def lane(self, stage: Stage) -> str:
        """The lane that `stage` runs on: its own, or the one that `lanes` gives it."""
        return self.lanes.get(stage.name, stage.lane)

    def below(self, folder: Path) -> Resources:
        """The same, with the paths that experiment.toml names relative to its folder made absolute."""
        changed = {} if self.tls is None else {"tls": str(folder / self.tls)}
        if "executor" in self.model_fields_set and self.executor.startswith(SLURM):
            changed["executor"] = f"{SLURM}{folder / self.executor.removeprefix(SLURM)}"
        return self.model_copy(update=changed)


def _flatten(value: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flatten(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner


def check_lanes(resources: Resources, stages: Mapping[str, Stage], where: str) -> None:
    """Compare the lanes given by stage with the stages that there are.

    Raises
    ------
    ConfigError
        A stage is not known, or a stage that computes on CPUs alone is given the lane of devices.
    """
    for name, lane in resources.lanes.items():
        if name not in stages:
            raise ConfigError(f"{where}: [resources.lanes] {name!r} is no stage ({', '.join(sorted(stages))}).{nearest(name, stages)}")
        if lane == GPU_LANE != stages[name].lane:
            raise ConfigError(
                f"{where}: [resources.lanes] stage {name!r} computes on CPUs, its lane cannot be {GPU_LANE!r}. Give it another name, such as "
                f"{name.replace('.', '-')!r}."
            )
