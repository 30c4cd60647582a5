"""The flow `process` on a real Prefect server, over two small simulated runs."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import State
from prefect.states import Cancelling

from penstock.config import load_experiment
from penstock.core.errors import ConfigError, RunCancelled
from penstock.core.plan import PlanRow
from penstock.core.selection import RunRange
from penstock.execute import Planner, Quiet, Request, RunReport
from penstock.store import Store
from penstock.tpc.request import ProcessRequest
from penstock_flows import _job, run_under_prefect
from penstock_flows.process import process, request_of

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

STAGES = ["tpc.points", "tpc.clusters", "tpc.estimates"]


def run_flow(folder: Path, **fields: Any) -> State[Any]:
    state: State[Any] = process(ProcessRequest(experiment=str(folder), **fields), return_state=True)
    return state


def test_a_parameter_that_is_not_known_is_told_as_one_of_the_request(experiment_folder: Path) -> None:
    wanted = request_of(ProcessRequest(experiment=str(experiment_folder), other_overrides={"tpc.clusters.nope": 5}))

    with (
        load_experiment(experiment_folder).open_store() as store,
        pytest.raises(ConfigError, match=r"^request: parameter 'tpc\.clusters\.nope'"),
    ):
        Planner(load_experiment(experiment_folder), store, wanted)


def run_library(folder: Path, watcher: Any = None, stop: threading.Event | None = None, runs: str = "1-2") -> RunReport:
    experiment = load_experiment(folder)
    with Store(experiment.store_path) as store:
        return run_under_prefect(experiment, store, Request(RunRange(runs)), watcher=watcher, stop=stop)


def name_of(folder: Path) -> str:
    return load_experiment(folder).name


def flow_run_of(state: State[Any]) -> UUID:
    assert state.state_details.flow_run_id is not None
    return state.state_details.flow_run_id


@pytest.fixture(scope="module")
def done(api: Any, done_folder: Path) -> State[Any]:
    return run_flow(done_folder, runs="1-2")


def test_two_runs_go_through_three_stages_as_six_completed_tasks(done: State[Any], api: Any) -> None:
    tasks = api.task_runs(flow_run_of(done), 6)
    assert (done.name, done.message) == ("Completed", "6 computed")
    assert sorted(t.name for t in tasks) == sorted(f"run {run} {stage}" for run in (1, 2) for stage in STAGES)
    assert {t.state.name for t in tasks} == {"Completed"}
    assert {frozenset(t.tags) for t in tasks} == {frozenset({"tpc", "lane:tpc"})}


def test_flow_run_is_named_after_what_it_does(done: State[Any], api: Any, done_folder: Path) -> None:
    key = ProcessRequest(experiment=str(done_folder), runs="1-2").key("default")
    with api.client() as client:
        name = client.read_flow_run(flow_run_of(done)).name
    assert name == f"attpc {name_of(done_folder)} runs 1-2 default {key.short}"


def test_flow_run_shows_plan_progress_run_table_and_a_figure_for_each_stage(done: State[Any], api: Any, done_folder: Path) -> None:
    name = name_of(done_folder)
    artifacts = api.artifacts(flow_run_of(done))
    assert {(row["stage"], row["state"], row["runs"]) for row in artifacts[f"{name}-plan"]} == {(s, "missing", "1-2") for s in STAGES}
    assert artifacts[f"{name}-progress"] == 100.0
    assert [row["run"] for row in artifacts[f"{name}-run-table"]] == ["1", "2"]
    assert artifacts[f"{name}-run-table"][0]["tpc.points"].startswith("computed: 6 of 6 events")
    for stage in STAGES:
        assert "data:image/png;base64," in artifacts[f"{name}-{stage.replace('.', '-')}"]


def test_second_run_finds_all_current_and_submits_no_task(done: State[Any], api: Any, done_folder: Path) -> None:
    again = run_flow(done_folder, runs="1-2")
    table = api.artifacts(flow_run_of(again))[f"{name_of(done_folder)}-run-table"]
    assert (again.name, again.message) == ("Completed", "6 current")
    assert api.task_runs(flow_run_of(again), 0) == []
    assert [row["run"] for row in table] == ["1-2"]


def test_another_parameter_in_the_form_recomputes_only_what_depends_on_it(done: State[Any], api: Any, done_folder: Path) -> None:
    again = run_flow(done_folder, runs="1-2", overrides={"clusters": {"hdbscan": {"min_points": 5}}})
    tasks = api.task_runs(flow_run_of(again), 4)
    assert again.message == "4 computed, 2 current"
    assert {t.name.split()[-1] for t in tasks} == {"tpc.clusters", "tpc.estimates"}


def test_truncated_run_fails_alone_and_the_flow_says_which_and_why(api: Any, experiment_folder: Path) -> None:
    broken = experiment_folder / "raw" / "run_0001.h5"
    os.truncate(broken, broken.stat().st_size // 2)
    state = run_flow(experiment_folder, runs="1-2")
    name = name_of(experiment_folder)
    first, second = api.artifacts(flow_run_of(state))[f"{name}-run-table"]
    states = {t.name: t.state.name for t in api.task_runs(flow_run_of(state), 6)}
    assert state.name == "Failed"
    assert state.message is not None
    assert state.message.startswith("3 computed, 1 failed, 2 skipped. run 1")
    assert "run_0001.h5" in first["error"]
    assert [first[stage] for stage in STAGES] == ["failed", "skipped", "skipped"]
    assert second["error"] == "–"
    assert [states[f"run 1 {stage}"] for stage in STAGES] == ["Failed", "Skipped", "Skipped"]
    assert [states[f"run 2 {stage}"] for stage in STAGES] == ["Completed"] * 3


def test_missing_run_fails_alone(api: Any, experiment_folder: Path) -> None:
    state = run_flow(experiment_folder, runs="2-3", stages=["tpc.points"])
    assert state.name == "Failed"
    assert state.message is not None
    assert state.message.startswith("1 computed, 1 failed. run 3: no file run_0003.h5")


def test_experiment_that_is_not_there_fails_with_its_reason(api: Any, tmp_path: Path) -> None:
    state = run_flow(tmp_path / "nowhere.toml", runs="1")
    assert state.name == "Failed"
    assert "no such file" in str(state.message)
    assert api.runs_named("nowhere.toml runs 1")[0].name == f"{tmp_path / 'nowhere.toml'} runs 1"


def test_relative_experiment_that_is_not_there_says_that_the_path_should_be_absolute(api: Any) -> None:
    state = run_flow(Path("somewhere/experiment.toml"), runs="1")
    assert state.name == "Failed"
    assert "Give its absolute path, as the worker sees it." in str(state.message)


def test_many_subjects_become_sub_flows(api: Any, experiment_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_job, "MOST_SUBJECTS", 1)
    state = run_flow(experiment_folder, runs="1-2", stages=["tpc.points"])
    parts = [r.name for r in api.runs_named("runs ") if r.parent_task_run_id is not None]
    assert state.message == "2 computed"
    assert sorted(parts) == ["runs 1", "runs 2"]


def test_library_call_returns_the_report_of_execute(api: Any, experiment_folder: Path) -> None:
    report = run_library(experiment_folder)
    assert [(r.run, r.stage, str(r.state)) for r in report.results] == [(run, stage, "computed") for run in (1, 2) for stage in STAGES]


def test_library_call_raises_the_error_of_the_request(api: Any, experiment_folder: Path) -> None:
    with pytest.raises(ConfigError, match="selects no run"):
        run_library(experiment_folder, runs="!1")


class Interrupting(Quiet):
    """Cancels as soon as the first step computes, then lets it go on when the flow has noticed."""

    def __init__(self, interrupt: Callable[[], None], stop: threading.Event) -> None:
        self.interrupt = interrupt
        self.stop = stop
        self.noticed = False

    def began(self, row: PlanRow, n_events: int) -> None:
        if row.stage.name == "tpc.clusters":
            self.interrupt()
            self.noticed = self.stop.wait(timeout=60)


def cancel_from_the_ui(api: Any, name: str) -> None:
    with api.client() as client:
        client.set_flow_run_state(api.runs_named(name)[0].id, Cancelling(), force=True)


@pytest.mark.parametrize("way", ["ui", "ctrl-c", "sigterm"])
def test_cancelling_ends_cancelled_and_keeps_what_was_committed(api: Any, experiment_folder: Path, way: str) -> None:
    name = name_of(experiment_folder)
    ways: dict[str, Callable[[], None]] = {
        "ui": lambda: cancel_from_the_ui(api, name),
        "ctrl-c": lambda: os.kill(os.getpid(), signal.SIGINT),
        "sigterm": lambda: os.kill(os.getpid(), signal.SIGTERM),
    }
    stop = threading.Event()
    watcher = Interrupting(ways[way], stop)
    with pytest.raises(RunCancelled):
        run_library(experiment_folder, watcher, stop)
    flow_run = api.runs_named(name)[0]
    assert watcher.noticed
    assert flow_run.state.type == "CANCELLED"
    assert api.artifacts(flow_run.id)[f"{name}-run-table"][0]["tpc.points"].startswith("computed")
    assert [str(r.state) for r in run_library(experiment_folder).results][:2] == ["current", "computed"]


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "prefect-ui.md"


def shown(beginning: str) -> list[str]:
    """The words of the command on the page about the UI that begins so."""
    (line,) = (text for text in PAGE.read_text().splitlines() if text.startswith(f"$ {beginning}"))
    return shlex.split(line.removeprefix("$ "))


def test_the_page_about_the_ui_starts_a_flow_run_from_the_command_line(api: Any, experiment_folder: Path) -> None:
    program, *arguments = shown("penstock run")
    command = [sys.executable, "-m", f"{program}.cli", *arguments[:-1], "1"]
    done = subprocess.run(command, cwd=experiment_folder, env={**os.environ, **api.settings}, capture_output=True, text=True, timeout=200)
    assert (done.returncode, arguments[0]) == (0, "run"), done.stderr
    assert api.runs_named(name_of(experiment_folder))[0].state.name == "Completed"


def test_deployment_from_the_yaml_file_is_run_by_a_worker(api: Any, experiment_folder: Path) -> None:
    def prefect(*arguments: str) -> subprocess.CompletedProcess[str]:
        deploy = Path(__file__).parents[2] / "deploy"
        command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
        return subprocess.run(command, cwd=deploy, env={**os.environ, **api.settings}, capture_output=True, text=True, timeout=200)

    name = name_of(experiment_folder)
    made = prefect("work-pool", "create", "penstock", "--type", "process", "--overwrite")
    deployed = prefect("deploy", "--all")
    trigger = [word.replace("/data/e20009", str(experiment_folder)).replace("94-96", "1") for word in shown("prefect deployment run")[1:]]
    triggered = prefect(*trigger)
    worked = prefect("worker", "start", "--pool", "penstock", "--run-once", "--install-policy", "never")
    flow_run = api.runs_named(name)[0]
    assert [made.returncode, deployed.returncode, triggered.returncode, worked.returncode] == [0, 0, 0, 0], worked.stderr
    assert flow_run.state.name == "Completed"
    assert flow_run.deployment_id is not None
    assert len(api.task_runs(flow_run.id, 3)) == 3
