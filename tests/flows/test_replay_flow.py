"""The flow `replay` on a real Prefect server."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import State

from penstock.events.request import ReplayRequest
from penstock.formats.captures import CaptureWriter
from penstock.stream.models import EventData, StreamData
from penstock_flows.replay import replay

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

WORKER = """
class Worker:
    def process_event(self, event):
        return len(event.streams["det"].frames[0])
"""
REDUCER = """
class Reducer:
    def __init__(self):
        self.total = 0

    def process_result(self, result):
        self.total += result.payload
        if self.total > 1000:
            raise OverflowError("too much")

    def finish(self):
        with open("total.txt", "w") as file:
            file.write(str(self.total))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's two classes and a capture of six events."""
    (tmp_path / "mapping.py").write_text(WORKER)
    (tmp_path / "reducing.py").write_text(REDUCER)
    with CaptureWriter(tmp_path / "scan.cbors") as writer:
        for number in range(6):
            writer.write(EventData(number, {"det": StreamData("x", [b"." * (number + 1)])}, None))
    return tmp_path


def run(folder: Path, **fields: Any) -> State[Any]:
    asked = {"worker": "mapping:Worker", "reducer": "reducing:Reducer", "files": ["scan.cbors"], "executor": "inline", "output": "out"}
    state: State[Any] = replay(ReplayRequest(folder=str(folder), **{**asked, **fields}), return_state=True)
    return state


def test_the_files_of_the_reducer_are_kept_and_copied_out_also_when_they_are_current(api: Any, folder: Path) -> None:
    first = run(folder)
    (folder / "out" / "total.txt").unlink()
    second = run(folder)

    assert (first.message, second.message) == ("1 computed", "1 current")
    assert (folder / "out" / "total.txt").read_text() == "22"  # the first event goes to both workers
    assert isinstance(first.state_details.flow_run_id, UUID)
    with api.client() as client:
        name = client.read_flow_run(first.state_details.flow_run_id).name
    assert name.startswith("replay scan.cbors mapping:Worker ")
    assert [t.name for t in api.task_runs(first.state_details.flow_run_id, 1)] == ["run 1 events.mapreduce"]


def test_a_reducer_that_raises_fails_the_flow_with_its_traceback(api: Any, folder: Path) -> None:
    (folder / "reducing.py").write_text(REDUCER.replace("1000", "3"))

    state = run(folder)

    assert state.is_failed()
    assert "OverflowError: too much" in str(state.message)


def test_a_file_that_is_not_there_fails_with_its_name(api: Any, folder: Path) -> None:
    state = run(folder, files=["nothing.cbors"])

    assert state.is_failed()
    assert "nothing.cbors: no such file" in str(state.message)
