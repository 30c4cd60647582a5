"""The laws of every stage, for the stages of the family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from penstock.core.schema import Records
from penstock.core.stage import load_dotted
from penstock.instruments.attpc import INSTRUMENT
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.testing import StageContract
from penstock.tpc.schemas import PadMap
from penstock.tpc.stages import clusters, estimates, points

EVENTS = 6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Records]:
    """What each stage makes of a small simulated run; among its events is a down-scale trigger."""
    path = write_run(tmp_path_factory.mktemp("run"), TpcSimulation(seed=3, downscale_probability=0.3), 1, EVENTS)
    with load_dotted(INSTRUMENT.reader)(path) as reader:
        traces = reader.read(0, EVENTS)
    cloud = points.load_body()(traces=traces, params=points.params(), pads=pad_map())
    groups = clusters.load_body()(points=cloud, params=clusters.params())
    return {"traces": traces, "points": cloud, "clusters": groups}


def pad_map() -> Records:
    maker = load_dotted(INSTRUMENT.asset_makers[PadMap.schema_id()])
    pads: Records = maker({})
    return pads


class OnSimulatedRun(StageContract):
    """Tries a stage on the simulated run."""

    made: ClassVar[dict[str, Records]]

    @pytest.fixture(autouse=True)
    def _keep(self, made: dict[str, Records]) -> None:
        type(self).made = made

    def inputs(self) -> Mapping[str, Records]:
        return {slot: self.made[slot].part(0, EVENTS) for slot in self.stage.reads}


class TestPoints(OnSimulatedRun):
    stage = points

    def assets(self) -> Mapping[str, Records]:
        return {"pads": pad_map()}


class TestClusters(OnSimulatedRun):
    stage = clusters


class TestEstimates(OnSimulatedRun):
    stage = estimates
