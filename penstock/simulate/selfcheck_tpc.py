"""The self-check of the TPC family: protons of known energy and angle, found again as tracks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from numpy.typing import NDArray

from penstock.core.canonical import Key
from penstock.simulate.score_tpc import score_tracks
from penstock.simulate.selfcheck import RUN, Check, Selfcheck, at_least, at_most, equal
from penstock.simulate.tpc_runs import truth_path, write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.store import Store
from penstock.tpc.schemas import Estimates

__all__ = ["SELFCHECK"]

EVENTS = 40
SETTINGS = TpcSimulation(seed=20260101, downscale_probability=0.0)
LEAST_FOUND = 0.95
LARGEST_SURPLUS = 0.1
LARGEST_POLAR_ERROR_DEG = 0.3
LARGEST_BRHO_ERROR = 0.008
LARGEST_VERTEX_Z_ERROR_MM = 3.0

_EXPERIMENT = """[experiment]
name = "selfcheck-tpc"
instrument = "attpc"
raw = "raw"
pipeline = ["tpc.points", "tpc.clusters", "tpc.estimates"]
"""


def _prepare(folder: Path) -> None:
    raw = folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    write_run(raw, SETTINGS, RUN, EVENTS)
    (folder / "experiment.toml").write_text(_EXPERIMENT)


def _compare(folder: Path, store: Store, keys: Mapping[str, Key]) -> list[Check]:
    manifest = store.manifest(keys["tpc.estimates"])
    estimates = store.read(manifest, Estimates)["estimates"]
    score = score_tracks(estimates, _truth(folder))
    return [
        equal("events read", manifest.counts.events_in, EVENTS),
        equal("events rejected", sum(manifest.counts.rejected.values()), 0),
        at_least("tracks found", score.found.value, LEAST_FOUND),
        at_most("surplus estimates", score.surplus.value, LARGEST_SURPLUS),
        at_most("median error of the polar angle [deg]", score.polar_error_deg.value, LARGEST_POLAR_ERROR_DEG),
        at_most("median relative error of the magnetic rigidity", score.brho_error.value, LARGEST_BRHO_ERROR),
        at_most("median error of the vertex along the beam [mm]", score.vertex_z_error_mm.value, LARGEST_VERTEX_Z_ERROR_MM),
    ]


def _truth(folder: Path) -> dict[str, NDArray[Any]]:
    """The columns that are scored, a row a track."""
    table = pq.read_table(truth_path(folder / "raw" / f"run_{RUN:04d}.h5"))
    return {name: table[name].to_numpy() for name in ("event", "polar", "brho", "vertex_z", "trigger")}


SELFCHECK = Selfcheck(_prepare, _compare)
