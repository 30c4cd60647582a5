"""Results about nothing (a table) and about a whole run (a tally, a report in files)."""

from __future__ import annotations

import numpy as np
import pytest
from toybench import ToyExperiment
from toyline.schemas import Hits
from toyline.wholes import Curve, Report, Tally

from penstock.config import Resources
from penstock.core.errors import PipelineError
from penstock.core.stage import stage

PLUGINS = ("toyline.plugin", "toyline.wholes")


@pytest.fixture
def whole(toy: ToyExperiment) -> ToyExperiment:
    """A toy with two runs, a curve that its hits are scaled by, a tally and a report."""
    toy.configure(pipeline=("toy.hits", "toy.curve", "toy.calibrated", "toy.tally", "toy.report"), plugins=PLUGINS)
    toy.write_run(1)
    toy.write_run(2, seed=1)
    return toy


def test_a_result_without_subject_is_computed_once_for_all_runs(whole: ToyExperiment) -> None:
    states = whole.states(whole.run())

    assert states == {1: ["computed"] * 5, 2: ["computed", "current", "computed", "computed", "computed"]}
    manifest = whole.manifest("toy.curve")
    assert (manifest.subject, manifest.run, manifest.key) == ("none", None, whole.manifest("toy.curve", run=2).key)


def test_its_rows_are_joined_in_order_and_mapped_into_memory(whole: ToyExperiment) -> None:
    whole.run()

    curve = whole.store.read(whole.manifest("toy.curve"), Curve)["events"]

    assert isinstance(curve["powers"], np.memmap)
    np.testing.assert_array_equal(curve["x"], np.arange(10.0))
    np.testing.assert_array_equal(curve["powers"], ((np.arange(10)[:, None] + [0, 1, 2]) ** 2).astype("f4"))


def test_a_later_stage_gets_the_whole_of_it(whole: ToyExperiment) -> None:
    whole.run()

    plain = whole.store.read(whole.manifest("toy.hits"), Hits)
    scaled = whole.store.read(whole.manifest("toy.calibrated"), Hits)

    np.testing.assert_array_equal(scaled["hits"]["value"], plain["hits"]["value"] * np.float32(81))


def test_a_stage_that_works_event_by_event_gets_the_whole_of_it_too(whole: ToyExperiment) -> None:
    whole.run()
    together = whole.store.read(whole.manifest("toy.calibrated"), Hits)
    whole.configure(pipeline=("toy.hits", "toy.curve", "toy.calibrated_alone"), plugins=PLUGINS)

    states = whole.states(whole.run("1"))

    assert states == {1: ["current", "current", "computed"]}
    alone = whole.store.read(whole.manifest("toy.calibrated_alone"), Hits)
    assert alone["hits"]["value"].tobytes() == together["hits"]["value"].tobytes()


def test_a_changed_parameter_of_it_makes_later_stages_stale_and_says_why(whole: ToyExperiment) -> None:
    whole.run()

    plan = whole.plan("1", overrides={"toy.curve.power": 3.0})

    why = "toy.curve: power: 2.0 -> 3.0"
    assert [row[1:] for row in plan[:3]] == [
        ("toy.hits", "current", ""),
        ("toy.curve", "stale", "power: 2.0 -> 3.0"),
        ("toy.calibrated", "stale", why),
    ]


def test_workers_make_the_same_bytes(whole: ToyExperiment, make_toy: object) -> None:
    other = make_toy("other")  # type: ignore[operator]
    other.configure(pipeline=("toy.hits", "toy.curve", "toy.calibrated", "toy.tally", "toy.report"), plugins=PLUGINS)
    other.write_run(1)
    other.write_run(2, seed=1)

    whole.run()
    other.run(resources=Resources(executor="local", workers=2, batch_blocks=1))

    assert whole.digests() == other.digests()


def test_a_stage_of_a_whole_run_writes_several_tables(whole: ToyExperiment) -> None:
    whole.run()

    tally = whole.store.read(whole.manifest("toy.tally"), Tally)

    assert tally.n_events == 1
    assert len(tally["events_of_run"]["event"]) == 20
    assert tally["totals"]["values"].tolist() == [tally["events_of_run"]["values"].sum()]


def test_files_that_a_stage_writes_become_the_artifact(whole: ToyExperiment) -> None:
    whole.run()

    manifest = whole.manifest("toy.report", run=2)
    names = [f.name.partition("/")[2] for f in manifest.files]

    assert names == ["files/lists/hits.txt", "files/page.txt"]
    assert (whole.store.data_folder(manifest.key) / "page.txt").read_text() == "run 2: 20 events, raw ['text']\n"
    assert whole.store.read(manifest, Report).n_events == 1
    assert [p.name for p in whole.store.export(manifest.key, whole.folder / "out")] == [
        "hits.txt",
        "page.txt",
        f"{manifest.subject}.toy.report.manifest.json",
    ]
    assert [damage for _, damage in whole.store.verify([manifest.key])] == [None]


def test_a_stage_of_files_that_fails_leaves_nothing_and_fails_alone(whole: ToyExperiment) -> None:
    states = whole.states(whole.run("1", overrides={"toy.report.weight": -1.0}))

    assert states == {1: ["computed", "computed", "computed", "computed", "failed"]}
    assert not [name for name, _ in whole.store.refs() if name.endswith("toy.report")]


def test_a_declaration_that_cannot_work_is_refused() -> None:
    with pytest.raises(PipelineError, match="reads nothing, and with unit 'block' it names its count"):
        stage("toy.odd", version=1, body="a:b", params=Hits, reads={}, writes=Curve, lane="toy", subject="none")
    with pytest.raises(PipelineError, match="is stored as files, which only units 'run' and 'parts' can write"):
        stage("toy.odd", version=1, body="a:b", params=Hits, reads={"hits": Hits}, writes=Report, lane="toy")
