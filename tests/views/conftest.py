"""A small simulated run that went through all stages once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from penstock.config import Experiment, load_experiment
from penstock.core.schema import Records
from penstock.core.selection import RunRange
from penstock.execute import Request, run
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.store import Manifest, Store
from penstock.tpc.schemas import Clusters, Estimates, PointCloud

EVENTS = 6
EXPERIMENT = """[experiment]
name = "trial"
instrument = "attpc"
raw = "raw"

[resources]
executor = "inline"
"""


@dataclass(frozen=True)
class Processed:
    """An experiment whose run 1 is current, run 2 is not computed."""

    experiment: Experiment
    store: Store

    def manifest(self, stage: str) -> Manifest:
        """The artifact of run 1."""
        return self.store.manifest(self.store.index.refs()[f"trial/default/run-0001/{stage}"])

    def records(self, stage: str, schema: type[Records]) -> Records:
        """What that artifact holds."""
        return self.store.read(self.manifest(stage), schema)

    @property
    def points(self) -> PointCloud:
        """The points of run 1."""
        return self.records("tpc.points", PointCloud)

    @property
    def clusters(self) -> Clusters:
        """The clusters of run 1."""
        return self.records("tpc.clusters", Clusters)

    @property
    def estimates(self) -> Estimates:
        """The tracks of run 1."""
        return self.records("tpc.estimates", Estimates)


@pytest.fixture(scope="session")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processed]:
    """The experiment."""
    folder = tmp_path_factory.mktemp("views")
    settings = TpcSimulation(seed=3, particles=("p", "4He"), downscale_probability=0.0)
    write_run(folder / "raw", settings, 1, EVENTS, compression="gzip")
    write_run(folder / "raw", settings, 2, 1, compression="gzip")
    write_run(folder / "raw", settings.model_copy(update={"downscale_probability": 1.0}), 3, 2, compression="gzip")
    (folder / "experiment.toml").write_text(EXPERIMENT)
    experiment = load_experiment(folder)
    with Store(experiment.store_path) as store:
        assert run(experiment, store, Request(RunRange("1,3"))).ok
        yield Processed(experiment, store)
