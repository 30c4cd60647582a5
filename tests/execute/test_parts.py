"""Results of a whole run that are made of parts, each computed apart."""

from __future__ import annotations

import pytest
from toybench import ToyExperiment

from penstock.config import Resources
from penstock.core.errors import ConfigError, PipelineError
from penstock.core.stage import stage

PLUGINS = ("toyline.plugin", "toyline.wholes")


@pytest.fixture
def parted(toy: ToyExperiment) -> ToyExperiment:
    """A toy whose run of 20 events is summed up in four parts."""
    toy.configure(pipeline=("toy.summed",), plugins=PLUGINS)
    toy.write_run(1)
    return toy


def sums(toy: ToyExperiment) -> list[float]:
    """What the stage wrote."""
    manifest = toy.manifest("toy.summed")
    return [float(line) for line in (toy.store.data_folder(manifest.key) / "sums.txt").read_text().split("\n")]


def test_the_result_is_made_of_all_parts_in_order(parted: ToyExperiment) -> None:
    report = parted.run()

    assert parted.states(report) == {1: ["computed"]}
    values = sums(parted)
    assert len(values) == 4
    parted.run(overrides={"toy.summed.events_a_part": 20})
    assert sums(parted) == [pytest.approx(sum(values), rel=1e-6)]


def test_events_and_rejections_are_those_that_the_finish_tells(parted: ToyExperiment) -> None:
    (result,) = parted.run().results

    assert (result.events_in, result.events_out, result.rejected) == (20, 19, 1)
    manifest = parted.manifest("toy.summed")
    assert (manifest.n_events, manifest.rejections) == (20, ((0, "it is the first", False),))


def test_workers_make_the_same_bytes_and_parts_of_a_dead_attempt_are_used_again(parted: ToyExperiment, make_toy: object) -> None:
    other = make_toy("other")  # type: ignore[operator]
    other.configure(pipeline=("toy.summed",), plugins=PLUGINS)
    other.write_run(1)

    parted.run()
    other.run(resources=Resources(executor="local", workers=2))

    assert parted.digests() == other.digests()


def test_a_part_that_fails_fails_the_run_and_leaves_nothing(parted: ToyExperiment) -> None:
    report = parted.run(overrides={"toy.summed.scale": -1.0})

    assert "a negative scale" in str(report.results[0].error)


def test_code_of_the_user_beside_experiment_toml_stands_in_the_key(parted: ToyExperiment) -> None:
    parted.run()
    (parted.folder / "notes.py").write_text("def f():\n    return 1\n")

    first = parted.plan()[0]
    parted.run()
    (parted.folder / "notes.py").write_text("def f():\n    '''A docstring changes nothing.'''\n    return 1  # nor does a comment\n")
    second = parted.plan()[0]
    (parted.folder / "notes.py").write_text("def f():\n    return 2\n")
    third = parted.plan()[0]

    assert [row[2] for row in (first, second, third)] == ["stale", "current", "stale"]
    assert third[3].startswith("origin: ")


def test_a_table_of_free_names_takes_any_of_them_and_they_stand_in_the_key(parted: ToyExperiment) -> None:
    parted.run()

    plan = parted.plan(overrides={"toy.summed.names.anything": 3})

    assert plan[0][2:] == ("stale", "names.anything: (absent) -> 3")
    with pytest.raises(ConfigError, match=r"'toy\.summed\.nams\.anything' is not known"):
        parted.plan(overrides={"toy.summed.nams.anything": 3})


def test_a_stage_of_parts_says_how_many_and_how_they_are_put_together(parted: ToyExperiment) -> None:
    declared = parted.manifest  # the toy is only here for its import path
    assert declared is not None
    from toyline.wholes import Report, SumParams

    with pytest.raises(PipelineError, match="names count and finish, writes files, and has block 1"):
        stage("toy.parts", version=1, body="a:b", params=SumParams, reads={}, writes=Report, lane="toy", unit="parts", block=1)
