from __future__ import annotations

import os
import re

import pytest
from toybench import ToyExperiment

from penstock.core.errors import ConfigError
from penstock.core.plan import PlanRow
from penstock.execute import Quiet, StepResult, run

ALL = ["computed", "computed", "computed"]
CURRENT = ["current", "current", "current"]


def test_a_run_goes_through_all_stages(toy: ToyExperiment) -> None:
    toy.write_run(1)

    report = toy.run()

    assert toy.states(report) == {1: ALL}
    assert report.ok


def test_the_same_request_again_computes_nothing(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()

    assert toy.states(toy.run()) == {1: CURRENT}


def test_a_changed_parameter_recomputes_its_stage_and_those_after_it(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()

    report = toy.run(overrides={"toy.groups.width": 0.3})

    assert toy.states(report) == {1: ["current", "computed", "computed"]}


def test_going_back_to_old_parameters_finds_the_old_results(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()
    toy.run(overrides={"toy.groups.width": 0.3})

    assert toy.states(toy.run()) == {1: CURRENT}


def test_a_parameter_that_differs_by_run_range_is_resolved_before_the_key(toy: ToyExperiment) -> None:
    toy.write_run(99)
    toy.write_run(100)
    toy.run()

    assert toy.manifest("toy.hits", 99).recipe["params"] == {"threshold": 0.25}
    assert toy.manifest("toy.hits", 100).recipe["params"] == {"threshold": 0.5}
    assert toy.manifest("toy.hits", 100).origins == {"threshold": "preset default, runs 100-110"}


def test_only_wanted_stages_and_what_they_need_are_computed(toy: ToyExperiment) -> None:
    toy.write_run(1)

    report = toy.run(stages=("toy.groups",))

    assert [r.stage for r in report.results] == ["toy.hits", "toy.groups"]


def test_some_events_are_a_trial_that_never_poses_as_the_run(toy: ToyExperiment) -> None:
    toy.write_run(1)

    trial = toy.run(events="first:5")

    assert [(r.events_in, r.events_out) for r in trial.results] == [(5, 5)] * 3
    assert toy.states(toy.run()) == {1: ALL}
    assert sorted({name.split("/")[2] for name, _ in toy.store.refs()}) == ["run-0001", "run-0001.events-0-5-1"]


def test_every_second_event_is_read_from_the_run(toy: ToyExperiment) -> None:
    toy.write_run(1, n_events=9)
    toy.run(events="every:2")
    key = dict(toy.store.refs())["toys/default/run-0001.events-0--2/toy.hits"]
    manifest = toy.store.manifest(key)

    hits = toy.store.read(manifest, toy.load().registry.stage("toy.hits").writes)

    assert hits["events"]["event"].tolist() == [0, 2, 4, 6, 8]


def test_a_run_without_events_has_results_without_events(toy: ToyExperiment) -> None:
    toy.write_run(1, n_events=0)

    report = toy.run()

    assert toy.states(report) == {1: ALL}
    assert [(r.events_in, r.events_out) for r in report.results] == [(0, 0)] * 3
    assert toy.states(toy.run()) == {1: CURRENT}


def test_a_file_that_was_touched_is_hashed_again_and_nothing_is_computed(toy: ToyExperiment) -> None:
    path = toy.write_run(1)
    toy.run()
    os.utime(path, (1, 1))

    assert toy.plan()[0][2:] == ("missing", "not registered")
    assert toy.states(toy.run()) == {1: CURRENT}


def test_a_file_that_moved_to_another_folder_keeps_its_results(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()
    (toy.folder / "raw").rename(toy.folder / "moved")
    text = (toy.folder / "experiment.toml").read_text()
    (toy.folder / "experiment.toml").write_text(text.replace('raw = "raw"', 'raw = "moved"'))

    assert toy.states(toy.run()) == {1: CURRENT}


def test_a_file_with_new_content_is_computed_anew(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()
    toy.write_run(1, seed=5)

    assert toy.states(toy.run()) == {1: ALL}


def test_a_result_whose_data_file_is_gone_is_computed_anew_and_nothing_else(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()
    before = toy.digests()
    manifest = toy.manifest("toy.hits")
    (toy.store.home(manifest.key) / manifest.files[0].name).unlink()

    assert toy.states(toy.run()) == {1: ["computed", "current", "current"]}
    assert toy.digests() == before
    assert all(damage is None for _, damage in toy.store.verify())


def test_a_damaged_result_that_verify_set_aside_is_computed_anew(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()
    manifest = toy.manifest("toy.groups")
    path = toy.store.home(manifest.key) / manifest.files[0].name
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    damaged = [key for key, damage in toy.store.verify() if damage]

    assert damaged == [manifest.key]
    assert toy.states(toy.run()) == {1: ["current", "computed", "current"]}


def test_results_that_the_index_has_lost_are_adopted(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()
    toy.store.index.clear()

    assert [state for _, _, state, _ in toy.plan()] == ["missing"] * 3
    assert toy.states(toy.run()) == {1: CURRENT}
    assert [state for _, _, state, _ in toy.plan()] == ["current"] * 3


def test_two_experiments_that_share_a_store_share_results(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run()
    text = (toy.folder / "experiment.toml").read_text()
    (toy.folder / "experiment.toml").write_text(text.replace('name = "toys"', 'name = "others"'))

    assert toy.states(toy.run()) == {1: CURRENT}
    assert sorted({name.split("/")[0] for name, _ in toy.store.refs()}) == ["others", "toys"]


def test_the_manifest_tells_how_a_result_was_made(toy: ToyExperiment) -> None:
    toy.write_run(1)
    toy.run(overrides={"toy.groups.seed": 4})

    manifest = toy.manifest("toy.groups")

    assert manifest.inputs == {"hits": toy.manifest("toy.hits").key}
    assert manifest.origins == {"width": "default", "seed": "--set"}
    assert manifest.code["body"] == "toyline.bodies:find_groups"
    assert manifest.environment["numerics"]
    assert str(manifest.times["started"]).endswith("+00:00")
    assert manifest.counts.rows.keys() == {"groups", "members"}


def test_a_range_without_runs_is_wrong_usage(toy: ToyExperiment) -> None:
    message = f"run range 'all' selects no run; in {toy.folder.resolve()}/raw there are 0 runs."

    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        toy.run()


def test_a_report_has_the_documented_json(toy: ToyExperiment) -> None:
    toy.write_run(1, n_events=3)

    report = toy.run(stages=("toy.hits",)).as_json()

    (stage,) = report["runs"][0]["stages"]  # type: ignore[index,call-overload]
    assert {k: v for k, v in stage.items() if k not in ("key", "seconds")} == {
        "stage": "toy.hits",
        "state": "computed",
        "events_in": 3,
        "events_out": 3,
        "error": None,
    }
    assert (report["computed"], report["current"], report["failed"]) == (1, 0, 0)


class Notes(Quiet):
    """A watcher that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.events = 0

    def registering(self, name: str, done_bytes: int, total_bytes: int) -> None:
        self.heard.append(f"registering {name}")

    def planned(self, rows: list[PlanRow]) -> None:
        self.heard.append(f"planned {len(rows)}")

    def began(self, row: PlanRow, n_events: int) -> None:
        self.heard.append(f"began {row.stage.name} {n_events}")

    def advanced(self, row: PlanRow, n_events: int) -> None:
        self.events += n_events

    def ended(self, result: StepResult) -> None:
        self.heard.append(f"ended {result.stage} {result.state}")


def test_a_watcher_hears_of_every_step(toy: ToyExperiment) -> None:
    toy.write_run(1, n_events=7)
    notes = Notes()

    run(toy.load(), toy.store, toy.request(stages=("toy.hits",)), watcher=notes, resources=toy.inline)

    assert notes.heard == ["registering run 1, 1 file", "planned 1", "began toy.hits 7", "ended toy.hits computed"]
    assert notes.events == 7
