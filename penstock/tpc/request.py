"""The typed request of the TPC family: what a person asks for in the Prefect form, on the API or in a script.

Light. Every field has a default but the experiment; the form takes its titles, units and bounds from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, create_model, field_validator
from pydantic.fields import FieldInfo
from pydantic.json_schema import SkipJsonSchema

from penstock.core.canonical import Json, Key, digest_key
from penstock.core.params import Params
from penstock.core.selection import RUN_RANGE_PATTERN, EventSelection, RunRange
from penstock.tpc.params import (
    BaselineParams,
    ClusterParams,
    EstimateParams,
    FitParams,
    KinematicsParams,
    MergeParams,
    MeshParams,
    PointParams,
    ReadoutParams,
    ScalerParams,
)

__all__ = ["ProcessRequest", "TpcOverrides", "overrides_model"]

_UNITS = {
    "_adc": "ADC",
    "_samples": "samples",
    "_time_bucket": "time buckets",
    "_mm": "mm",
    "_mm_per_sqrt_m": "mm/√m",
    "_field_t": "T",
    "_torr": "Torr",
    "_mev": "MeV",
    "_ev": "eV",
    "_deg": "deg",
    "temperature_k": "K",
    "_v_per_m": "V/m",
    "_ug_per_cm2": "µg/cm²",
    "_buckets": "time buckets",
}
_LEFT_OUT: Any = SkipJsonSchema[None]  # type: ignore[misc]  # for mypy it is an alias
"""None, which a field may hold and the form need not show."""
_BOUNDS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}


def overrides_model(params: type[BaseModel], name: str) -> type[BaseModel]:
    """A model with the fields, bounds and docstrings of `params` in which every field may be left out.

    Descriptions name bounds and default too, because the form shows nothing but the description.
    """
    fields: dict[str, Any] = {}
    for field_name, info in params.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Params):
            inner = overrides_model(kind, f"{name}{kind.__name__.removesuffix('Params')}")
            fields[field_name] = (inner, Field(default_factory=inner, title=field_name, description=_plain(info.description)))
            continue
        bounded: Any = Annotated[(kind, *info.metadata)] if info.metadata else kind
        fields[field_name] = (
            bounded | _LEFT_OUT,
            Field(default=None, title=_title(field_name), description=_describe(info), json_schema_extra=_for_the_form),
        )
    model: type[BaseModel] = create_model(
        name, __config__=ConfigDict(extra="forbid", frozen=True), __doc__=_plain(params.__doc__), **fields
    )
    return model


def _without_default(schema: dict[str, Any]) -> None:
    """A field left out means that lower layers decide; the form must not show it as null."""
    schema.pop("default", None)


def _for_the_form(schema: dict[str, Any]) -> None:
    """Let the form leave a switch alone: it sends false for each boolean that nobody touched, but nothing for a choice."""
    _without_default(schema)
    if schema.get("type") == "boolean":
        del schema["type"]
        schema["anyOf"] = [{"type": "string", "enum": ["yes", "no"], "title": "choice"}, {"type": "boolean", "title": "boolean"}]


def _title(name: str) -> str:
    unit = next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), None)
    return f"{name} [{unit}]" if unit else name


def _describe(info: FieldInfo) -> str:
    bounds = [f"{word} {getattr(m, op):g}" for m in info.metadata for op, word in _BOUNDS.items() if getattr(m, op, None) is not None]
    default = {True: "yes", False: "no"}[info.default] if isinstance(info.default, bool) else info.default
    words = ", ".join(default) if isinstance(default, tuple) else default
    notes = "; ".join([*bounds, f"default {words}"])
    return f"{_plain(info.description)} ({notes})"


def _plain(text: str | None) -> str:
    """A docstring without the marks of code, which the form would show."""
    return (text or "").replace("`", "")


_STAGES: dict[str, type[Params]] = {
    "readout": ReadoutParams,
    "scalers": ScalerParams,
    "merge": MergeParams,
    "baselines": BaselineParams,
    "points": PointParams,
    "clusters": ClusterParams,
    "estimates": EstimateParams,
    "mesh": MeshParams,
    "fits": FitParams,
    "kinematics": KinematicsParams,
}
"""Stages whose parameters stand in the form; those of others go by path."""


if TYPE_CHECKING:
    TpcOverrides: TypeAlias = BaseModel
else:
    TpcOverrides = create_model(
        "TpcOverrides",
        __config__=ConfigDict(extra="forbid", frozen=True),
        __doc__="Parameters of the TPC stages that win over preset and experiment.toml.",
        **{
            stage: (
                model if params.model_fields else SkipJsonSchema[model],
                Field(default_factory=model, title=f"tpc.{stage}", description=_plain(params.__doc__)),
            )
            for stage, params in _STAGES.items()
            for model in [overrides_model(params, f"{stage.capitalize()}Overrides")]
        },
    )


class ProcessRequest(BaseModel):
    """Which runs of an experiment to bring up to date, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    experiment: str = Field(min_length=1, title="Experiment")
    """Path of experiment.toml, or of the folder that holds it, where the flow runs. Absolute for a worker."""

    runs: str = Field(default="all", title="Runs", json_schema_extra={"pattern": RUN_RANGE_PATTERN})
    """Run range: 94-110,115,!100 or last:50 or all."""

    events: str | SkipJsonSchema[None] = Field(default=None, title="Events", json_schema_extra=_without_default)
    """Some events only, for a trial: 0:500, first:100 or every:10. All events if left out."""

    preset: str | SkipJsonSchema[None] = Field(default=None, title="Preset", json_schema_extra=_without_default)
    """Named set of parameters of the instrument. The one of experiment.toml if left out."""

    stages: list[str] = Field(default=[], title="Stages")
    """Stages wanted, with all that they need: tpc.points, tpc.clusters, tpc.estimates, tpc.fits. The whole pipeline if empty."""

    overrides: TpcOverrides = Field(default_factory=TpcOverrides, title="Parameters of the TPC stages")
    """Values set here win over preset and experiment.toml."""

    other_overrides: dict[str, Any] = Field(default={}, title="Parameters by path")
    """By dotted path, such as those of plug-in stages: {"mygroup.filter.threshold": 3}."""

    retry_failed: bool = Field(default=False, title="Retry failed")
    """Compute again what failed on its content."""

    executor: Annotated[str, Field(pattern=r"^(inline|local|(tcp|tls)://.+|slurm:.+)$")] | SkipJsonSchema[None] = Field(
        default=None, title="Executor", json_schema_extra=_without_default
    )
    """Where batches are computed: inline, local, tcp://host:port or tls://host:port of a Dask scheduler, or slurm:PROFILE.toml. Changes no result."""

    workers: PositiveInt | SkipJsonSchema[None] = Field(default=None, title="Workers", json_schema_extra=_without_default)
    """Worker processes of the local executor; all cores if left out. Changes no result."""

    cpu_fallback: bool = Field(default=False, title="CPU fallback")
    """Run stages of the GPU lane on CPUs where no worker has a GPU, as the manifest then says; otherwise that is an error."""

    @field_validator("runs")
    @classmethod
    def _is_run_range(cls, text: str) -> str:
        RunRange(text)
        return text

    @field_validator("events")
    @classmethod
    def _is_event_selection(cls, text: str | None) -> str | None:
        if text is not None:
            EventSelection.parse(text)
        return text

    @property
    def selection(self) -> EventSelection:
        """The events asked for."""
        return EventSelection() if self.events is None else EventSelection.parse(self.events)

    def values(self) -> dict[str, Any]:
        """All overrides by dotted path, as `execute` takes them."""
        chosen = self.overrides.model_dump(exclude_none=True)
        return {**_dotted(chosen, "tpc."), **self.other_overrides}

    def key(self, preset: str) -> Key:
        """What tells two requests of one experiment apart; runtime settings do not.

        Parameters
        ----------
        preset
            The preset in force.
        """
        wanted: dict[str, Json] = {
            "runs": self.runs.replace(" ", ""),
            "events": str(self.selection),
            "preset": preset,
            "stages": sorted(self.stages),
            "overrides": self.values(),
        }
        return digest_key(wanted)


def _dotted(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat.update(_dotted(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value})
    return flat
