"""Stages: one step each, named, versioned, typed; and pipelines: stages that fit together.

A declaration is light. Its body is a dotted name that is imported only where it runs.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from penstock.core.canonical import Json
from penstock.core.errors import ConfigError, PipelineError, nearest
from penstock.core.extras import missing_extra
from penstock.core.instrument import RunReader
from penstock.core.params import Params
from penstock.core.schema import Records
from penstock.core.selection import EventSelection

__all__ = ["ArtifactFolder", "Pipeline", "RunSource", "Stage", "StageCode", "load_dotted", "make_recipe", "stage"]

RECIPE = "penstock/1"
"""Stands in every key: a change of what a key is made of changes all keys."""

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$")


@dataclass(frozen=True, slots=True)
class Stage:
    """One step: a pure function of its inputs, assets and parameters.

    The body is called with a block of events as ``body(**inputs, params=..., **assets)`` and returns one record an
    event; with ``unit="event"`` it is called for each event alone and may raise `BadEvent`. With ``unit="run"`` it is
    called once, as ``body(source=RunSource, params=..., **assets)``, and returns the run as one record; where it writes
    files of its own (storage "files") it gets ``folder=`` too and returns nothing.

    With ``unit="parts"`` a result of the whole run is made from parts that are computed apart from each other:
    ``count(source, params, **assets)`` says how many there are, ``body(source, part=number, folder=..., params=..., **assets)``
    writes the files of one, and ``finish(source, parts=[folders in order], folder=..., params=..., **assets)`` makes the
    result's files of them all and returns the events that it is about: ``writes.empty(n_events)``, with its rejections.

    With ``subject="none"`` the result depends on parameters and assets alone: ``count(params, **assets)`` says how many
    rows it has, and the body gets ``positions=range(...)`` instead of inputs (or, with ``unit="run"``, is called once).
    A slot that such a stage fills takes the whole of it.
    """

    name: str
    version: int
    body: str
    params: type[Params]
    reads: Mapping[str, type[Records]]
    writes: type[Records]
    lane: str
    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Ragged tables that are read, by slot, beside the events; all of a slot that is not named. The rest is left unread."""
    assets: Mapping[str, type[Records]] = field(default_factory=dict)
    """Slots that take calibrations and geometry; their default is made by the instrument."""
    block: int = 64
    """Events in one block, the unit in which results are computed and laid out."""
    unit: Literal["block", "event", "run", "parts"] = "block"
    subject: Literal["run", "none"] = "run"
    count: str = ""
    """``module:function`` that says how many rows a stage without subject has, or how many parts a stage of parts."""
    finish: str = ""
    """``module:function`` that makes the result of its parts."""
    complete: str = ""
    """``module:function``, called as ``complete(params, folder, fingerprint)`` when planning: the parameters with what follows from files
    that they name, relative to the folder of experiment.toml; ``fingerprint(modules)`` is that of a user's code."""
    on_error: Literal["fail", "reject"] = "fail"
    """"reject" turns the body's own exceptions into rejections (user stages only); never those of the system."""
    tolerance: float = 0.0
    """Greatest relative difference between two computations under one key."""
    figure: str = ""
    """Dotted name of the function that draws one artifact, ``module:function``."""
    summary: tuple[str, ...] = ()
    """What the run table shows of an artifact: names of tables whose rows are counted."""
    modules: tuple[str, ...] = ()
    """Modules besides the body's whose code belongs to the stage, such as those that make its default assets."""
    data_files: tuple[str, ...] = ()
    """Data files beside the body's module that belong to its code."""

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise PipelineError(f"stage name {self.name!r} is not of the form 'family.noun' in lower case.")
        if ":" not in self.body:
            raise PipelineError(f"stage {self.name!r}: body {self.body!r} is not of the form 'package.module:function'.")
        if self.block < 1 or self.version < 1:
            raise PipelineError(f"stage {self.name!r}: version and block start at 1.")
        if self.subject == "none" and (self.reads or self.unit == "event" or (self.unit == "block" and ":" not in self.count)):
            raise PipelineError(f"stage {self.name!r}: a stage without subject reads nothing, and with unit 'block' it names its count.")
        if self.writes.storage == "files" and self.unit not in ("run", "parts"):
            raise PipelineError(
                f"stage {self.name!r}: schema {self.writes.schema_id()!r} is stored as files, which only units 'run' and 'parts' can write."
            )
        if self.unit == "parts" and not (
            ":" in self.count and ":" in self.finish and self.writes.storage == "files" and self.subject == "run" and self.block == 1
        ):
            raise PipelineError(f"stage {self.name!r}: a stage of parts names count and finish, writes files, and has block 1.")

    def load_body(self) -> Callable[..., Records]:
        """Import and return the body."""
        body: Callable[..., Records] = load_dotted(self.body)
        return body


