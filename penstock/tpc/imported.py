"""Stage bodies of ``spyral.*``: the files of a Spyral workspace as results of the TPC family.

Values are taken as they are; what Spyral does not keep is marked as absent. Nothing is recomputed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.params import Params
from penstock.core.schema import EVENTS, Records, Rejection
from penstock.formats.spyral.events import ABSENT, PRESENT, SpyralEvents
from penstock.tpc.schemas import Clusters, Estimates, Fits, PointCloud

__all__ = ["ImportParams", "take_clusters", "take_estimates", "take_fits", "take_points"]

_DIRECTIONS = np.array([1, -1, 0], dtype="i4")
"""Direction here of 0 forward, 1 backward, -1 undecided."""
_NO_COVARIANCE = 3
"""Status of a fit: Spyral keeps neither covariance nor whether the fit converged."""
_SAME_MM = 1e-3
_MM_PER_M = 1000.0
_FIT_LENGTHS = ("vertex_x", "sigma_vx", "vertex_y", "sigma_vy", "vertex_z", "sigma_vz")


class ImportParams(Params):
    """Nothing: the parameters of what is imported are not known."""


def take_points(workspace: SpyralEvents, params: ImportParams) -> PointCloud:
    """The point cloud of each event. Trigger and timestamp are not known; an event without a cloud is rejected."""
    events = {**workspace[EVENTS], "timestamp": np.zeros(workspace.n_events), "trigger": np.full(workspace.n_events, -1)}
    columns = {"events": events, "points": workspace["points"]}
    rejections = _rejections(workspace[EVENTS]["cloud"], "point cloud")
    return PointCloud(
        n_events=workspace.n_events,
        columns=_typed(PointCloud, columns),
        offsets={"points": workspace.offsets["points"]},
        rejections=rejections,
    )


def take_clusters(workspace: SpyralEvents, params: ImportParams) -> Clusters:
    """The clusters of each event; the column `index` is -1 where no cloud of the workspace holds the point."""
    of_cluster = workspace.offsets["cluster_points"]
    columns = {
        "events": workspace[EVENTS],
        "clusters": {**workspace["clusters"], "direction": _DIRECTIONS[workspace["clusters"]["direction"]]},
        "points": {**workspace["cluster_points"], "index": _rows_in_clouds(workspace)},
    }
    return Clusters(
        n_events=workspace.n_events,
        columns=_typed(Clusters, columns),
        offsets={"clusters": workspace.offsets["clusters"], "points": of_cluster},
        rejections=_rejections(workspace[EVENTS]["clustered"], "group of clusters"),
    )


def take_estimates(workspace: SpyralEvents, params: ImportParams) -> Estimates:
    """The estimates of each event."""
    columns = _typed(Estimates, {"estimates": workspace["estimates"]})
    return Estimates(n_events=workspace.n_events, columns=columns, offsets={"estimates": workspace.offsets["estimates"]})


def take_fits(workspace: SpyralEvents, params: ImportParams) -> Fits:
    """The fits of each event in mm, with NaN for what Spyral does not keep and status 3, no covariance, for each."""
    fits, offsets = workspace["fits"], workspace.offsets["fits"]
    size = len(fits["event"])
    of_event = np.repeat(np.arange(workspace.n_events), np.diff(offsets))
    known = {
        **{name: values * _MM_PER_M if name in _FIT_LENGTHS else values for name, values in fits.items()},
        **{name: workspace[EVENTS][name][of_event] for name in ("ic_amplitude", "ic_multiplicity")},
        "status": np.full(size, _NO_COVARIANCE),
        "direction": (fits["polar"] > np.pi / 2).astype("i8"),
    }
    absent = {c.name: np.full(size, np.nan if c.dtype == "f8" else -1) for c in Fits.table("fits").columns if c.name not in known}
    return Fits(
        n_events=workspace.n_events,
        columns={**Fits.empty().columns, **_typed(Fits, {"fits": {**known, **absent}})},
        offsets={**Fits.empty(workspace.n_events).offsets, "fits": offsets},
    )


def _typed(schema: type[Records], columns: Mapping[str, Mapping[str, NDArray[Any]]]) -> dict[str, dict[str, NDArray[Any]]]:
    """The columns that the schema has, with its types."""
    return {
        name: {c.name: np.asarray(table[c.name]).astype(c.dtype, copy=False) for c in schema.table(name).columns}
        for name, table in columns.items()
    }


def _rejections(states: NDArray[np.int8], what: str) -> list[Rejection]:
    reasons = {ABSENT: f"the workspace has no {what} of the event", PRESENT: ""}
    return [
        Rejection(i, reasons.get(state, f"the {what} in the workspace has the wrong shape"))
        for i, state in enumerate(states.tolist())
        if state != PRESENT
    ]


def _rows_in_clouds(workspace: SpyralEvents) -> NDArray[np.int64]:
    """Row of each clustered point within the cloud of its event: same pad, same height."""
    clustered = workspace["cluster_points"]
    found = np.full(len(clustered["z"]), -1, dtype="i8")
    if not np.any(workspace[EVENTS]["cloud"] == PRESENT):
        return found
    cloud, offsets = workspace["points"], workspace.offsets["points"]
    edges = workspace.offsets["cluster_points"][workspace.offsets["clusters"]]
    for event in range(workspace.n_events):
        rows = slice(edges[event], edges[event + 1])
        inside = slice(offsets[event], offsets[event + 1])
        place = {name: clustered[name][rows] for name in ("x", "y", "z")}
        found[rows] = _match(place, {name: cloud[name][inside] for name in ("x", "y", "z")})
    return found


def _match(wanted: Mapping[str, NDArray[np.float64]], cloud: Mapping[str, NDArray[np.float64]]) -> NDArray[np.int64]:
    """Row of the cloud, ascending in z, for each wanted point; -1 where there is none."""
    first = np.searchsorted(cloud["z"], wanted["z"] - _SAME_MM)
    last = np.searchsorted(cloud["z"], wanted["z"] + _SAME_MM)
    rows = np.full(len(first), -1, dtype="i8")
    for step in range(int((last - first).max(initial=0))):
        row = np.minimum(first + step, len(cloud["z"]) - 1)
        same = (rows < 0) & (first + step < last) & (cloud["x"][row] == wanted["x"]) & (cloud["y"][row] == wanted["y"])
        rows[same] = row[same]
    return rows
