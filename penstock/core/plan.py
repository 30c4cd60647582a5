"""Plans: what a request comes to, row by row, with a state and the reason for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from penstock.core.canonical import Json, Key
from penstock.core.params import Params
from penstock.core.stage import Stage, StageCode
from penstock.core.subject import Subject

__all__ = ["Origins", "PlanRow", "State", "differences", "first_difference"]

Origins = Mapping[str, str]
"""Where each parameter value came from, by dotted path."""


class State(StrEnum):
    """Before a run: current, stale, missing, failed. After it: computed, current, failed, skipped."""

    CURRENT = "current"
    STALE = "stale"
    MISSING = "missing"
    FAILED = "failed"
    COMPUTED = "computed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One (subject, stage) of a plan. Without a registered run there is neither subject nor key."""

    run: int
    stage: Stage
    code: StageCode
    state: State
    why: str
    params: Params
    origins: Origins
    key: Key | None = None
    subject: Subject | None = None
    recipe: Mapping[str, Json] = field(default_factory=dict)
    inputs: Mapping[str, Key] = field(default_factory=dict)
    """Key of the artifact in each slot that a stage fills, and in each asset slot that has a file."""

    def as_json(self) -> dict[str, Json]:
        """The row as ``penstock plan --json`` prints it."""
        return {"run": self.run, "stage": self.stage.name, "key": self.key, "state": str(self.state), "why": self.why}


_ORDER = ("recipe", "subject", "code", "writes", "params", "inputs")


def first_difference(old: Mapping[str, Json], new: Mapping[str, Json]) -> str:
    """The first field in which two recipes differ, with both values: ``min_points: 3 -> 5``."""
    for name in _ORDER:
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if name == "subject":
            return "raw data differ"
        if name == "code":
            return f"code: {before} -> {after}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            path, left, right = next(differences(before, after))
            return f"input {path!r} differs" if name == "inputs" else f"{path}: {_show(left)} -> {_show(right)}"
        return f"{name}: {_show(before)} -> {_show(after)}"
    return ""


def differences(old: Mapping[str, Json], new: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, Json, Json]]:
    """Every field in which two nested mappings differ: dotted path, old value, new value."""
    for name in [*new, *(n for n in old if n not in new)]:
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from differences(before, after, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", before, after


def _show(value: Json) -> str:
    return "(absent)" if value is None else str(value)
