from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.core.schema import Records
from penstock.core.stage import ArtifactFolder, RunSource, Stage, load_dotted
from penstock.tpc.schemas import Clusters, Estimates, PointCloud

sys.path.insert(0, str(Path(__file__).parent))

EVENTS = 4
COUNTS = np.array([3, 0, 5, 2])


@pytest.fixture
def points() -> PointCloud:
    """Four events, one of them empty; points ascend in z."""
    rng = np.random.default_rng(1)
    offsets = np.append(0, np.cumsum(COUNTS))
    columns = {c.name: rng.integers(0, 90, offsets[-1]).astype(c.dtype) for c in PointCloud.table("points").columns}
    for first, last in pairwise(offsets):
        columns["z"][first:last] = np.sort(rng.uniform(0, 900, last - first))
    events = dict(PointCloud.empty(EVENTS)["events"])
    events |= {"event": np.arange(10, 10 + EVENTS), "orig_run": np.full(EVENTS, 94), "trigger": np.ones(EVENTS, "i4")}
    return PointCloud(EVENTS, {"events": events, "points": columns}, {"points": offsets})


@pytest.fixture
def clusters(points: PointCloud) -> Clusters:
    """One cluster an event that has points: all of them."""
    columns = {name: points["points"][name] for name in ("x", "y", "z", "integral", "scale")}
    kept = COUNTS > 0
    return Clusters(
        EVENTS,
        {
            "events": {c.name: points["events"][c.name] for c in Clusters.table("events").columns},
            "clusters": {"label": np.zeros(kept.sum(), "i4"), "direction": np.ones(kept.sum(), "i4")},
            "points": {**columns, "index": np.concatenate([np.arange(n) for n in COUNTS]).astype("i4")},
        },
        {"clusters": np.append(0, np.cumsum(kept)), "points": np.append(0, np.cumsum(COUNTS[kept]))},
    )


@pytest.fixture
def estimates(points: PointCloud) -> Estimates:
    """One estimate an event that has points."""
    kept = np.flatnonzero(COUNTS)
    rows = {c.name: np.linspace(1, 2, len(kept)).astype(c.dtype) for c in Estimates.table("estimates").columns}
    rows["event"] = points["events"]["event"][kept]
    return Estimates(EVENTS, {"events": {}, "estimates": rows}, {"estimates": np.append(0, np.cumsum(COUNTS > 0))})


@pytest.fixture
def compute(tmp_path: Path, clusters: Clusters, estimates: Estimates) -> Callable[..., Path]:
    """Computes a stage that writes files, as a worker does; gives the folder with its files."""
    records: dict[str, Records] = {"clusters": clusters, "estimates": estimates}

    def run(stage: Stage, run: int = 94, inputs: dict[str, Path] | None = None, **params: Any) -> Path:
        def reading(slot: str) -> Callable[..., Records]:
            return lambda schema, start=0, stop=None: records[slot]

        slots = {slot: (inputs or {}).get(slot, tmp_path) for slot in stage.reads}
        folders = {slot: ArtifactFolder("key", folder, reading(slot)) for slot, folder in slots.items()}
        folder = tmp_path / f"{stage.name}-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        source = RunSource(run, {"traces": tmp_path / "run_0094.h5"}, folders, lambda: None)  # type: ignore[arg-type, return-value]
        load_dotted(stage.body)(source=source, params=stage.params(**params), folder=folder)
        return folder

    return run
