"""Bodies of the stages that run a phase: set it up once, then run it on each run in a workspace of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import NonNegativeInt

from penstock.compat.spyral.constructor import Arguments
from penstock.compat.spyral.messages import MessageQueue
from penstock.compat.spyral.plain import NotPlain, decode, encode
from penstock.compat.spyral.schema import PhaseResult
from penstock.compat.spyral.workspace import (
    ARTIFACTS,
    SETUP,
    PhaseFailed,
    export_records,
    keep_result,
    link_files,
    payload_of,
    temporary_workspace,
)
from penstock.core.params import Params
from penstock.core.schema import Records
from penstock.core.stage import RunSource

__all__ = ["RunParams", "call_phase", "prepare_workspace", "run_phase", "set_up_phase"]


class RunParams(Params):
    """How a phase is run. What it is built from belongs to its set-up."""

    setup: ClassVar[type[Arguments]]
    """Parameters of the set-up."""
    reads: ClassVar[Mapping[str, type[Records]]]
    """Slots and their schemas, without the set-up."""
    after: ClassVar[str] = ""
    """Slot of the phase whose result is handed on; empty where stages of penstock come before."""

    seed: NonNegativeInt = 0
    """Seed of the generator that `run` is given; each run has a stream of its own."""


def set_up_phase(source: RunSource, params: Arguments, folder: Path) -> None:
    """Build a phase, let it create its assets, and keep those: files as they are, members as JSON."""
    phase = params.build()
    with temporary_workspace() as workspace:
        prepare_workspace(phase, workspace)
        before = _members(phase, workspace)
        _create_assets(phase, workspace)
        changed = {name: value for name, value in _members(phase, workspace).items() if name not in before or before[name] != value}
        for path in sorted(p for p in workspace.rglob("*") if p.is_file()):
            target = folder / path.relative_to(workspace)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
    again = any(isinstance(value, _Opaque) for value in changed.values())
    kept = {"arguments": params.model_dump(mode="json"), "members": {} if again else changed, "create_again": again}
    (folder / SETUP).write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def run_phase(source: RunSource, params: RunParams, folder: Path) -> None:
    """Run a phase on a run, and keep the files that its result names.

    Raises
    ------
    PhaseFailed
        The phase says so, or does not do what its protocol says.
    """
    home = source.inputs["setup"].path
    kept = json.loads((home / SETUP).read_text(encoding="utf-8"))
    phase = params.setup.model_validate(kept["arguments"]).build()
    with temporary_workspace() as workspace:
        prepare_workspace(phase, workspace)
        link_files(home, workspace, copied=kept["create_again"])
        if kept["create_again"]:
            _create_assets(phase, workspace)
        for name, value in kept["members"].items():
            setattr(phase, name, decode(value, workspace))
        payload = _payload(source, params, workspace)
        result = call_phase(phase, payload, workspace, params.seed)
        keep_result(phase, result, payload, workspace, folder)


def call_phase(phase: Any, payload: PhaseResult, workspace: Path, seed: int) -> Any:
    """What `run` of the phase returns, with shared memory made before and freed afterwards."""
    with _shared_data(phase, workspace):
        return phase.run(payload, workspace, MessageQueue(), np.random.default_rng([seed, payload.run_number]))


def prepare_workspace(phase: Any, workspace: Path) -> None:
    """Make the folders of a phase, as Spyral does before anything else."""
    for folder in (phase.get_artifact_path(workspace), phase.get_asset_storage_path(workspace)):
        folder.mkdir(parents=True, exist_ok=True)


def _payload(source: RunSource, params: RunParams, workspace: Path) -> PhaseResult:
    names = {slot: artifact for artifact, slot in ARTIFACTS.items()}
    raw = {"trace": next(iter(source.raw.values()))} if source.raw else {}
    artifacts: dict[str, Path] = {}
    for slot, schema in params.reads.items():
        if slot == "traces":
            artifacts |= raw
        elif slot in names:
            artifacts[names[slot]] = export_records(slot, source.inputs[slot].read(schema), source.run, workspace)
        else:
            link_files(source.inputs[slot].path, workspace)
    if params.after:
        return payload_of(source.inputs[params.after].path, workspace, source.run, raw)
    return PhaseResult(artifacts, successful=True, run_number=source.run)


def _create_assets(phase: Any, workspace: Path) -> None:
    if phase.create_assets(workspace) is False:
        raise PhaseFailed(f"phase {phase.name!r}: create_assets returned False; look into its log lines.")


class _Opaque:
    """A member that JSON does not hold; equal to itself only."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Opaque) and self._value is other._value

    __hash__ = None  # type: ignore[assignment]  # compared, never looked up


def _members(phase: Any, workspace: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in vars(phase).items():
        try:
            found[name] = encode(value, workspace, name)
        except NotPlain:
            found[name] = _Opaque(value)
    return found


@contextmanager
def _shared_data(phase: Any, workspace: Path) -> Iterator[None]:
    handles: dict[str, SharedMemory] = {}
    try:
        if hasattr(phase, "create_shared_data"):
            phase.create_shared_data(workspace, handles)
        yield
    finally:
        for handle in handles.values():
            handle.close()
            handle.unlink()
