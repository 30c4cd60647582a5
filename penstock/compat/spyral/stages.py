"""A class on Spyral's phase protocol as stages of penstock."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import create_model

from penstock.compat.spyral.adapter import RunParams
from penstock.compat.spyral.constructor import arguments_of
from penstock.compat.spyral.injected import BLOCK, InjectedParams
from penstock.compat.spyral.schema import CLUSTER_SCHEMA, ESTIMATE_SCHEMA, POINTCLOUD_SCHEMA, ResultSchema
from penstock.compat.spyral.workspace import ARTIFACTS
from penstock.config._fingerprint import code_modules
from penstock.core.errors import ConfigError
from penstock.core.schema import Records, Table
from penstock.core.stage import Stage
from penstock.tpc.schemas import Clusters, Estimates, Fits, PointCloud, Traces

__all__ = ["PhaseWarning", "phase_stages"]

_ADAPTER = "penstock.compat.spyral.adapter"
_SLOTS: Mapping[str, type[Records]] = {
    "traces": Traces,
    "points": PointCloud,
    "clusters": Clusters,
    "estimates": Estimates,
    "fits": Fits,
}
_WRITTEN_BY: Mapping[str, tuple[str, ...]] = {
    "tpc.points": ("points",),
    "tpc.clusters": ("clusters",),
    "tpc.estimates": ("estimates", "clusters"),
    "tpc.fits": ("fits", "estimates", "clusters"),
}
"""What the phase that a stage stands for leaves, itself or passed on."""
_BETWEEN: tuple[tuple[str, type[Records]], ...] = (
    (POINTCLOUD_SCHEMA, PointCloud),
    (CLUSTER_SCHEMA, Clusters),
    (ESTIMATE_SCHEMA, Estimates),
)


class PhaseWarning(UserWarning):
    """A phase says less than it could, so that less is checked."""


def phase_stages(
    name: str,
    phase: Callable[..., Any],
    *arguments: Any,
    after: Stage | str | None = None,
    lane: str = "tpc",
    version: int = 1,
    **keywords: Any,
) -> tuple[Stage, ...]:
    """The stages that run a phase: its set-up (constructor and assets, once), and the phase itself (for each run).

    A phase that makes what stages of penstock read (point clouds, clusters, estimates) becomes a single stage, so that it
    can stand between them or in the place of one.

    Parameters
    ----------
    name
        Name of the stage, such as ``mygroup.my_solver``; that of the set-up ends in ``_setup``.
    phase
        The class. It is built from `arguments` and `keywords`, whose fields become parameters of the set-up.
    after
        The stage before it, or its name where it is one of ``tpc``; without, it follows from the phase's incoming schema.
    lane
        Kind of workers that run it.

    Raises
    ------
    ConfigError
        The arguments do not fit, or nothing says what the phase reads.

    Warns
    -----
    PhaseWarning
        The phase has no schema for what comes in or goes out.
    """
    made = arguments_of(phase, arguments, keywords)
    built = made().build()
    reads, last = _reads(name, built, after)
    written = _between(name, built, reads)
    module, modules = phase.__module__, tuple(sorted(code_modules(phase.__module__)))
    common: dict[str, Any] = {"version": version, "lane": lane, "modules": modules}
    if written is not None:
        params = create_model("InjectedPhase", __base__=InjectedParams, phase=(made, made()))
        params.writes = written
        body = "penstock.compat.spyral.injected:run_between"
        return (Stage(name, body=body, params=params, reads=reads, writes=written, block=BLOCK, **common),)
    files = _files_schema(_schema_name(name, built.outgoing_schema), f"Files of the phase {built.name} of {module}.")
    prepared = _files_schema(f"{name}_setup", f"Assets of the phase {built.name} of {module}.")
    running: type[RunParams] = create_model("RunPhase", __base__=RunParams)
    running.setup, running.reads, running.after = made, reads, last
    setup = Stage(
        f"{name}_setup",
        body=f"{_ADAPTER}:set_up_phase",
        params=made,
        reads={},
        writes=prepared,
        block=1,
        unit="run",
        subject="none",
        **common,
    )
    runs = Stage(
        name, body=f"{_ADAPTER}:run_phase", params=running, reads={"setup": prepared, **reads}, writes=files, block=1, unit="run", **common
    )
    return setup, runs


def _reads(name: str, phase: Any, after: Stage | str | None) -> tuple[dict[str, type[Records]], str]:
    """Slots of a phase, and the one that an earlier phase fills; empty where stages of penstock come before."""
    wanted = phase.incoming_schema
    if wanted is None:
        _warn(name, phase, "incoming", "can read what comes before it")
    if isinstance(after, Stage) and after.writes.storage == "files":
        _compare(name, phase, after.name, after.writes.name)
        name_before = after.name.rpartition(".")[2]
        earlier = {f"{name_before}_setup" if slot == "setup" else slot: schema for slot, schema in after.reads.items()}
        return {**earlier, f"{name_before}_files": after.writes}, f"{name_before}_files"
    if after is not None:
        slots = _slots_behind(name, after)
        if wanted is not None and (unknown := [a for a in wanted.artifacts if ARTIFACTS.get(a) not in slots]):
            stage = after if isinstance(after, str) else after.name
            raise ConfigError(
                f"stage {name!r}: phase {phase.name!r} reads {unknown[0]!r}, but {stage!r} before it makes {', '.join(slots)}."
            )
        return {slot: _SLOTS[slot] for slot in slots}, ""
    if wanted is None:
        raise ConfigError(
            f"stage {name!r}: phase {phase.name!r} has no incoming schema. Say what comes before it: after='tpc.estimates', or a stage."
        )
    if unknown := [a for a in wanted.artifacts if a not in ARTIFACTS]:
        raise ConfigError(
            f"stage {name!r}: phase {phase.name!r} reads {unknown[0]!r}, which no stage of penstock makes. Name the stage that does: after=..."
        )
    return {ARTIFACTS[a]: _SLOTS[ARTIFACTS[a]] for a in wanted.artifacts}, ""


def _slots_behind(name: str, after: Stage | str) -> tuple[str, ...]:
    """What a stage of penstock, or a phase in its place, leaves itself or passes on."""
    if isinstance(after, str):
        if after in _WRITTEN_BY:
            return _WRITTEN_BY[after]
        raise ConfigError(
            f"stage {name!r}: after={after!r} is none of {', '.join(_WRITTEN_BY)}. Give the stage itself, as phase_stages returned it."
        )
    found = next((slots for slots in _WRITTEN_BY.values() if _SLOTS[slots[0]] is after.writes), None)
    if found is None:
        raise ConfigError(f"stage {name!r}: no phase can read {after.writes.schema_id()!r}, which {after.name!r} before it writes.")
    return found


def _compare(name: str, phase: Any, before: str, made: str) -> None:
    wanted = phase.incoming_schema
    if wanted is None or made.endswith(".files") or _schema_name(name, wanted) == made:
        return
    raise ConfigError(
        f"stage {name!r}: phase {phase.name!r} wants {_schema_name(name, wanted)}, but {before!r} before it makes {made}. "
        "The two schemas must be equal, entry by entry."
    )


def _warn(name: str, phase: Any, which: str, what: str) -> None:
    warnings.warn(
        f"stage {name!r}: phase {phase.name!r} has no {which} schema, so nobody checks that it {what}. Give it a ResultSchema.",
        PhaseWarning,
        stacklevel=4,
    )


def _between(name: str, phase: Any, reads: Mapping[str, type[Records]]) -> type[Records] | None:
    """The schema of penstock that a phase makes from records of penstock; None where it makes files of its own."""
    made = phase.outgoing_schema
    if made is None:
        _warn(name, phase, "outgoing", "makes what later phases read")
        return None
    written = next((records for text, records in _BETWEEN if _same(made, text)), None)
    if written is not None and not {slot for slot in reads if slot in ("points", "clusters")}:
        raise ConfigError(
            f"stage {name!r}: phase {phase.name!r} makes {written.schema_id()} out of {', '.join(reads)}, which is not possible for a phase. "
            "Write it as a stage (docs/how-to/write-a-stage.md), or give its result a schema of its own."
        )
    return written


def _same(schema: Any, text: str) -> bool:
    ours = ResultSchema(text).artifacts
    theirs = schema.artifacts
    return ours.keys() == theirs.keys() and all((a.extension, a.data) == (theirs[n].extension, theirs[n].data) for n, a in ours.items())


def _schema_name(name: str, schema: Any) -> str:
    """One name for one schema: names of the artifacts, and a digest of all that it says."""
    if schema is None:
        return f"{name}.files"
    content = {key: [artifact.extension, artifact.data] for key, artifact in schema.artifacts.items()}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    return f"spyral.{'_'.join(schema.artifacts)}.{digest}"


def _files_schema(name: str, doc: str) -> type[Records]:
    return type(
        "PhaseFiles",
        (Records,),
        {"__doc__": doc, "name": name, "version": 1, "storage": "files", "tables": (Table("events", (), per=None),)},
    )
