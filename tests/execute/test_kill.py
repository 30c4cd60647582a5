"""The main process is killed; then the same command is given again."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from toybench import ToyExperiment, report_of

Maker = Callable[[str], ToyExperiment]


def fill(toy: ToyExperiment, switches: dict[int, str] | None = None) -> ToyExperiment:
    toy.write_run(1, n_events=9, switches=switches)
    toy.write_run(2, n_events=9)
    return toy


def assert_nothing_is_half_there(toy: ToyExperiment) -> None:
    assert all(damage is None for _, damage in toy.store.verify())


def assert_finished_like(toy: ToyExperiment, reference: ToyExperiment) -> None:
    report = toy.run()
    assert report.ok
    assert toy.digests() == reference.digests()
    assert all(damage is None for _, damage in toy.store.verify())
    assert [row[2] for row in toy.plan()] == ["current"] * 6


@pytest.fixture
def reference(make_toy: Maker) -> ToyExperiment:
    """The same runs, never disturbed."""
    experiment = fill(make_toy("reference"))
    experiment.run()
    return experiment


@pytest.mark.parametrize(
    "place",
    [
        "after-block:3",
        "before-join:2",
        "before-seal:2",
        "before-publish:2",
        "before-link:2",
        "after-link:2",
        "before-index:2",
        "before-ref:2",
        "after-ref:2",
    ],
)
def test_a_kill_in_the_middle_of_a_commit_is_finished_by_the_same_command(make_toy: Maker, reference: ToyExperiment, place: str) -> None:
    toy = fill(make_toy("toy"))
    process = toy.drive("--die", place)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL

    assert_nothing_is_half_there(toy)
    assert_finished_like(toy, reference)


def test_blocks_of_a_killed_attempt_are_used_again(toy: ToyExperiment) -> None:
    toy.write_run(1, n_events=9)
    process = toy.drive("--die", "before-join:1")
    process.communicate(timeout=60)

    toy.run()

    assert toy.manifest("toy.hits").times["adopted_blocks"] == 5
    assert toy.manifest("toy.groups").times["adopted_blocks"] == 0


def kill_at_random(toy: ToyExperiment, seed: int, *options: str) -> None:
    process = toy.drive(*options)
    while not (toy.store.root / "objects").exists() and process.poll() is None:
        time.sleep(0.002)
    time.sleep(random.Random(seed).uniform(0.0, 0.4))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_a_kill_at_a_random_moment_is_finished_by_the_same_command(make_toy: Maker, reference: ToyExperiment, seed: int) -> None:
    toy = fill(make_toy("toy"))
    kill_at_random(toy, seed)

    assert_nothing_is_half_there(toy)
    assert_finished_like(toy, reference)


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("seed", range(20))
def test_a_kill_of_the_main_process_of_a_cluster_is_finished_by_the_same_command(make_toy: Maker, seed: int) -> None:
    slow = dict.fromkeys(range(9), "sleep:0.02")
    undisturbed, toy = fill(make_toy("undisturbed"), slow), fill(make_toy("toy"), slow)
    undisturbed.run()
    kill_at_random(toy, seed, "--executor", "local", "--workers", "2")

    assert_nothing_is_half_there(toy)
    report_of(toy.drive("--executor", "local", "--workers", "2"))
    assert_finished_like(toy, undisturbed)


def wait_for(place: Path) -> None:
    deadline = time.monotonic() + 60
    while not place.exists():
        assert time.monotonic() < deadline, f"{place.name} did not appear"
        time.sleep(0.01)


def test_a_second_process_waits_and_adopts_the_result(toy: ToyExperiment, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    toy.write_run(1, n_events=9, switches={5: f"wait@{gate}"})
    first = toy.drive()
    wait_for(tmp_path / "gate.reached")
    second = toy.drive()
    wait_for_a_second_reader(toy)

    gate.touch()

    counts = [(r["computed"], r["current"], r["failed"]) for r in (report_of(first), report_of(second))]
    assert counts == [(3, 0, 0), (0, 3, 0)]
    assert len(list(toy.store.manifests())) == 3


def wait_for_a_second_reader(toy: ToyExperiment) -> None:
    """Until two processes beside this one have the index open."""
    deadline = time.monotonic() + 60
    target = (toy.store.root / "index.sqlite").resolve()
    while len([p for p in Path("/proc").glob("[0-9]*") if opens(p, target)]) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)


def opens(process: Path, target: Path) -> bool:
    try:
        return any(link.readlink() == target for link in (process / "fd").iterdir())
    except OSError:
        return False


def test_a_claim_of_a_killed_process_is_taken_over_at_once(toy: ToyExperiment, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    toy.write_run(1, n_events=9, switches={5: f"wait@{gate}"})
    process = toy.drive()
    wait_for(tmp_path / "gate.reached")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    gate.touch()
    assert len(toy.store.index.claims()) == 1

    assert toy.states(toy.run()) == {1: ["computed"] * 3}
    assert toy.store.index.claims() == {}


def test_sigterm_keeps_what_was_committed_and_the_same_command_finishes(toy: ToyExperiment, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    toy.write_run(1, n_events=9)
    toy.write_run(2, n_events=9, switches={5: f"wait@{gate}"})
    process = toy.drive()
    wait_for(tmp_path / "gate.reached")

    process.send_signal(signal.SIGTERM)
    gate.touch()
    process.communicate(timeout=60)

    assert process.returncode == 3
    assert toy.store.index.claims() == {}
    assert toy.states(toy.run()) == {1: ["current"] * 3, 2: ["computed"] * 3}
    assert toy.manifest("toy.hits", 2).times["adopted_blocks"] == 3
