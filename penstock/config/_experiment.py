"""experiment.toml: the instrument, where raw data and the store lie, the pipeline, parameters, plug-ins, resources."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from penstock.config._columns import ColumnSection, RunColumn, read_columns
from penstock.config._layers import Layer, fixed_range
from penstock.config._registry import PluginSource, Registry, load_registry
from penstock.config._resources import Resources, check_lanes
from penstock.config._run_tables import read_run_table
from penstock.core.canonical import Key
from penstock.core.errors import ConfigError, nearest
from penstock.core.instrument import Instrument
from penstock.core.stage import Pipeline
from penstock.store import Store, read_index_place

__all__ = ["Experiment", "Resources", "explain_validation", "find_experiment", "load_experiment", "make_experiment", "nested"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class _Experiment(_Section):
    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Name of the experiment; stands in refs."""
    instrument: str
    """Detector set-up, see ``penstock stages ls``."""
    facility: str = ""
    """Where it was recorded."""
    raw: str
    """Folder of the raw files, relative to experiment.toml."""
    preset: str = "default"
    """Named set of parameters of the instrument."""
    pipeline: list[str] | None = None
    """Stages in order; those of the instrument without."""


class _Store(_Section):
    path: str = "store"
    """Folder of the artifacts, relative to experiment.toml, or ``s3://bucket/prefix``."""
    cache: str | None = None
    """Folder for attempts and copies of a store in a bucket, which all workers see as the same path; ``store-cache`` without."""
    options: dict[str, str] = {}
    """``endpoint_url``, ``region`` and ``addressing`` of a bucket; credentials come from the environment."""
    index: str | None = None
    """The index: the path of an SQLite file, where the store lies on a network file system; ``postgresql://user@host/database``, where several hosts write."""


class _Rows(_Section):
    range: str
    """Run range, such as ``94-110``."""
    params: dict[str, Any]
    """Parameters by family and stage for these runs."""


class _Tables(_Section):
    runs: list[str] = []
    """CSV files with values of parameters by run range, relative to experiment.toml."""


class _Plugins(_Section):
    modules: list[str] = []
    """What declares stages and instruments: ``.py`` files, or dotted names of modules that lie beside experiment.toml or are installed."""


class _Preset(_Section):
    params: dict[str, Any] = {}
    runs: list[_Rows] = []


