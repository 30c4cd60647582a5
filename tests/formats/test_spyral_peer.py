"""The real Spyral goes on from what we export. Runs where `make peers` has installed it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import pyarrow.parquet as pq
import pytest

from penstock.core.stage import load_dotted
from penstock.formats.attpc import AttpcRun
from penstock.formats.spyral.clouds import write_clusters, write_points
from penstock.formats.spyral.tables import write_estimates, write_fits
from penstock.instruments.attpc import INSTRUMENT
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.tpc.assets import PadMap
from penstock.tpc.params import ClusterParams, EstimateParams, PointParams

HERE = Path(__file__)
PEER = HERE.parents[2] / ".peers/spyral/bin/python"
EVENTS = 8

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PEER.exists(), reason="Spyral is not installed; install it with: make peers"),
]

NextPhase = Callable[[str], Path]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What our stages make of a simulated run, exported."""
    folder = tmp_path_factory.mktemp("workspace")
    raw = write_run(tmp_path_factory.mktemp("raw"), TpcSimulation(seed=8, downscale_probability=0.0), 1, EVENTS)
    with AttpcRun(raw) as reader:
        traces = reader.read(0, EVENTS)
    pads = load_dotted(INSTRUMENT.asset_makers[PadMap.schema_id()])({})
    points = load_dotted("penstock.tpc.points:find_points")(traces=traces, params=PointParams(), pads=pads)
    clusters = load_dotted("penstock.tpc.clusters:find_clusters")(points=points, params=ClusterParams())
    estimates = load_dotted("penstock.tpc.estimates:estimate_tracks")(clusters=clusters, params=EstimateParams())
    write_points([points], folder / "Pointcloud/run_0001.h5")
    write_clusters([clusters], folder / "Cluster/run_0001.h5")
    write_estimates([estimates], folder / "Estimation/run_0001.parquet")
    return folder


@pytest.fixture(scope="module")
def next_phase(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> NextPhase:
    """Run one of Spyral's phases on the export; the folder of its output."""

    def run(phase: str) -> Path:
        own = tmp_path_factory.mktemp(phase)
        for folder in ("Pointcloud", "Cluster", "Estimation"):
            if folder != phase:
                (own / folder).symlink_to(workspace / folder)
        command = [PEER, "-W", "ignore", HERE.with_name("spyral_next_phase.py"), phase, own, "1"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, done.stderr
        return own / phase

    return run


def test_spyral_clusters_our_points(workspace: Path, next_phase: NextPhase) -> None:
    made = next_phase("Cluster")
    with h5py.File(made / "run_0001.h5") as theirs, h5py.File(workspace / "Cluster/run_0001.h5") as ours:
        assert set(theirs["cluster"]) == set(ours["cluster"])
        found = [int(event.attrs["nclusters"]) for event in theirs["cluster"].values()]
        assert sum(found) >= EVENTS - 2
        assert layout(theirs) == layout(ours)


def test_spyral_estimates_our_clusters(workspace: Path, next_phase: NextPhase) -> None:
    theirs = pq.read_table(next_phase("Estimation") / "run_0001.parquet")
    ours = pq.read_table(workspace / "Estimation/run_0001.parquet")
    assert theirs.num_rows >= EVENTS - 2
    assert [(f.name, f.type) for f in theirs.schema] == [(f.name, f.type) for f in ours.schema]


def test_spyral_fits_our_estimates_and_clusters_and_our_fits_have_the_columns_of_its_own(next_phase: NextPhase, fits, tmp_path) -> None:
    theirs = pq.read_table(next_phase("InterpSolver") / "run_0001_1H.parquet")
    ours = pq.read_table(write_fits([fits], tmp_path, 94)[0])
    assert theirs.num_rows >= EVENTS - 2
    assert [(f.name, f.type) for f in theirs.schema] == [(f.name, f.type) for f in ours.schema]


def layout(file: h5py.File) -> set[tuple[str, ...]]:
    """Kinds of groups, datasets and attributes, numbers left out; attributes of the ion chamber may be of either type."""
    found: set[tuple[str, ...]] = set()

    def enter(name: str, item: h5py.Group | h5py.Dataset) -> None:
        plain = "/".join(part.rstrip("0123456789") for part in name.split("/"))
        found.add((plain, str(getattr(item, "dtype", "group"))))
        found.update((plain, key, "" if key.startswith("ic_") else item.attrs[key].dtype.str) for key in item.attrs)

    file.visititems(enter)
    return found
