"""Precedence: the parameters of a stage for a run, and where each value came from.

Lowest first: stage default, preset, its run-range row, experiment.toml, its run-range rows, its run-range tables, ``--set`` or form.
Within each of them, values of a family's detector section give way to those of a stage.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from penstock.config._experiment import Experiment, explain_validation
from penstock.config._layers import Layer, spread_detector
from penstock.config._user_code import fingerprint_modules
from penstock.core.errors import ConfigError, nearest
from penstock.core.params import Params, field_paths
from penstock.core.plan import Origins
from penstock.core.stage import Stage, load_dotted

__all__ = ["Resolver", "parse_overrides"]


def parse_overrides(items: Sequence[str]) -> dict[str, Any]:
    """``--set tpc.clusters.hdbscan.min_points=5`` as values by dotted path; a value is JSON, or else text."""
    values: dict[str, Any] = {}
    for item in items:
        path, equals, text = item.partition("=")
        if not equals:
            raise ConfigError(f"--set {item!r} is not of the form stage.parameter=value.")
        try:
            values[path.strip()] = json.loads(text)
        except json.JSONDecodeError:
            values[path.strip()] = text
    return values


@dataclass(slots=True)
class Resolver:
    """Resolves parameters of the stages of an experiment; each distinct combination is validated once."""

    experiment: Experiment
    overrides: Mapping[str, Any] = field(default_factory=dict)
    source: str = "--set"
    _cache: dict[tuple[str, tuple[int, ...]], tuple[Params, Origins]] = field(default_factory=dict)
    _layers: tuple[Layer, ...] = ()
    _always: tuple[int, ...] = ()
    _rows: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        registry = self.experiment.registry.stages
        given = (*self.experiment.layers, Layer(self.source, dict(self.overrides)))
        self._layers = tuple(part for layer in given for part in spread_detector(layer, registry.values()))
        self._always = tuple(i for i, layer in enumerate(self._layers) if layer.runs is None)
        for i, layer in enumerate(self._layers):
            for run in layer.runs.expand(()) if layer.runs else ():
                self._rows.setdefault(run, []).append(i)
        self._refuse_unknown()

    def _refuse_unknown(self) -> None:
        """Look up every parameter that is set, also of stages that are in no pipeline now; those of other stages are not loaded."""
        known = _paths(self.experiment.pipeline.stages)
        for layer in self._layers:
            for path in layer.values:
                others = (s for s in self.experiment.registry.stages.values() if path.startswith(f"{s.name}."))
                if not _is_in(path, known) and not _is_in(path, known := {**known, **_paths(others)}):
                    raise ConfigError(f"{layer.source}: parameter {path!r} is not known.{nearest(path, known)}")

    def params(self, stage: Stage, run: int) -> tuple[Params, Origins]:
        """Parameters of `stage` for `run`, and the source of each value by dotted path.

        Raises
        ------
        ConfigError
            A value is out of bounds or of the wrong kind; names the source, the parameter and the bound.
        """
        matching = tuple(sorted((*self._always, *self._rows.get(run, ()))))
        found = self._cache.get((stage.name, matching))
        if found is None:
            found = self._cache[stage.name, matching] = self._resolve(stage, [self._layers[i] for i in matching])
        return found

    def _resolve(self, stage: Stage, layers: Sequence[Layer]) -> tuple[Params, Origins]:
        values: dict[str, Any] = {}
        origins = {path: "default" for path in field_paths(stage.params) if not path.endswith("*")}
        prefix = f"{stage.name}."
        for layer in layers:
            for path, value in layer.values.items():
                if path.startswith(prefix):
                    _put(values, path.removeprefix(prefix).split("."), value)
                    origins[path.removeprefix(prefix)] = layer.source
        try:
            params = stage.params.model_validate(values)
        except ValidationError as error:
            sources = {origins.get(".".join(map(str, e["loc"])), "") for e in error.errors()} - {""} or set(origins.values()) - {"default"}
            raise ConfigError(f"{', '.join(sorted(sources))}: stage {stage.name!r}: {explain_validation(error, stage.params)}") from error
        if stage.complete:
            folder = self.experiment.path.parent
            params = load_dotted(stage.complete)(params, folder, lambda names: fingerprint_modules(names, folder))
        return params, origins


def _paths(stages: Iterable[Stage]) -> dict[str, None]:
    return dict.fromkeys(f"{s.name}.{path}" for s in stages for path in field_paths(s.params))


def _is_in(path: str, known: Collection[str]) -> bool:
    return path in known or any(one.endswith(".*") and path.startswith(one.removesuffix("*")) for one in known)


def _put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for part in path[:-1]:
        values = values.setdefault(part, {})
    values[path[-1]] = value
