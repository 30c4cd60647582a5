"""A schedule that fires on a real server, for a real worker: the second time everything is current."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from currentruns import make_current_runs
from realworker import forget, seconds_running, until, worker
from toybench import ToyExperiment

from penstock_flows.deployments import apply

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1200)]

RESOURCES = '[resources]\nexecutor = "inline"\n'


@pytest.fixture
def client(api: Any) -> Iterator[Any]:
    with api.client() as found:
        yield found
        forget(found)


def told(client: Any, run: Any) -> str:
    """What a flow run took, of which its start-up is no part."""
    begin = (run.start_time - run.expected_start_time).total_seconds()
    return f"{run.name}: {run.state.message}; {seconds_running(client, run.id):.1f} s from Running to Completed, {begin:.1f} s to begin"


def test_the_schedule_fires_twice_and_the_second_time_everything_is_current(
    client: Any, api: Any, toy: ToyExperiment, tmp_path: Path
) -> None:
    toy.write_run(1, 4)
    toy.configure(RESOURCES)
    apply([toy.folder], schedule=20.0)

    def completed() -> list[Any]:
        found = [r for r in api.runs_named("reprocess toy toys ") if r.state.name == "Completed"]
        return sorted(found, key=lambda r: r.start_time) if len(found) >= 2 else []

    with worker(api.settings, tmp_path / "worker.log"):
        first, second = until(completed, 900, "two flow runs of the schedule")[:2]
    print(f"{told(client, first)}\n{told(client, second)}")
    assert (first.state.message, second.state.message) == ("3 computed", "3 current")
    assert first.auto_scheduled
    assert second.start_time >= first.end_time


def test_a_thousand_current_runs_are_settled_without_a_task(client: Any, api: Any, toy: ToyExperiment, tmp_path: Path) -> None:
    toy.configure(RESOURCES)
    make_current_runs(toy, 1000)
    apply([toy.folder], schedules_active=False)
    made = client.read_deployment_by_name("reprocess/reprocess-toys")
    parameters = {"request": {"experiment": str(toy.folder), "runs": "all"}}
    flow_run = client.create_flow_run_from_deployment(made.id, parameters=parameters)

    with worker(api.settings, tmp_path / "worker.log"):
        done = until(lambda: (r := client.read_flow_run(flow_run.id)).state.is_final() and r, 900, "the flow run ends")
    print(told(client, done))
    assert (done.state.name, done.state.message) == ("Completed", "3000 current")
    assert api.task_runs(flow_run.id, 0) == []
