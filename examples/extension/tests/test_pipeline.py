"""Our stages in a pipeline: appended, injected, put in another's place; and what is said where they do not fit."""

import re

import pytest
from mygroup_stages.stages import energies, inside, one_track

from penstock.core.errors import PipelineError
from penstock.core.stage import Pipeline
from penstock.instruments.attpc import INSTRUMENT
from penstock.tpc.stages import clusters, estimates, points

RAW = (INSTRUMENT.raw,)


def test_an_appended_stage_reads_what_two_stages_before_it_wrote() -> None:
    pipeline = Pipeline((points, clusters, estimates, energies), RAW)

    assert pipeline.bindings["mygroup.energies"] == {"clusters": "tpc.clusters", "estimates": "tpc.estimates"}


def test_an_injected_stage_feeds_those_after_it() -> None:
    pipeline = Pipeline((points, inside, clusters, estimates), RAW)

    assert pipeline.bindings["mygroup.inside"] == {"points": "tpc.points"}
    assert pipeline.bindings["tpc.clusters"] == {"points": "mygroup.inside"}


def test_a_stage_takes_the_place_of_another_that_writes_the_same() -> None:
    pipeline = Pipeline((points, one_track, estimates, energies), RAW)

    assert pipeline.bindings["tpc.estimates"] == {"clusters": "mygroup.one_track"}
    assert pipeline.bindings["mygroup.energies"]["clusters"] == "mygroup.one_track"


def test_a_stage_whose_input_nobody_writes_is_refused() -> None:
    message = (
        "stage 'mygroup.energies': slot 'estimates' wants schema 'tpc.estimates/1', but the stages before it write "
        "'tpc.points/1', 'tpc.clusters/1'. Put a stage that writes 'tpc.estimates/1' before it."
    )

    with pytest.raises(PipelineError, match=f"^{re.escape(message)}$"):
        Pipeline((points, clusters, energies), RAW)
