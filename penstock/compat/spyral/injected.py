"""The body of a phase that stands between stages of penstock: records in, records out, by way of files.

It is given the events of a whole run, as far as one block holds them, and must leave what the stages behind it read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from penstock.compat.spyral.adapter import call_phase, prepare_workspace
from penstock.compat.spyral.constructor import Arguments
from penstock.compat.spyral.schema import PhaseResult
from penstock.compat.spyral.workspace import ARTIFACTS, PhaseFailed, export_records, temporary_workspace
from penstock.core.params import Params
from penstock.core.schema import EVENTS, Records, Rejection
from penstock.formats.spyral.layout import CLUSTERS, ESTIMATES, POINTS, run_name
from penstock.formats.spyral.reader import SpyralRun
from penstock.tpc.imported import ImportParams, take_clusters, take_estimates, take_points
from penstock.tpc.schemas import Clusters, Estimates, PointCloud

__all__ = ["BLOCK", "InjectedParams", "run_between"]

BLOCK = 1 << 19
"""Events that a phase is given at once; a longer run comes in parts."""

_KINDS: Mapping[type[Records], tuple[str, str, str, Any]] = {
    PointCloud: ("pointcloud", POINTS, "h5", take_points),
    Clusters: ("cluster", CLUSTERS, "h5", take_clusters),
    Estimates: ("estimation", ESTIMATES, "parquet", take_estimates),
}
"""For what is written: name of the artifact, folder and suffix of its file, and what reads it."""


class InjectedParams(Params):
    """What a phase between stages is built from, and how it is run."""

    writes: ClassVar[type[Records]]
    """Schema of what it makes."""

    phase: Arguments
    """Arguments of its constructor."""

    seed: NonNegativeInt = 0
    """Seed of the generator that `run` is given; each run has a stream of its own."""


def run_between(params: InjectedParams, **inputs: Records) -> Records:
    """Run a phase on the records of a run, and take the files that it leaves as records of the same events.

    Raises
    ------
    PhaseFailed
        The phase was not successful, or left no file, or one with events that it was not given.
    """
    phase = params.phase.build()
    events = next(records[EVENTS] for records in inputs.values() if "event" in records.columns.get(EVENTS, {}))
    run = int(events["orig_run"][0]) if len(events["event"]) else 0
    names = {slot: artifact for artifact, slot in ARTIFACTS.items()}
    artifact, kind, suffix, take = _KINDS[params.writes]
    with temporary_workspace() as workspace:
        prepare_workspace(phase, workspace)
        paths = {names[slot]: export_records(slot, records, run, workspace) for slot, records in inputs.items()}
        if phase.create_assets(workspace) is False:
            raise PhaseFailed(f"phase {phase.name!r}: create_assets returned False; look into its log lines.")
        result = call_phase(phase, PhaseResult(paths, successful=True, run_number=run), workspace, params.seed)
        if result is None or not result.successful:
            raise PhaseFailed(f"phase {phase.name!r}: its result is missing or marked as not successful; look into its log lines.")
        made = Path(result.artifacts.get(artifact, workspace / "nothing"))
        if not made.is_file():
            raise PhaseFailed(f"phase {phase.name!r}: it left no file as artifact {artifact!r}, which the stages behind it read.")
        files = {kind: (made, suffix)}
        if params.writes is Clusters and "pointcloud" in paths:
            files[POINTS] = (paths["pointcloud"], "h5")
        with SpyralRun(*_gathered(workspace / "taken", run, files)) as reader:
            found = take(reader.read(0, reader.n_events), ImportParams())
            return _spread(found, reader.numbers, events, phase.name)


def _gathered(folder: Path, run: int, files: Mapping[str, tuple[Path, str]]) -> list[Path]:
    """The files under the names that the reader of workspaces knows."""
    gathered = []
    for kind, (path, suffix) in files.items():
        target = folder / kind / f"{run_name(run)}.{suffix}"
        target.parent.mkdir(parents=True)
        target.symlink_to(path)
        gathered.append(target)
    return gathered


def _spread(found: Records, numbers: NDArray[np.int64], events: Mapping[str, NDArray[Any]], name: str) -> Records:
    """The records of the events that have any, as those of all events, in the order of these."""
    wanted = events["event"]
    places = np.searchsorted(wanted, numbers)
    known = places < len(wanted)
    if not np.all(known) or not np.array_equal(wanted[places], numbers):
        stranger = next(int(n) for n in numbers if n not in wanted)
        raise PhaseFailed(f"phase {name!r}: it left event {stranger}, which it was not given.")
    offsets = dict(found.offsets)
    for table in found.tables:
        if table.per == EVENTS:
            counts = np.zeros(len(wanted), dtype=np.int64)
            counts[places] = np.diff(found.offsets[table.name])
            offsets[table.name] = np.concatenate(([0], np.cumsum(counts)))
    columns = dict(found.columns)
    if EVENTS in (t.name for t in found.tables):
        columns[EVENTS] = {c.name: events[c.name] for c in found.table(EVENTS).columns}
    return type(found)(n_events=len(wanted), columns=columns, offsets=offsets, rejections=_rejections(found, places, len(wanted), name))


def _rejections(found: Records, places: NDArray[np.int64], size: int, name: str) -> list[Rejection]:
    if not any(t.name == EVENTS for t in found.tables):
        return []
    absent = np.setdiff1d(np.arange(size), places)
    listed = [Rejection(int(places[r.index]), r.reason, r.excluded) for r in found.rejections]
    listed += [Rejection(int(i), f"phase {name} left nothing of the event") for i in absent]
    return sorted(listed, key=lambda r: r.index)