@dataclass(frozen=True, slots=True)
class ArtifactFolder:
    """An artifact as a stage of a whole run finds it: its key, and the folder that holds its data files."""

    key: str
    path: Path
    read: Callable[..., Records]
    """``read(schema, start=0, stop=None)``: the values of some or all of its events."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class RunSource:
    """What a stage of a whole run works on (``unit`` is "run" or "parts").

    Attributes
    ----------
    run
        Run number.
    raw
        File by role, where the stage reads raw data or wants to look at it.
    inputs
        Artifact in each slot that an earlier stage fills.
    reader
        Opens the run's raw data, as a context manager.
    base
        Folder of experiment.toml, where a user's modules lie.
    stop
        Says whether the work has been cancelled; a body that works for long looks now and then, and then returns.
    events
        The events that are asked for. A stage of parts keeps to them; `reader` gives all.
    """

    run: int
    raw: Mapping[str, Path]
    inputs: Mapping[str, ArtifactFolder]
    reader: Callable[[], RunReader]
    base: Path = Path()
    stop: Callable[[], bool] = _never
    events: EventSelection = EventSelection()


def stage(name: str, **declaration: Any) -> Stage:
    """Declare a stage; see `Stage` for the fields."""
    return Stage(name=name, **declaration)


def load_dotted(dotted: str) -> Any:
    """The object named ``package.module:attribute``.

    Raises
    ------
    MissingExtra
        What the module imports belongs to an extra that is not installed here.
    """
    module, _, attribute = dotted.partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (missing := missing_extra(error)) is not None:
            raise missing from error
        raise
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


@dataclass(frozen=True, slots=True)
class StageCode:
    """What identifies the code of a stage: its version where the code is the locked one, else its fingerprint."""

    version: int
    fingerprint: str
    locked: bool

    def identity(self) -> Json:
        """The code as it enters a key."""
        return self.version if self.locked else f"{self.version}+{self.fingerprint}"


def make_recipe(stage: Stage, code: StageCode, subject: Json, params: Mapping[str, Json], inputs: Mapping[str, str]) -> dict[str, Json]:
    """What the key of a result is made of; its digest is the key.

    Parameters
    ----------
    subject, params
        Their identities, which callers make once for many recipes.
    inputs
        Key of the artifact in each slot and asset slot; raw slots are left out, the subject stands for them.
    """
    return {
        "recipe": RECIPE,
        "subject": subject,
        "stage": stage.name,
        "code": code.identity(),
        "writes": stage.writes.schema_id(),
        "params": dict(params),
        "inputs": dict(inputs),
    }


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages in order, each slot bound to the stage that fills it; checked when it is built.

    Attributes
    ----------
    stages
        In the order of computing.
    raw
        Schemas that the instrument's reader provides.
    bindings
        ``bindings[stage][slot]``: name of the stage that fills the slot, or None for raw data.
    """

    stages: tuple[Stage, ...]
    raw: tuple[type[Records], ...]
    bindings: Mapping[str, Mapping[str, str | None]] = field(init=False)

    def __post_init__(self) -> None:
        names = [s.name for s in self.stages]
        if len(set(names)) != len(names):
            raise PipelineError(f"pipeline {names!r}: a stage stands in it twice.")
        bindings: dict[str, dict[str, str | None]] = {}
        for position, current in enumerate(self.stages):
            bindings[current.name] = {
                slot: self._source(current, slot, schema, self.stages[:position]) for slot, schema in current.reads.items()
            }
        object.__setattr__(self, "bindings", bindings)

    def _source(self, current: Stage, slot: str, schema: type[Records], before: Sequence[Stage]) -> str | None:
        for earlier in reversed(before):
            if earlier.writes.schema_id() == schema.schema_id():
                return earlier.name
        if any(r.schema_id() == schema.schema_id() for r in self.raw):
            return None
        written = [s.writes.schema_id() for s in before] or [r.schema_id() for r in self.raw]
        later = [s.name for s in self.stages if s.writes.schema_id() == schema.schema_id()]
        same = [s.name for s in before if s.writes.name == schema.name]
        hint = (
            f"Put {later[0]!r} before it."
            if later
            else f"The nearest stage, {same[0]!r}, writes another version of it."
            if same
            else f"Put a stage that writes {schema.schema_id()!r} before it."
        )
        raise PipelineError(
            f"stage {current.name!r}: slot {slot!r} wants schema {schema.schema_id()!r}, but the stages before it write {', '.join(map(repr, written))}. {hint}"
        )

    def __getitem__(self, name: str) -> Stage:
        for candidate in self.stages:
            if candidate.name == name:
                return candidate
        known = [s.name for s in self.stages]
        raise ConfigError(f"stage {name!r} is not in the pipeline ({', '.join(known)}).{nearest(name, known)}")

    def upstream(self, wanted: Sequence[str]) -> tuple[Stage, ...]:
        """The wanted stages and all that they need, in the order of computing."""
        needed: set[str] = set()
        queue = [self[name].name for name in wanted]
        while queue:
            name = queue.pop()
            needed.add(name)
            queue += [s for s in self.bindings[name].values() if s is not None and s not in needed]
        return tuple(s for s in self.stages if s.name in needed)
