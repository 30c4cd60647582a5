"""Planning: from a request to rows of (subject, stage, key, state, why). Reads the index, stats files, opens nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from penstock.config import Experiment, Resolver, stage_code
from penstock.core.canonical import Json, Key, digest_key
from penstock.core.errors import ConfigError
from penstock.core.plan import PlanRow, State, first_difference
from penstock.core.selection import EventSelection, RunRange
from penstock.core.stage import Stage, StageCode, make_recipe
from penstock.core.subject import RunSubject
from penstock.execute._register import Registrar
from penstock.store import Store, hash_file

__all__ = ["Planner", "Request", "asset_files", "ref_name"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: runs, events, stages, overrides. The experiment says the rest."""

    runs: RunRange
    events: EventSelection = EventSelection()
    stages: tuple[str, ...] = ()
    """Stages wanted, with all that they need; the whole pipeline without."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    retry_failed: bool = False
    source: str = "--set"
    """Where the overrides come from, for messages and manifests."""


def ref_name(experiment: Experiment, label: str, stage: str) -> str:
    """The name that moves to the newest result: ``experiment/preset/subject/stage``."""
    return f"{experiment.name}/{experiment.preset}/{label}/{stage}"


class Planner:
    """Plans one request against one store."""

    def __init__(self, experiment: Experiment, store: Store, request: Request, registrar: Registrar | None = None) -> None:
        self.experiment = experiment
        self.store = store
        self.request = request
        self.registrar = registrar or Registrar(experiment, store)
        self.stages = experiment.pipeline.upstream(request.stages or [s.name for s in experiment.pipeline.stages])
        self._resolver = Resolver(experiment, request.overrides, request.source)
        self._codes = {s.name: stage_code(s) for s in self.stages}
        self._assets: dict[str, Key] = {}
        _refuse_missing(experiment, self.stages)
        for slot, schema in ((slot, schema) for s in self.stages for slot, schema in s.assets.items()):
            asset = _asset_key(experiment, store, slot, schema.schema_id())
            if asset is not None:
                self._assets[slot] = asset
        self._identities: dict[int, tuple[object, dict[str, Json]]] = {}

    @property
    def runs(self) -> list[int]:
        """The runs asked for."""
        runs = self.request.runs.expand(self.registrar.available)
        if not runs:
            raise ConfigError(
                f"run range {self.request.runs.text!r} selects no run; in {self.experiment.raw} there are {len(self.registrar.available)} runs."
            )
        return runs

    def plan(self) -> list[PlanRow]:
        """A row for each run and stage, runs ascending, stages in the order of computing."""
        runs = self.runs
        registered = self.registrar.registered(runs)
        wanted = [row for run in runs for row in self._rows(run, registered)]
        keys = [row.key for row in wanted if row.key is not None]
        existing = self.store.index.existing(keys)
        failures = self.store.index.failures([k for k in keys if k not in existing])
        refs = self._refs([row for row in wanted if row.key is not None and row.key not in existing])
        old = self.store.index.artifacts(sorted(set(refs.values())))
        rows: list[PlanRow] = []
        pending: dict[Key, str] = {}
        for row in wanted:
            if row.key is None:
                rows.append(row)
                continue
            state, why = State.CURRENT, ""
            if row.key not in existing:
                failure = failures.get(row.key)
                before = old.get(refs.get(self._ref(row), ""))
                if failure is not None and failure.content and not self.request.retry_failed:
                    state, why = State.FAILED, failure.error
                elif before is not None:
                    state, why = State.STALE, _why_stale(before.recipe, row, pending)
                else:
                    state, why = State.MISSING, "never computed" if failure is None else f"the last attempt failed: {failure.error}"
                pending[row.key] = f"{row.stage.name}: {why}"
            rows.append(replace(row, state=state, why=why))
        return rows

    def _rows(self, run: int, registered: Mapping[int, Any]) -> list[PlanRow]:
        rows: list[PlanRow] = []
        keys: dict[str, Key] = {}
        subject = RunSubject(registered[run], self.request.events) if run in registered else None
        identity = subject.identity() if subject else None
        for stage in self.stages:
            params, origins = self._resolver.params(stage, run)
            code = self._codes[stage.name]
            if subject is None:
                rows.append(PlanRow(run, stage, code, State.MISSING, self.registrar.why_not(run), params, origins))
                continue
            inputs = {slot: keys[source] for slot, source in self.experiment.pipeline.bindings[stage.name].items() if source is not None}
            assets = {slot: key for slot, key in self._assets.items() if slot in stage.assets}
            recipe = self._recipe(stage, code, None if stage.subject == "none" else identity, params, inputs | assets)
            keys[stage.name] = key = digest_key(recipe)
            rows.append(PlanRow(run, stage, code, State.MISSING, "", params, origins, key, subject, recipe, inputs))
        return rows

    def _recipe(self, stage: Stage, code: StageCode, subject: Json, params: Any, inputs: Mapping[str, Key]) -> dict[str, Json]:
        found = self._identities.get(id(params))
        if found is None:
            found = self._identities[id(params)] = (params, params.identity())
        return make_recipe(stage, code, subject, found[1], inputs)

    def _ref(self, row: PlanRow) -> str:
        assert row.subject is not None
        return ref_name(self.experiment, row.subject.label, row.stage.name)

    def _refs(self, rows: Sequence[PlanRow]) -> dict[str, str]:
        return self.store.index.refs([self._ref(r) for r in rows]) if rows else {}


def _why_stale(old: Mapping[str, Json], row: PlanRow, pending: Mapping[Key, str]) -> str:
    why = first_difference(old, row.recipe)
    for slot, key in row.inputs.items():
        if why == f"input {slot!r} differs" and key in pending:
            return pending[key]
    return why


def asset_files(experiment: Experiment, store: Store, slot: str) -> dict[str, Path]:
    """File by role that experiment.toml names for an asset slot; an artifact is resolved to its file in the store.

    Several files of one role go by role and place: ``gates.0``, ``gates.1``.
    """
    files: dict[str, Path] = {}
    wanted = experiment.instrument.asset_roles.get(slot, ())
    for role, found in experiment.assets.items():
        if role.partition(".")[0] not in wanted:
            continue
        if isinstance(found, Key):
            key = store.resolve(found)
            files[role] = store.home(key) / store.manifest(key).files[0].name
        else:
            files[role] = found
    return files


def _refuse_missing(experiment: Experiment, stages: Sequence[Stage]) -> None:
    """Raise ConfigError where files that the instrument requires are not named, or not there; all of them at once."""
    instrument = experiment.instrument
    takers = {role: stage.name for stage in reversed(stages) for slot in stage.assets for role in instrument.asset_roles.get(slot, ())}
    problems = []
    for role, what in instrument.required.items():
        found = experiment.assets.get(role)
        trouble = "is not named" if found is None else f"{found} is not there" if isinstance(found, Path) and not found.is_file() else ""
        if trouble and role in takers:
            problems.append(f'[assets] {role} {trouble}. {takers[role]} needs {what}: write {role} = "FILE" below [assets].')
    if problems:
        raise ConfigError(f"{experiment.path}: {' '.join(problems)}")


def _asset_key(experiment: Experiment, store: Store, slot: str, schema: str) -> Key | None:
    """Key of the asset that experiment.toml's files make; None for the instrument's own."""
    files = asset_files(experiment, store, slot)
    if not files:
        return None
    digests = {role: _file_digest(store, path, role) for role, path in files.items()}
    return digest_key({"asset": schema, "files": digests})


def _file_digest(store: Store, path: Path, role: str) -> str:
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise ConfigError(f"[assets] {role}: {path} is not there.") from None
    known = store.index.raw_files([str(path)]).get(str(path))
    if known is not None and known[:3] == (stat.st_size, stat.st_mtime_ns, stat.st_ino):
        return known[3]
    digest = hash_file(path)
    store.index.put_raw_file(str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino, digest)
    return digest
