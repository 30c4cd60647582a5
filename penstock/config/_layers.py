"""Layers of parameter values: what one place says, for some runs; and what a detector section says to the stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import ConfigError, nearest
from penstock.core.selection import RunRange
from penstock.core.stage import Stage

__all__ = ["DETECTOR", "Layer", "fixed_range", "spread_detector"]

DETECTOR = "detector"
"""``FAMILY.detector.PARAMETER`` stands for that parameter of all stages of the family that have it."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Parameter values from one place, for some runs: values by dotted path ``tpc.points.max_pulses``."""

    source: str
    values: Mapping[str, Any]
    runs: RunRange | None = None


def fixed_range(text: str, where: str) -> RunRange:
    """A run range that means the same whatever lies on disk; errors begin with `where`."""
    try:
        runs = RunRange(text)
    except ConfigError as error:
        raise ConfigError(f"{where} {error}") from error
    if not runs.is_fixed:
        raise ConfigError(f"{where} range {text!r} must name run numbers, such as 94-110: the runs on disk change.")
    return runs


def spread_detector(layer: Layer, stages: Iterable[Stage]) -> list[Layer]:
    """The layer without its detector values, below it a layer that gives these to each stage that has a parameter of the name.

    Parameters
    ----------
    stages
        All that are registered; only parameters on the top level count.

    Raises
    ------
    ConfigError
        No stage of the family has such a parameter.
    """
    stages = list(stages)
    names = {s.name for s in stages}
    shared: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for path, value in layer.values.items():
        family, _, rest = path.partition(".")
        section, _, name = rest.partition(".")
        if section != DETECTOR or f"{family}.{DETECTOR}" in names:
            own[path] = value
            continue
        members = [s for s in stages if s.name.startswith(f"{family}.")]
        having = [s for s in members if name in s.params.model_fields]
        if not having:
            known = sorted({f for s in members for f in s.params.model_fields})
            raise ConfigError(
                f"{layer.source}: no stage of family {family!r} has the parameter {name!r} of {path!r}.{nearest(name, known)}"
            )
        shared.update({f"{s.name}.{name}": value for s in having})
    if not shared:
        return [layer]
    return [Layer(f"{layer.source} ({DETECTOR})", shared, layer.runs), Layer(layer.source, own, layer.runs)]
