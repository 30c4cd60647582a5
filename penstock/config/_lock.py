"""``stages.lock``: for each of our stages its version, the fingerprint of its code, and a golden output.

The file is package data. A release trusts it; in a checkout a fingerprint that is not the locked one stands in the key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from penstock.config._fingerprint import fingerprint, is_release
from penstock.core.stage import Stage, StageCode

__all__ = ["LOCK_FILE", "LockedStage", "read_lock", "stage_code", "write_lock"]

LOCK_FILE = Path(__file__).parents[1] / "stages.lock"


@dataclass(frozen=True, slots=True)
class LockedStage:
    """One entry of the lock."""

    version: int
    fingerprint: str
    golden: dict[str, dict[str, float]] = field(default_factory=dict)
    """By ``table.column``: number of rows, mean, standard deviation, least and greatest value on the golden input."""
    same_results: tuple[str, ...] = ()
    """Why the code could change without a new version."""


@cache
def read_lock(path: Path = LOCK_FILE) -> Mapping[str, LockedStage]:
    """The lock by stage name; empty where the file is absent."""
    if not path.exists():
        return {}
    content = json.loads(path.read_text())
    return {name: LockedStage(**{**entry, "same_results": tuple(entry["same_results"])}) for name, entry in content.items()}


def write_lock(entries: Mapping[str, LockedStage], path: Path = LOCK_FILE) -> None:
    """Write the lock, sorted by stage name."""
    path.write_text(json.dumps({name: asdict(entries[name]) for name in sorted(entries)}, indent=1) + "\n")
    read_lock.cache_clear()


def stage_code(stage: Stage) -> StageCode:
    """What identifies the code of `stage` in keys on this machine."""
    found = _known.get(id(stage))
    if found is None or found[0] is not stage:
        found = (stage, _identify(stage))
        _known[id(stage)] = found
    return found[1]


_known: dict[int, tuple[Stage, StageCode]] = {}


def _identify(stage: Stage) -> StageCode:
    locked = read_lock().get(stage.name)
    ours = stage.body.split(".")[0] == "penstock" and locked is not None and locked.version == stage.version
    if ours and locked is not None and is_release():
        return StageCode(stage.version, locked.fingerprint, locked=True)
    current = fingerprint(stage)
    return StageCode(stage.version, current, locked=ours and locked is not None and locked.fingerprint == current)
