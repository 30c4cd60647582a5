"""From a run and an event number to a figure: finds the current artifacts, or the raw trace, and draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from penstock.config import Experiment
from penstock.core.errors import ArtifactMissing, BadEvent, ConfigError
from penstock.core.plan import PlanRow, State
from penstock.core.schema import Records
from penstock.core.selection import EventSelection, RunRange
from penstock.execute import Planner, Registrar, Request, asset_files
from penstock.store import Manifest, Store
from penstock.tpc.assets import PadMap
from penstock.tpc.params import PointParams
from penstock.tpc.schemas import Clusters, Estimates, PointCloud, Traces
from penstock.views.tpc_fitted import view_fit
from penstock.views.tpc_space import draw_event

__all__ = ["draw_event", "view_event"]

R = TypeVar("R", bound=Records)

NEIGHBOURS = 5
"""Pads that are named where the wanted one has no trace."""


def view_event(
    experiment: Experiment,
    store: Store,
    run: int,
    event: int,
    path: Path,
    *,
    pad: int | None = None,
    events: EventSelection | None = None,
    overrides: Mapping[str, Any] | None = None,
    fit: bool = False,
) -> Path:
    """Draw one event of a run, the trace of one of its pads, or its fitted tracks, to a PNG file.

    Without `pad` only current artifacts are drawn: the points must be there, clusters and estimates are drawn where they
    are. The trace of a pad is read from the run and treated with the parameters of today; it needs no artifact.

    Parameters
    ----------
    event
        Event number, as the run file has it.
    events, overrides
        Selection and parameters of the request that the artifacts were computed for.

    Returns
    -------
    Path
        `path`, written.

    Raises
    ------
    ConfigError
        The run has no such event or pad, or the pad has no trace in it.
    ArtifactMissing
        The points are not computed, or not with the parameters of today.
    BadEvent
        The event was rejected, and so has no points.
    RunMissing, BadRun
        There is no such run, or it cannot be read.
    """
    if fit:
        return view_fit(experiment, store, run, event, path, events=events, overrides=overrides)
    registrar = Registrar(experiment, store)
    files = registrar.files(run)
    request = Request(RunRange(str(run)), events or EventSelection(), overrides=overrides or {})
    rows = Planner(experiment, store, request, registrar).plan()
    points = _row(rows, PointCloud, experiment)
    title = f"{experiment.name}  ·  run {run}  ·  event {event}"
    if pad is not None:
        if "traces" not in files:
            raise ConfigError(
                f"instrument {experiment.instrument.name!r}: the trace of a pad is drawn from merged files (run_0001.h5) only."
            )
        pads = _pads(experiment, store, points)
        return _view_pad(files["traces"], cast("PointParams", points.params), pads, run, event, pad, path, title)
    return _view_points(experiment, store, rows, points, run, event, path, title)


def _view_points(
    experiment: Experiment, store: Store, rows: Sequence[PlanRow], row: PlanRow, run: int, event: int, path: Path, title: str
) -> Path:
    if row.state is not State.CURRENT:
        raise ArtifactMissing(
            f"run {run}: {row.stage.name} is {row.state}: {row.why}. Compute it with: "
            f"penstock run {experiment.path} --runs {run} --stages {row.stage.name}"
        )
    manifest = store.manifest(str(row.key))
    position = _position(store, manifest, run, event)
    for at, reason, _ in manifest.rejections:
        if at == position:
            raise BadEvent(
                f"run {run}, event {event} has no points: {reason}. Its traces can be seen with: "
                f"penstock view {run} --event {event} --pad PAD"
            )
    cloud = cast("PointCloud", store.read(manifest, PointCloud, position, position + 1))
    notes = [f"{row.stage.name} {manifest.key.short}"]
    clusters = _current(store, rows, Clusters, position, notes)
    estimates = None if clusters is None else _current(store, rows, Estimates, position, notes)
    return draw_event(cloud, clusters, estimates, 0, path, title=title, note="   ".join(notes))


def _current(store: Store, rows: Sequence[PlanRow], schema: type[R], position: int, notes: list[str]) -> R | None:
    """The event as a further stage has it, where that is current; a note says which artifact, or why there is none."""
    row = next((r for r in reversed(rows) if r.stage.writes.schema_id() == schema.schema_id()), None)
    if row is None:
        return None
    if row.state is not State.CURRENT:
        notes.append(f"{row.stage.name} {row.state}")
        return None
    manifest = store.manifest(str(row.key))
    notes.append(f"{row.stage.name} {manifest.key.short}")
    return cast("R", store.read(manifest, schema, position, position + 1))


def _position(store: Store, manifest: Manifest, run: int, event: int) -> int:
    """Where an event number stands in an artifact."""
    numbers = store.read(manifest, PointCloud, tables=())["events"]["event"]
    found = np.flatnonzero(numbers == event)
    if found.size:
        return int(found[0])
    if numbers.size == 0:
        raise ConfigError(f"run {run}: there is no event {event}; artifact {manifest.key.short} is empty.")
    nearest = int(numbers[np.abs(numbers - event).argmin()])
    raise ConfigError(
        f"run {run}: there is no event {event}; artifact {manifest.key.short} holds {len(numbers):,} events, "
        f"numbers {numbers.min()} to {numbers.max()}, the nearest is {nearest}."
    )


def _view_pad(file: Path, params: PointParams, pads: PadMap, run: int, event: int, pad: int, path: Path, title: str) -> Path:
    from penstock.views.tpc_pad import draw_pad

    plane = pads["pads"]
    if not 0 <= pad < pads.n_events:
        raise ConfigError(f"there is no pad {pad}; the pad plane has pads 0 to {pads.n_events - 1}.")
    traces = _traces(file, run, event)
    of_pad = np.flatnonzero(traces["pads"]["pad"] == pad)
    if of_pad.size == 0:
        raise ConfigError(f"run {run}, event {event}: pad {pad} has no trace. {_nearest_pads(traces, plane, pad)}")
    x, y = float(plane["x"][pad]), float(plane["y"][pad])
    note = f"x {x:.1f} mm   y {y:.1f} mm   {'small' if plane['scale'][pad] < 1 else 'big'} pad"
    if np.hypot(x, y) < params.beam_pad_radius_mm:
        note += f"   in the beam (within {params.beam_pad_radius_mm:g} mm): gives no point"
    offset = float(plane["time_offset"][pad])
    return draw_pad(traces.pad_samples[of_pad[0]], params, path, time_offset=offset, title=f"{title}  ·  pad {pad}", note=note)


def _traces(file: Path, run: int, event: int) -> Traces:
    """The traces of one event of a run file."""
    from penstock.formats.attpc import AttpcRun

    with AttpcRun(file, run) as reader:
        numbers = reader.events
        if not (numbers.size and numbers[0] <= event <= numbers[-1]):
            raise ConfigError(f"run {run}: there is no event {event}; the run has events {numbers[0]} to {numbers[-1]}.")
        traces = reader.read_positions([event - int(numbers[0])])
    if traces.rejections:
        raise BadEvent(f"run {run}, event {event} cannot be used: {traces.rejections[0].reason}")
    return traces


def _nearest_pads(traces: Traces, plane: Mapping[str, NDArray[Any]], pad: int) -> str:
    fired = np.unique(traces["pads"]["pad"])
    fired = fired[(fired >= 0) & (fired < len(plane["x"]))]
    if fired.size == 0:
        return "No pad has one in this event."
    distance = np.hypot(plane["x"][fired] - plane["x"][pad], plane["y"][fired] - plane["y"][pad])
    order = np.argsort(distance, kind="stable")[:NEIGHBOURS]
    return f"The nearest pads with one are {', '.join(f'{fired[i]} ({distance[i]:.0f} mm)' for i in order)}."


def _pads(experiment: Experiment, store: Store, row: PlanRow) -> PadMap:
    """The pad plane that the stage uses: the instrument's own, or with a user's columns."""
    from penstock.tpc.pads import pad_map

    slot = next(slot for slot, schema in row.stage.assets.items() if schema.schema_id() == PadMap.schema_id())
    return pad_map(asset_files(experiment, store, slot))


def _row(rows: Sequence[PlanRow], schema: type[Records], experiment: Experiment) -> PlanRow:
    for row in reversed(rows):
        if row.stage.writes.schema_id() == schema.schema_id():
            return row
    stages = ", ".join(s.name for s in experiment.pipeline.stages)
    raise ConfigError(
        f"experiment {experiment.name!r}: no stage of the pipeline ({stages}) writes {schema.schema_id()!r}, so there are no events to draw."
    )