class _File(_Preset):
    experiment: _Experiment
    store: _Store = _Store()
    assets: dict[str, str | list[str]] = {}
    tables: _Tables = _Tables()
    plugins: _Plugins = _Plugins()
    resources: Resources = Field(default_factory=Resources)
    columns: dict[str, ColumnSection] = {}


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment.toml, read and checked.

    Attributes
    ----------
    layers
        Parameter values, lowest precedence first.
    assets
        By role a file (absolute), or the key of an artifact in the store; those of a list as ``role.0``, ``role.1``.
    columns
        Further columns of the run table.
    """

    path: Path
    name: str
    facility: str
    instrument: Instrument
    raw: Path
    preset: str
    pipeline: Pipeline
    store_path: Path
    store_cache: Path | None
    store_options: Mapping[str, str]
    index_path: Path | str | None
    layers: tuple[Layer, ...]
    assets: Mapping[str, Path | Key]
    plugins: tuple[PluginSource, ...]
    resources: Resources
    registry: Registry
    columns: tuple[RunColumn, ...] = ()

    def open_store(self) -> Store:
        """The store of the experiment, made where there is none."""
        return Store(self.store_path, index=self.index_path, cache=self.store_cache, options=self.store_options)


def find_experiment(folder: Path) -> Path | None:
    """The nearest experiment.toml in `folder` or above."""
    for candidate in (folder, *folder.resolve().parents):
        if (candidate / "experiment.toml").is_file():
            return candidate / "experiment.toml"
    return None


def load_experiment(path: Path, *, preset: str | None = None) -> Experiment:
    """Read and check an experiment.toml (or the folder that holds it).

    Raises
    ------
    ConfigError
        With the file, the field and what is wrong about it.
    """
    file = path / "experiment.toml" if path.is_dir() else path
    return make_experiment(_read_toml(file), file, preset=preset)


def make_experiment(content: Mapping[str, Any], file: Path, *, preset: str | None = None) -> Experiment:
    """Check the content of an experiment.toml, which `file` names or would name: paths are relative to its folder.

    Raises
    ------
    ConfigError
        With the file, the field and what is wrong about it.
    """
    try:
        parsed = _File.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{file}: {explain_validation(error, _File)}") from error
    base = file.resolve().parent
    plugins = tuple(PluginSource.parse(text, base) for text in parsed.plugins.modules)
    registry = load_registry(plugins)
    instrument = registry.instrument(parsed.experiment.instrument)
    name = preset or parsed.experiment.preset
    pipeline = registry.pipeline(instrument, parsed.experiment.pipeline or instrument.pipeline)
    check_lanes(parsed.resources, registry.stages, str(file))
    roles = [role for roles in instrument.asset_roles.values() for role in roles]
    for role in parsed.assets:
        if role not in roles:
            raise ConfigError(
                f"{file}: [assets] {role!r} is no asset of instrument {instrument.name!r} ({', '.join(roles)}).{nearest(role, roles)}"
            )
    return Experiment(
        path=file.resolve(),
        name=parsed.experiment.name,
        facility=parsed.experiment.facility,
        instrument=instrument,
        raw=Path(os.path.normpath(base / parsed.experiment.raw)),
        preset=name,
        pipeline=pipeline,
        store_path=base / parsed.store.path,
        store_cache=base / parsed.store.cache if parsed.store.cache else None,
        store_options=parsed.store.options,
        index_path=_index_place(parsed.store.index, base, file),
        layers=(
            *_preset_layers(instrument, name),
            *_layers(parsed, file.name),
            *(layer for table in parsed.tables.runs for layer in read_run_table(base / table, table)),
        ),
        assets={role: found for name, value in parsed.assets.items() for role, found in _assets(base, name, value)},
        plugins=plugins,
        resources=parsed.resources.below(base),
        registry=registry,
        columns=read_columns(parsed.columns, pipeline, str(file)),
    )


def _index_place(text: str | None, base: Path, file: Path) -> Path | str | None:
    try:
        return read_index_place(text, base) if text else None
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error


def _assets(base: Path, role: str, value: str | list[str]) -> Iterator[tuple[str, Path | Key]]:
    """The files of a role; several go by the role and their place in the list."""
    listed = {role: value} if isinstance(value, str) else {f"{role}.{place}": text for place, text in enumerate(value)}
    for name, text in listed.items():
        yield name, Key(text.removeprefix("artifact:")) if text.startswith("artifact:") else base / text


def explain_validation(error: ValidationError, model: type[BaseModel]) -> str:
    """What pydantic found wrong, one clause a field, with the nearest known name for an unknown one."""
    clauses = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            clauses.append(f"{where!r} is not known.{nearest(str(item['loc'][-1]), _siblings(model, item['loc'][:-1]))}")
        elif item["type"] == "missing":
            clauses.append(f"{where!r} is missing.")
        else:
            clauses.append(f"{where!r}: {item['msg']}, found {item['input']!r}.")
    return " ".join(clauses)


def nested(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted paths: ``{"tpc": {"points": {"max_pulses": 5}}}`` becomes ``{"tpc.points.max_pulses": 5}``."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update(nested(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _siblings(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    current = model
    for part in path:
        if isinstance(part, int) or part not in current.model_fields:
            continue
        kind = current.model_fields[part].annotation
        inner = next((a for a in (kind, *getattr(kind, "__args__", ())) if isinstance(a, type) and issubclass(a, BaseModel)), None)
        if inner is None:
            return []
        current = inner
    return list(current.model_fields)


def _preset_layers(instrument: Instrument, name: str) -> list[Layer]:
    path = instrument.presets / f"{name}.toml"
    if not path.is_file():
        known = sorted(p.stem for p in instrument.presets.glob("*.toml"))
        raise ConfigError(f"instrument {instrument.name!r} has no preset {name!r} (it has {', '.join(known)}).{nearest(name, known)}")
    try:
        parsed = _Preset.model_validate(_read_toml(path))
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain_validation(error, _Preset)}") from error
    return _layers(parsed, f"preset {name}")


def _layers(parsed: _Preset, source: str) -> list[Layer]:
    rows = (Layer(f"{source}, runs {r.range}", nested(r.params), fixed_range(r.range, f"{source}: [[runs]]")) for r in parsed.runs)
    return [Layer(source, nested(parsed.params)), *rows]


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file. Make one with: penstock init DIR --instrument attpc --raw RAWDIR") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}.") from error
