"""`kill -9` in the middle of a range of twenty runs, of one part after another: the same command completes, nothing is done twice."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from killsite import ENDED, RUNS, STEPS, TOYS, KillSite, committed, faults, planned, running_site, until, write_range
from upsite import running_up

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.timeout(900)]

SOME = 9
"""So many of the sixty artifacts are there when something is killed."""
OUTAGE_S = 15.0
"""How long the Prefect server is away, in seconds."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillSite]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


class Range:
    """Twenty runs, of which some are done when something is killed."""

    def __init__(self, site: KillSite, folder: Path) -> None:
        self.site = site
        self.folder = write_range(folder / "range", site.scheduler)
        self.first = site.trigger(self.folder)
        until(lambda: len(committed(self.folder)) >= SOME, 200, "some artifacts are committed")

    def killed(self) -> None:
        """Called at once after the kill: keep what was committed."""
        self.began = time.monotonic()
        self.before = committed(self.folder)
        assert 0 < len(self.before) < STEPS

    def goes_on(self) -> None:
        """The flow run completes by itself."""
        state = self.site.ended(self.first)
        print(
            f"\n{len(self.before)} of {STEPS} were there; the flow run went on and ended {time.monotonic() - self.began:.0f} s after the kill: {state['message']}"
        )
        assert (state["type"], state["message"]) == ("COMPLETED", f"{STEPS} computed")

    def same_command(self, *, computed: int) -> None:
        """The same request completes, computes so many and leaves a store without fault."""
        again = self.site.trigger(self.folder)
        state = self.site.ended(again)
        print(f"\nthe same command ended {time.monotonic() - self.began:.0f} s after the kill: {state['message']}")
        counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", state["message"])}
        assert state["type"] == "COMPLETED", state
        assert (counts.get("computed", 0), sum(counts.values())) == (computed, STEPS)
        after = committed(self.folder)
        assert {key: after[key] for key in self.before} == self.before
        assert planned(self.folder) == {"current"}
        assert faults(self.folder) == []
        until(lambda: not self.site.flow_processes(), 60, "no process of a flow run is left")


@pytest.fixture
def run_range(site: KillSite, tmp_path: Path) -> Range:
    return Range(site, tmp_path)


def test_flow_process(run_range: Range) -> None:
    (process,) = run_range.site.flow_processes()
    process.kill()
    psutil.wait_procs([process], timeout=10)
    run_range.killed()
    run_range.same_command(computed=STEPS - len(run_range.before))
    assert run_range.site.state(run_range.first)["type"] == "CRASHED"


def test_dask_worker_whose_nanny_lives(run_range: Range) -> None:
    run_range.site.marked("spawn_main")[0].kill()
    run_range.killed()
    run_range.goes_on()
    run_range.same_command(computed=0)


def test_dask_worker_with_its_nanny(run_range: Range) -> None:
    run_range.site.kill("dask-1")
    run_range.killed()
    time.sleep(3.0)
    run_range.site.start("dask-1")
    run_range.goes_on()
    run_range.same_command(computed=0)


def test_dask_scheduler(run_range: Range) -> None:
    site = run_range.site
    site.kill("scheduler")
    run_range.killed()
    time.sleep(3.0)
    site.start("scheduler")
    site.restart_ended("dask-1", "dask-2")
    run_range.goes_on()
    run_range.same_command(computed=0)


def test_prefect_worker_alone(run_range: Range) -> None:
    run_range.site.kill("worker", group=False)
    run_range.killed()
    run_range.site.start("worker")
    run_range.goes_on()
    run_range.same_command(computed=0)


def test_prefect_worker_with_the_flow_process(run_range: Range) -> None:
    run_range.site.kill("worker")
    for process in run_range.site.flow_processes():
        process.kill()
    run_range.killed()
    run_range.site.start("worker")
    run_range.same_command(computed=STEPS - len(run_range.before))


def test_prefect_server(run_range: Range) -> None:
    run_range.site.kill("server")
    run_range.killed()
    time.sleep(OUTAGE_S)
    run_range.site.start("server")
    run_range.goes_on()
    run_range.same_command(computed=0)


def test_deploy_that_is_killed_is_completed_by_the_next_one(site: KillSite, tmp_path: Path) -> None:
    folder = str(write_range(tmp_path / "deployed", site.scheduler))
    for change in (1, 2, 2):
        site.shell(str(TOYS / "dieat.py"), "deploy", str(change), folder, code=-signal.SIGKILL)
    finished = json.loads(site.deploy(folder, "--json"))
    again = json.loads(site.deploy(folder, "--json"))
    assert {item["outcome"] for item in finished} == {"created", "unchanged"}
    assert {item["outcome"] for item in again} == {"unchanged"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_prune_that_is_killed_leaves_every_artifact_whole_in_the_store_or_in_the_trash(site: KillSite, tmp_path: Path, when: str) -> None:
    folder = write_range(tmp_path / "pruned", "inline", 0.0)
    for width in ("0.2", "0.1"):
        site.shell("-m", "penstock.cli", "run", str(folder), "--no-prefect", "--set", f"toy.groups.width={width}")
    assert len(committed(folder)) == STEPS + 2 * STEPS // 3
    site.shell(str(TOYS / "dieat.py"), "prune", "7", str(folder), when, code=-signal.SIGKILL)
    assert planned(folder) == {"current"}
    site.shell(str(TOYS / "dieat.py"), "prune", "0", str(folder), when)
    gone = [path for path in (folder / "store" / "trash").iterdir() if (path / "manifest.json").exists()]
    assert len(gone) == 2 * STEPS // 3
    assert planned(folder) == {"current"}
    assert faults(folder) == []


def test_up_is_killed_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TOYS))
    folder = write_range(tmp_path / "range", None)
    request = {"experiment": str(folder), "runs": f"1-{RUNS}"}
    with running_up(tmp_path, "--lane", "toy=2") as running:
        first = running.trigger(**request)
        until(lambda: len(committed(folder)) >= SOME, 200, "some artifacts are committed")
        running.process.kill()
        until(lambda: not running.home.leftovers(), 30, "its parts end")
        running.home.state.unlink()
        began = time.monotonic()
        before = committed(folder)
    with running_up(tmp_path, "--lane", "toy=2") as running:
        ready = time.monotonic() - began
        state = running.ended(running.trigger(**request))
        after = committed(folder)
        print(f"\n{len(before)} of {STEPS} were there; ready again after {ready:.0f} s, done after {time.monotonic() - began:.0f} s")
        until(lambda: running.flow_run(first)["state"]["type"] in ENDED, 150, "the first flow run is given up")
        print(f"the first flow run is {running.flow_run(first)['state']} after {time.monotonic() - began:.0f} s")
    assert state["message"] == f"{STEPS - len(before)} computed, {len(before)} current"
    assert {key: after[key] for key in before} == before
    assert faults(folder) == []
