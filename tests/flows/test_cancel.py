"""Cancelling a flow run on a real worker and a real cluster: batches, state and processes afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from upsite import Site, running_up, slow_experiment, until

from penstock_flows.up._health import ask

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.timeout(600)]

NOTICED_S = 3.0
"""Nothing waits any more so soon after the request; 0.3 s on a quiet machine."""
STOPPED_S = 8.0
"""Nothing runs any more so soon, whatever the batches do; five seconds of it are theirs."""
CANCELLED_S = 12.0
GONE_S = 30.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_up(tmp_path_factory.mktemp("cancel"), "--lane", "toy=2", "--no-schedules") as running:
        yield running


def begun(site: Site, folder: Path, batches: int = 4) -> str:
    """A flow run whose batches fill both workers, one running and one waiting each."""
    identity = site.trigger(experiment=str(folder), runs="1-2")
    until(lambda: site.batches() == batches, 120)
    time.sleep(1.0)
    return identity


def cancel(site: Site, identity: str) -> None:
    """What the UI's button does."""
    ask(f"{site.api}/flow_runs/{identity}/set_state", {"state": {"type": "CANCELLING"}, "force": True})


@pytest.mark.parametrize("seconds", [0.4, 60.0], ids=["batches that look", "batches that never look"])
def test_cancelling_drops_what_waits_stops_what_runs_and_leaves_no_process(site: Site, tmp_path: Path, seconds: float) -> None:
    identity = begun(site, slow_experiment(tmp_path / "toys", seconds))
    asked = time.monotonic()
    cancel(site, identity)
    until(lambda: site.batches() <= 2, NOTICED_S)
    until(lambda: site.batches() == 0, STOPPED_S)
    stopped = time.monotonic() - asked
    until(lambda: site.flow_run(identity)["state"]["type"] == "CANCELLED", CANCELLED_S)
    cancelled = time.monotonic() - asked
    until(lambda: not site.flow_processes(), GONE_S)
    print(f"no batch after {stopped:.1f} s, Cancelled after {cancelled:.1f} s, no process after {time.monotonic() - asked:.1f} s")
    until(lambda: site.workers() == 2, 30)
    assert (stopped < STOPPED_S, cancelled < CANCELLED_S) == (True, True)
    assert site.flow_run(identity)["state"]["name"] == "Cancelled"


def test_what_was_complete_is_reused_by_the_next_flow_run(site: Site, tmp_path: Path) -> None:
    folder = slow_experiment(tmp_path / "toys", 0.4, n_events=12)
    identity = begun(site, folder)
    cancel(site, identity)
    until(lambda: site.flow_run(identity)["state"]["type"] == "CANCELLED", CANCELLED_S)
    again = site.ended(site.trigger(experiment=str(folder), runs="1-2"))
    assert (again["type"], again["message"]) == ("COMPLETED", "6 computed")


def test_up_cancels_what_runs_when_it_is_stopped(tmp_path: Path) -> None:
    with running_up(tmp_path, "--lane", "toy=2") as running:
        begun(running, slow_experiment(tmp_path / "toys", 60.0))
        began = time.monotonic()
        running.process.terminate()
        running.process.wait(timeout=60)
        print(f"stopped after {time.monotonic() - began:.1f} s")
        assert "cancelled 1 flow run" in (tmp_path / "up.out").read_text()
        assert running.home.leftovers() == []
