"""What characterises a run of the TPC: rates, sizes, energy loss, drift edges, fits. From current artifacts alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.config import Experiment
from penstock.core.errors import ArtifactMissing
from penstock.core.plan import PlanRow, State
from penstock.core.schema import Records
from penstock.core.selection import EventSelection, RunRange
from penstock.execute import Planner, Request
from penstock.store import Manifest, Store
from penstock.tpc.assets import Gates
from penstock.tpc.schemas import Estimates, Fits, PointCloud
from penstock.views._sample import read_sample
from penstock.views.tpc_stability import RunValue, Series, mean_of, median_of

__all__ = ["measure_runs"]

TICK_S = 1e-8
"""Of the MuTanT clock."""

MOST_POINTS = 500_000
"""Points of the sample that the size of events is taken from."""

Inside = Callable[[Mapping[str, NDArray[Any]]], NDArray[np.bool_]]
Values = dict[str, RunValue]

SERIES = {
    "rate": ("Recorded events a second", "Hz"),
    "points": ("Points per event", "mean"),
    "tracks": ("Tracks per event", "mean"),
    "rejected": ("Events without a result", "fraction"),
    "ic": ("Ion-chamber pulse", "median, ADC"),
    "dedx": ("Energy loss dE/dx", "median, ADC·bucket/mm"),
    "brho": ("Rigidity Bρ", "median, T·m"),
    "micromegas": ("Micromegas edge", "time bucket"),
    "window": ("Window edge", "time bucket"),
    "fitted": ("Converged fits per event", "mean"),
    "ke": ("Fitted kinetic energy", "median, MeV"),
    "redchisq": ("Reduced χ²", "median"),
}
"""Title and unit of every quantity, in the order of the figure."""


def measure_runs(
    experiment: Experiment,
    store: Store,
    runs: str,
    *,
    events: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    gate: Gates | None = None,
    drift: bool = False,
) -> list[Series]:
    """Quantities of each run of a range, as far as its results are current.

    Parameters
    ----------
    gate
        Tracks that count for dE/dx, Bρ and tracks per event; all without.
    drift
        Find the edges of the drift too, which takes a moment a run.

    Returns
    -------
    series
        Those that at least one run has.

    Raises
    ------
    ArtifactMissing
        No run has a current result; says how to compute them.
    """
    selection = EventSelection.parse(events) if events else EventSelection()
    rows = Planner(experiment, store, Request(RunRange(runs), selection, overrides=overrides or {})).plan()
    by_run: dict[int, list[PlanRow]] = {}
    for row in rows:
        by_run.setdefault(row.run, []).append(row)
    inside = _everything if gate is None else _in_gate(gate)
    measured = {run: dict(_values(store, of_run, inside, drift=drift)) for run, of_run in by_run.items()}
    nothing = RunValue(float("nan"), float("nan"))
    series = [
        Series(name, title, unit, {run: values.get(name, nothing) for run, values in measured.items()})
        for name, (title, unit) in SERIES.items()
        if any(name in values for values in measured.values())
    ]
    if not series:
        raise ArtifactMissing(f"no run of {runs} has a current result. Compute them with: penstock run {experiment.path} --runs {runs}")
    return series


def _values(store: Store, rows: Sequence[PlanRow], inside: Inside, *, drift: bool) -> Iterator[tuple[str, RunValue]]:
    """Name and value of whatever can be had for one run."""
    points, estimates, fits = (_current(store, rows, schema) for schema in (PointCloud, Estimates, Fits))
    if points is not None:
        yield from _of_points(store, points, drift=drift)
    if estimates is not None:
        records = store.read(estimates, Estimates)
        table = records["estimates"]
        kept = inside(table)
        yield "tracks", mean_of(_per_event(records, "estimates", kept))
        yield "dedx", median_of(table["dEdx"][kept])
        yield "brho", median_of(table["brho"][kept])
    if fits is not None:
        records = store.read(fits, Fits)
        table = records["fits"]
        good = table["status"] == 0
        yield "fitted", mean_of(_per_event(records, "fits", good))
        yield "ke", median_of(table["ke"][good])
        yield "redchisq", median_of(table["redchisq"][good])


def _of_points(store: Store, manifest: Manifest, *, drift: bool) -> Iterator[tuple[str, RunValue]]:
    from penstock.views.tpc_drift import measure_drift

    cloud = store.read(manifest, PointCloud, tables=())
    events, kept = cloud["events"], _kept(cloud)
    sample = read_sample(store, manifest, PointCloud, MOST_POINTS)
    yield "points", mean_of(np.diff(sample.records.offsets["points"])[sample.kept])
    yield "rejected", mean_of((~kept).astype(np.float64))
    stamps = events["timestamp"][events["timestamp"] > 0].astype(np.float64)
    if len(stamps) > 1 and stamps.max() > stamps.min():
        rate = (len(stamps) - 1) / ((stamps.max() - stamps.min()) * TICK_S)
        yield "rate", RunValue(rate, rate / np.sqrt(len(stamps)))
    heights = events["ic_amplitude"][kept]
    if (heights >= 0).any():
        yield "ic", median_of(heights[heights >= 0])
    if drift:
        edges, _ = measure_drift(store, manifest)
        for name, edge in (("micromegas", edges.micromegas), ("window", edges.window)):
            if edge.seen:
                yield name, RunValue(edge.bucket, edge.error)


def _current(store: Store, rows: Sequence[PlanRow], schema: type[Records]) -> Manifest | None:
    row = next((r for r in reversed(rows) if r.stage.writes.schema_id() == schema.schema_id()), None)
    return store.manifest(row.key) if row is not None and row.state is State.CURRENT and row.key is not None else None


def _kept(records: Records) -> NDArray[np.bool_]:
    kept = np.ones(records.n_events, np.bool_)
    kept[[r.index for r in records.rejections]] = False
    return kept


def _per_event(records: Records, table: str, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many of the chosen rows each event has that was not rejected."""
    edges = np.concatenate(([0], np.cumsum(chosen)))[records.offsets[table]]
    return np.diff(edges)[_kept(records)].astype(np.float64)


def _everything(table: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    return np.ones(len(table["brho"]), np.bool_)


def _in_gate(gates: Gates) -> Inside:
    """Whether tracks lie in any of the gates."""
    from penstock.tpc.gates import passes_gate

    def inside(table: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        return np.asarray(np.any([passes_gate(gates, i, table) for i in range(gates.n_events)], axis=0), np.bool_)

    return inside
