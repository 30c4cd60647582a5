from __future__ import annotations

from pathlib import Path

from penstock.core.canonical import digest_key
from penstock.core.selection import EventSelection
from penstock.core.subject import NoSubject, RawFile, Run, RunSetSubject, RunSubject

FILES = (RawFile("traces", 10, "aa"), RawFile("scalers", 5, "bb"))


def make_run(*, files: tuple[RawFile, ...] = FILES, folder: str = "here", experiment: str = "e") -> Run:
    return Run("toy", 94, files, tuple(Path(folder) / f.role for f in files), experiment=experiment)


def key_of(run: Run, events: EventSelection | None = None) -> str:
    return digest_key(RunSubject(run, events or EventSelection()).identity())


def test_the_place_of_the_files_and_the_experiment_are_not_in_the_key() -> None:
    assert key_of(make_run(folder="here")) == key_of(make_run(folder="elsewhere", experiment="other"))


def test_the_order_of_the_files_is_not_in_the_key() -> None:
    assert key_of(make_run(files=FILES)) == key_of(make_run(files=FILES[::-1]))


def test_the_content_of_the_files_is_in_the_key() -> None:
    assert key_of(make_run()) != key_of(make_run(files=(RawFile("traces", 10, "ac"), FILES[1])))


def test_an_event_selection_is_in_the_key_so_that_a_trial_never_poses_as_a_run() -> None:
    assert key_of(make_run(), EventSelection.parse("first:5")) != key_of(make_run())


def test_a_selection_of_everything_is_the_whole_run() -> None:
    assert key_of(make_run(), EventSelection.parse("0:")) == key_of(make_run())


def test_the_label_of_a_run_names_its_selection() -> None:
    assert RunSubject(make_run()).label == "run-0094"
    assert RunSubject(make_run(), EventSelection.parse("0:500")).label == "run-0094.events-0-500-1"


def test_a_set_of_runs_is_its_sorted_members() -> None:
    one, other = RunSetSubject(("b", "a"), "calibration"), RunSetSubject(("a", "b"), "calibration")

    assert one.identity() == other.identity() == {"set": ["a", "b"]}
    assert one.label == "set-calibration"


def test_no_subject_is_null() -> None:
    assert NoSubject().identity() is None
    assert NoSubject().label == "none"
