"""Watching a raw folder: what is told when, with a clock of the test's own."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from toybench import ToyExperiment

from penstock.core.selection import RunRange
from penstock.execute.watch import Arrival, Glance, RawWatch

STABLE = 30.0


def watch_of(toy: ToyExperiment, runs: str = "all") -> RawWatch:
    return RawWatch(toy.load(), toy.store, RunRange(runs), STABLE)


def arrive(watch: RawWatch, begin: float = 0.0) -> tuple[Arrival, ...]:
    """Two looks, so far apart that what does not change is complete."""
    watch.look(begin)
    return watch.look(begin + STABLE).arrivals


def test_a_run_is_told_when_it_was_stable_and_not_before(toy: ToyExperiment) -> None:
    path = toy.write_run(7)
    watch = watch_of(toy)

    assert [watch.look(now).arrivals for now in (0.0, 29.9)] == [(), ()]
    (arrival,) = watch.look(30.0).arrivals
    assert (arrival.run, arrival.size) == (7, path.stat().st_size)


def test_a_file_that_grows_is_not_told_until_it_rests(toy: ToyExperiment) -> None:
    path = toy.write_run(7, 4)
    watch = watch_of(toy)
    for now in (0.0, 25.0, 50.0):
        with path.open("a") as stream:
            stream.write("\n")
        assert watch.look(now) == Glance()

    assert watch.look(79.0) == Glance()
    assert len(watch.look(80.0).arrivals) == 1


def test_a_confirmed_run_is_told_once_also_after_a_restart(toy: ToyExperiment) -> None:
    toy.write_run(7)
    first = watch_of(toy)
    (arrival,) = arrive(first)
    first.confirm(arrival)

    assert first.look(100.0) == Glance()
    assert arrive(watch_of(toy), 200.0) == ()


def test_a_run_that_was_not_confirmed_is_told_again_with_the_same_key(toy: ToyExperiment) -> None:
    toy.write_run(7)
    (before,) = arrive(watch_of(toy))

    (after,) = watch_of(toy).look(31.0).arrivals

    assert after == before


def test_two_that_watch_tell_the_same_key(toy: ToyExperiment) -> None:
    toy.write_run(7)
    one, two = watch_of(toy), watch_of(toy)

    assert arrive(one) == arrive(two)


def test_a_file_that_grows_later_is_another_run(toy: ToyExperiment) -> None:
    toy.write_run(7, 4)
    watch = watch_of(toy)
    (small,) = arrive(watch)
    watch.confirm(small)
    toy.write_run(7, 6)

    (large,) = arrive(watch, 100.0)

    assert large.key != small.key


def test_a_run_that_is_current_already_is_not_told(toy: ToyExperiment) -> None:
    toy.write_run(7, 4)
    assert toy.run("7").ok

    assert arrive(watch_of(toy)) == ()


def test_other_runs_than_those_watched_are_left_alone(toy: ToyExperiment) -> None:
    toy.write_run(7)
    toy.write_run(8)

    assert [arrival.run for arrival in arrive(watch_of(toy, "8-99"))] == [8]


def test_a_run_that_vanishes_is_told_once(toy: ToyExperiment) -> None:
    path = toy.write_run(7)
    toy.write_run(8)
    watch = watch_of(toy)
    watch.look(0.0)
    path.unlink()

    assert watch.look(10.0).problems == (f"run 7: its files have gone from {toy.folder / 'raw'}",)
    assert watch.look(20.0) == Glance()


def test_a_file_that_cannot_be_read_is_told_once_and_tried_again(toy: ToyExperiment) -> None:
    path = toy.folder / "raw" / "toy_0007.txt"
    path.symlink_to("nowhere")
    watch = watch_of(toy)

    (problem,) = watch.look(0.0).problems
    assert problem.startswith("run 7: [Errno 2] No such file or directory")
    assert watch.look(10.0) == Glance()
    path.unlink()
    toy.write_run(7)
    assert len(arrive(watch, 20.0)) == 1


def test_a_run_whose_checksums_cannot_be_taken_is_told_once(toy: ToyExperiment) -> None:
    (toy.folder / "raw" / "toy_0007.txt").mkdir()
    watch = watch_of(toy)

    problems = [watch.look(now).problems for now in (0.0, 30.0, 60.0, 90.0)]

    assert [len(found) for found in problems] == [0, 1, 0, 0]
    assert problems[1][0].count("run 7: ") == 1
    assert "Is a directory" in problems[1][0]


def test_a_folder_that_is_not_mounted_is_told_once_and_forgets_no_run(toy: ToyExperiment) -> None:
    toy.write_run(7)
    watch = watch_of(toy)
    (arrival,) = arrive(watch)
    watch.confirm(arrival)
    raw, away = toy.folder / "raw", toy.folder / "away"
    raw.rename(away)

    assert watch.look(100.0).problems == (f"raw folder {raw} is not there. Mount it, or mend [experiment] raw.",)
    assert watch_of(toy).look(110.0) == Glance()
    away.rename(raw)
    assert arrive(watch_of(toy), 120.0) == ()


def test_an_empty_mount_point_is_told_once_and_forgets_no_run(toy: ToyExperiment) -> None:
    path = toy.write_run(7)
    watch = watch_of(toy)
    (arrival,) = arrive(watch)
    watch.confirm(arrival)
    away = path.rename(toy.folder / path.name)

    told = f"raw folder {path.parent} holds no run, and there were 1. Mount it, or mend [experiment] raw."
    assert [watch.look(now).problems for now in (100.0, 110.0)] == [(told,), ()]
    away.rename(path)
    assert arrive(watch_of(toy), 120.0) == ()


def test_a_run_that_lacks_a_file_is_waited_for(toy: ToyExperiment) -> None:
    toy.write_run(7)
    experiment = toy.load()
    files = {**experiment.instrument.files, "scalers": "scalers_{run:04d}.txt"}
    watch = RawWatch(replace(experiment, instrument=replace(experiment.instrument, files=files)), toy.store, RunRange("all"), STABLE)

    assert arrive(watch) == ()
    (toy.folder / "raw" / "scalers_0007.txt").write_text("1")
    assert len(arrive(watch, 100.0)) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 9}', '{"format": 1, "told": "", "runs": {"7": {"x": 1}}}'])
def test_a_damaged_memory_begins_anew(toy: ToyExperiment, text: str) -> None:
    toy.write_run(7)
    (before,) = arrive(watch_of(toy))
    (toy.store.root / "watch-toys.json").write_text(text)

    assert arrive(watch_of(toy), 100.0) == (before,)


def test_a_clock_that_is_set_back_only_delays(toy: ToyExperiment) -> None:
    toy.write_run(7)
    watch = watch_of(toy)
    watch.look(1000.0)

    assert len(arrive(watch, 10.0)) == 1


def test_nothing_but_the_memory_is_left_in_the_store(toy: ToyExperiment) -> None:
    toy.write_run(7)
    arrive(watch_of(toy))

    found = [path.name for path in toy.store.root.iterdir() if "watch" in path.name]
    assert found == ["watch-toys.json"]
    assert json.loads((toy.store.root / "watch-toys.json").read_text())["runs"]["7"]["dealt_with"] is False
