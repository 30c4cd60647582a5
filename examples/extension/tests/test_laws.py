"""The laws that every stage obeys: same bits alone and in a block, again and again, stored and read back."""

from collections.abc import Mapping
from typing import ClassVar

import pytest
from mygroup_stages.stages import energies, inside, one_track

from penstock.core.schema import Records
from penstock.testing import StageContract


class OnSimulatedRun(StageContract):
    """Tries a stage on the simulated run."""

    made: ClassVar[Mapping[str, Records]]

    @pytest.fixture(autouse=True)
    def _keep(self, made: Mapping[str, Records]) -> None:
        type(self).made = made

    def inputs(self) -> Mapping[str, Records]:
        return {slot: self.made[slot].part(0, self.made[slot].n_events) for slot in self.stage.reads}


class TestInside(OnSimulatedRun):
    stage = inside


class TestOneTrack(OnSimulatedRun):
    stage = one_track


class TestEnergies(OnSimulatedRun):
    stage = energies
