"""The laws of every stage, for the stages of the family."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from penstock.core.schema import Records
from penstock.core.stage import RunSource, Stage, load_dotted
from penstock.formats.attpc import AttpcRun
from penstock.formats.get.run import GetRun
from penstock.instruments.attpc import INSTRUMENT
from penstock.simulate.get_runs import write_get_run
from penstock.simulate.tpc_runs import write_run
from penstock.simulate.tpc_settings import TpcSimulation
from penstock.testing import RunStageContract, StageContract, TableContract
from penstock.tpc.assets import Electronics, GasTable, Gates, PadMap, StoppingTables
from penstock.tpc.params import FitParams, MeshParams
from penstock.tpc.stages import STAGES, clusters, estimates, fits, kinematics, mesh, points, readout, scalers

EVENTS = 6
SIMULATION = TpcSimulation(seed=3, downscale_probability=0.3)
MESH = MeshParams(ke_min_mev=1.0, ke_max_mev=10.0, ke_bins=40, polar_min_deg=15.0, polar_max_deg=90.0, polar_bins=31)
FITS = FitParams(ic_max_adc=1150.0)
"""Leaves some tracks out."""
GAS = {"gas": GasTable.empty(), "stopping": StoppingTables.empty()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Records]:
    """What each stage makes of a small simulated run; among its events is a down-scale trigger."""
    path = write_run(tmp_path_factory.mktemp("run"), SIMULATION, 1, EVENTS)
    with load_dotted(INSTRUMENT.reader)(path) as reader:
        traces = reader.read(0, EVENTS)
    cloud = points.load_body()(traces=traces, params=points.params(), pads=pad_map())
    groups = clusters.load_body()(points=cloud, params=clusters.params())
    tracks = estimates.load_body()(clusters=groups, params=estimates.params())
    grid = mesh.load_body()(positions=range(MESH.ke_bins * MESH.polar_bins), params=MESH)
    fitted = fits.load_body()(clusters=groups, estimates=tracks, mesh=grid, params=FITS, gates=Gates.empty(), gas=GasTable.empty())
    return {"traces": traces, "points": cloud, "clusters": groups, "estimates": tracks, "mesh": grid, "fits": fitted}


def pad_map() -> Records:
    maker = load_dotted(INSTRUMENT.asset_makers[PadMap.schema_id()])
    pads: Records = maker({})
    return pads


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_stage_has_a_figure(stage: Stage) -> None:
    assert callable(load_dotted(stage.figure))


class OnSimulatedRun(StageContract):
    """Tries a stage on the simulated run."""

    made: ClassVar[dict[str, Records]]

    @pytest.fixture(autouse=True)
    def _keep(self, made: dict[str, Records]) -> None:
        type(self).made = made

    def inputs(self) -> Mapping[str, Records]:
        return {slot: self.made[slot].part(0, EVENTS) for slot in self.stage.reads if slot not in self.whole()}


class TestPoints(OnSimulatedRun):
    stage = points

    def assets(self) -> Mapping[str, Records]:
        return {"pads": pad_map()}


class TestClusters(OnSimulatedRun):
    stage = clusters


class TestEstimates(OnSimulatedRun):
    stage = estimates


class TestMesh(TableContract):
    stage = mesh

    def params(self) -> MeshParams:
        return MESH.model_copy(update={"particles": ("1H", "4He"), "ke_bins": 9, "polar_bins": 13})

    def assets(self) -> Mapping[str, Records]:
        return GAS


class TestFits(OnSimulatedRun):
    stage = fits

    def params(self) -> FitParams:
        return FITS

    def assets(self) -> Mapping[str, Records]:
        return {"gates": Gates.empty(), "gas": GasTable.empty()}

    def whole(self) -> Mapping[str, Records]:
        return {"mesh": self.made["mesh"]}

    def test_it_is_tried_on_fits_and_on_what_is_left_out(self) -> None:
        records = self.result()

        assert min(int(records.offsets[table][-1]) for table in ("fits", "left_out")) > 0


class TestFitsByMinimisation(TestFits):
    def params(self) -> FitParams:
        return FITS.model_copy(update={"method": "lbfgsb"})


class TestKinematics(OnSimulatedRun):
    stage = kinematics

    def assets(self) -> Mapping[str, Records]:
        return GAS


class TestScalers(RunStageContract):
    stage = scalers

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self._path = write_run(tmp_path, SIMULATION, 1, 1, layout="merger-2.0")

    def source(self) -> RunSource:
        return RunSource(1, {"traces": self._path}, {}, lambda: AttpcRun(self._path))


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Files of the data acquisition; a board lacks in the last event."""
    folder = write_get_run(tmp_path_factory.mktemp("daq"), SIMULATION, 1, 2)
    paths = tuple(sorted(path for path in folder.rglob("*") if path.suffix in (".graw", ".evt")))
    paths[0].write_bytes(paths[0].read_bytes()[:-100])
    return paths


class TestReadout(RunStageContract):
    stage = readout

    @pytest.fixture(autouse=True)
    def _files(self, damaged: tuple[Path, ...]) -> None:
        self._paths = damaged

    def source(self) -> RunSource:
        return RunSource(1, {}, {}, lambda: GetRun(*self._paths))

    def assets(self) -> Mapping[str, Records]:
        return {"electronics": Electronics.empty()}

    def test_it_is_tried_on_incomplete_events(self) -> None:
        assert int(self.result().offsets["incomplete"][-1]) == 1
