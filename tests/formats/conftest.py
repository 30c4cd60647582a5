"""Results of a run of the TPC, made up: five events of run 94, of which one is excluded and one is empty."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from penstock.core.schema import Records, Rejection
from penstock.tpc.schemas import Clusters, Estimates, Fits, PointCloud

EVENTS = [3, 4, 5, 7, 8]
POINTS = [4, 0, 6, 0, 12]
"""Points by event; event 7 is a down-scale trigger, event 4 has none."""
CLUSTERS = [1, 0, 1, 0, 2]
CLUSTER_POINTS = [4, 5, 7, 4]
DOWNSCALE = 3
"""Position of event 7."""

Make = Callable[[], Records]


def filled(schema: type[Records], table: str, rows: int, **known: Any) -> dict[str, np.ndarray]:
    """A table of random values but for the columns that are given."""
    rng = np.random.default_rng(rows)
    columns = {c.name: rng.uniform(1.0, 2.0, rows).astype(c.dtype) for c in schema.table(table).columns}
    return columns | {name: np.asarray(values).astype(schema.table(table).column(name).dtype) for name, values in known.items()}


def offsets(counts: list[int]) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def chamber() -> Mapping[str, list[float]]:
    """Event 5 has no pulse, event 8 a second one."""
    return {
        "ic_amplitude": [1100.0, 1050.0, -1.0, 990.0, 1200.0],
        "ic_integral": [33000.0, 32000.0, -1.0, 31000.0, 36000.0],
        "ic_centroid": [1210.0, 1220.0, -1.0, 1230.0, 1240.0],
        "ic_multiplicity": [1.0, 1.0, 0.0, 1.0, 2.0],
    }


def of_events(values: list[float], counts: list[int]) -> np.ndarray:
    return np.repeat(values, counts)


@pytest.fixture
def points() -> PointCloud:
    z = np.concatenate([np.sort(np.random.default_rng(n).uniform(100, 900, n)) for n in POINTS])
    z[2] = z[1]
    events = filled(PointCloud, "events", 5, event=EVENTS, orig_run=[94] * 5, orig_event=EVENTS, trigger=[1, 1, 1, 2, 1], **chamber())
    rows = filled(PointCloud, "points", sum(POINTS), x=np.arange(sum(POINTS)), z=z, pad=np.arange(sum(POINTS)))
    rejections = [Rejection(DOWNSCALE, "ion-chamber down-scale trigger", excluded=True)]
    return PointCloud(n_events=5, columns={"events": events, "points": rows}, offsets={"points": offsets(POINTS)}, rejections=rejections)


@pytest.fixture
def clusters(points: PointCloud) -> Clusters:
    events = filled(Clusters, "events", 5, event=EVENTS, orig_run=[94] * 5, orig_event=EVENTS, **chamber())
    labelled = filled(Clusters, "clusters", 4, label=[0, 0, 0, 2], direction=[1, -1, 0, 1])
    index = np.concatenate([np.arange(4), np.arange(5), np.arange(7), np.arange(7, 11)])
    rows = index + np.repeat([0, 4, 10, 10], CLUSTER_POINTS)
    taken = {name: points["points"][name][rows] for name in ("x", "y", "z", "integral", "scale")}
    return Clusters(
        n_events=5,
        columns={"events": events, "clusters": labelled, "points": {**taken, "index": index.astype("i4")}},
        offsets={"clusters": offsets(CLUSTERS), "points": offsets(CLUSTER_POINTS)},
        rejections=list(points.rejections),
    )


@pytest.fixture
def estimates() -> Estimates:
    counts = [1, 0, 0, 0, 2]
    known = {name: of_events(values, counts) for name, values in chamber().items()}
    where = {"event": of_events(EVENTS, counts), "orig_event": of_events(EVENTS, counts), "orig_run": [94] * 3}
    rows = filled(Estimates, "estimates", 3, **where, cluster_index=[0, 0, 1], cluster_label=[0, 0, 2], direction=[0, 0, 1], **known)
    return Estimates(n_events=5, columns={"estimates": rows}, offsets={"estimates": offsets(counts)})


@pytest.fixture
def fits() -> Fits:
    """Two tracks, the second of which passes the gates of protons and of alpha particles."""
    counts = [1, 0, 0, 0, 2]
    where = {"event": of_events(EVENTS, counts), "orig_event": of_events(EVENTS, counts), "orig_run": [94] * 3}
    rows = filled(Fits, "fits", 3, **where, cluster_index=[0, 1, 1], cluster_label=[0, 2, 2], Z=[1, 1, 2], A=[1, 1, 4])
    return Fits(
        n_events=5,
        columns={**Fits.empty().columns, "fits": rows},
        offsets={**Fits.empty(5).offsets, "fits": offsets(counts)},
    )
