"""One event, led through the stages once more in memory: to see what an artifact does not keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from penstock.config import Experiment
from penstock.core.errors import ConfigError
from penstock.core.plan import PlanRow, State
from penstock.core.schema import EVENTS, Records
from penstock.core.selection import RunRange
from penstock.core.stage import load_dotted
from penstock.execute import Planner, Registrar, Request, asset_files
from penstock.store import Store

__all__ = ["EventChain", "recompute_event"]

R = TypeVar("R", bound=Records)


@dataclass(slots=True)
class EventChain:
    """One event through the stages of a pipeline.

    Attributes
    ----------
    raw
        The event as recorded; None where no stage reads raw data.
    rows
        Stage and parameters of each step, in the order of computing.
    records
        Results by stage: one event, or the whole of a stage without subject.
    problems
        Stages that could not be computed, and why.
    """

    run: int
    event: int
    rows: Mapping[str, PlanRow]
    raw: Records | None = None
    records: dict[str, Records] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def step(self, schema: type[R]) -> tuple[PlanRow, R] | None:
        """The last stage that writes a schema, and what it gave; None where there is none or it could not be computed."""
        for name, row in reversed(list(self.rows.items())):
            if row.stage.writes.schema_id() == schema.schema_id() and name in self.records:
                return row, cast("R", self.records[name])
        return None


def recompute_event(experiment: Experiment, store: Store, run: int, event: int, overrides: Mapping[str, Any] | None = None) -> EventChain:
    """Compute every stage of one event with the parameters of today; nothing is stored.

    Stages that belong to no single event (a mesh, a merged run) are taken from the store, where they are current.

    Parameters
    ----------
    event
        Event number, as the run has it.
    overrides
        Parameters by dotted path, as for a request.

    Raises
    ------
    ConfigError
        The run has no such event.
    RunMissing, BadRun
        There is no such run, or it cannot be read.
    """
    registrar = Registrar(experiment, store)
    files = registrar.files(run)
    rows = Planner(experiment, store, Request(RunRange(str(run)), overrides=overrides or {}), registrar).plan()
    chain = EventChain(run, event, {row.stage.name: row for row in rows})
    for name, row in chain.rows.items():
        if row.stage.subject == "none" or row.stage.unit == "run":
            _take(chain, row, experiment, store)
            continue
        inputs: dict[str, Records] = {}
        for slot, source in experiment.pipeline.bindings[name].items():
            if source is None:
                if chain.raw is None:
                    chain.raw = _read_raw(experiment, tuple(files.values()), run, event)
                inputs[slot] = chain.raw
            elif source in chain.records:
                inputs[slot] = chain.records[source]
            else:
                chain.problems[name] = chain.problems.get(source, f"{source} gave nothing")
        if name not in chain.problems:
            chain.records[name] = _compute(row, inputs, experiment, store)
    return chain


def _take(chain: EventChain, row: PlanRow, experiment: Experiment, store: Store) -> None:
    """The result of a stage that works on more than an event, from the store."""
    name = row.stage.name
    if row.state is not State.CURRENT or row.key is None:
        chain.problems[name] = (
            f"{name} is {row.state} ({row.why}). Compute it with: penstock run {experiment.path} --runs {chain.run} --stages {name}"
        )
        return
    if row.stage.writes.storage == "files" or not any(
        row.stage.writes.schema_id() == schema.schema_id() for other in chain.rows.values() for schema in other.stage.reads.values()
    ):
        return
    manifest = store.manifest(row.key)
    if row.stage.subject == "none":
        chain.records[name] = store.read(manifest, row.stage.writes)
        return
    numbers = store.read(manifest, row.stage.writes, tables=())[EVENTS]["event"]
    position = _position(numbers, chain.run, chain.event)
    chain.records[name] = store.read(manifest, row.stage.writes, position, position + 1)


def _read_raw(experiment: Experiment, files: tuple[Any, ...], run: int, event: int) -> Records:
    with load_dotted(experiment.instrument.reader)(*files) as reader:
        position = _position(reader.events, run, event)
        records: Records = reader.read(position, position + 1)
        return records


def _compute(row: PlanRow, inputs: Mapping[str, Records], experiment: Experiment, store: Store) -> Records:
    from penstock.execute import apply_stage, load_assets

    stage = row.stage
    files = {slot: asset_files(experiment, store, slot) for slot in stage.assets}
    assets = load_assets(stage, experiment.instrument, files)
    return apply_stage(stage, stage.load_body(), inputs, {"params": row.params, **assets})


def _position(numbers: NDArray[Any], run: int, event: int) -> int:
    """Where an event number stands."""
    found = np.flatnonzero(numbers == event)
    if found.size:
        return int(found[0])
    if numbers.size == 0:
        raise ConfigError(f"run {run}: there is no event {event}; the run has no events.")
    raise ConfigError(
        f"run {run}: there is no event {event}; the run has {len(numbers):,} events, numbers {numbers.min()} to {numbers.max()}."
    )
