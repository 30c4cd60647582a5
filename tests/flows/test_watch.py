"""`penstock watch` and the flow `watch`: each run that arrives is started once, whoever watches and however often."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError
from toybench import ToyExperiment

import penstock_flows.watch as watching
from penstock.core.errors import ConfigError, PenstockError
from penstock.core.selection import RunRange
from penstock.execute.watch import Arrival, RawWatch
from penstock_flows.commands.watch import watch as command
from penstock_flows.watch import WatchRequest, trigger, watch

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def arriving(toy: ToyExperiment, tmp_path: Path) -> ToyExperiment:
    """A toy experiment with a name of its own, in whose raw folder runs 1 and 2 lie."""
    toy.configure('[resources]\nexecutor = "inline"\n')
    path = toy.folder / "experiment.toml"
    path.write_text(path.read_text().replace('"toys"', f'"{tmp_path.name}"'))
    toy.write_run(1, 4)
    toy.write_run(2, 6)
    return toy


@pytest.fixture
def deployment(api: Any, tmp_path: Path) -> str:
    """A deployment that no worker takes: its flow runs wait."""
    with api.client() as client:
        client.create_deployment(client.create_flow_from_name("process"), tmp_path.name)
    return f"process/{tmp_path.name}"


def started(api: Any, deployment: str) -> list[str]:
    """The runs that the flow runs of a deployment are to compute."""
    with api.client() as client:
        found = client.read_deployment_by_name(deployment)
        return sorted(r.parameters["request"]["runs"] for r in client.read_flow_runs(limit=200) if r.deployment_id == found.id)


def look(toy: ToyExperiment, *options: str) -> Result:
    return CliRunner().invoke(command, [str(toy.folder), "--once", "--stable", "0", *options])


def test_runs_that_arrive_are_computed_here_once(arriving: ToyExperiment) -> None:
    first = look(arriving)
    second = look(arriving)

    assert [line.split(":")[0] for line in first.output.splitlines()] == ["run 1", "run 2"]
    assert all(line.endswith(", computed") for line in first.output.splitlines())
    assert {state for _, _, state, _ in arriving.plan()} == {"current"}
    assert (first.exit_code, second.exit_code, second.output) == (0, 0, "")


def test_each_run_that_arrives_is_a_line_of_json(arriving: ToyExperiment) -> None:
    lines = [json.loads(line) for line in look(arriving, "--json").output.splitlines()]

    assert [(line["run"], line["how"]) for line in lines] == [(1, "computed"), (2, "computed")]
    assert all(line["bytes"] > 0 and len(line["key"]) == 32 for line in lines)


def test_what_is_not_stable_yet_is_left_for_the_next_look(arriving: ToyExperiment) -> None:
    done = CliRunner().invoke(command, [str(arriving.folder), "--once", "--stable", "3600"])

    assert (done.exit_code, done.output) == (0, "")


def test_a_problem_is_told_and_ends_with_exit_code_1(arriving: ToyExperiment) -> None:
    (arriving.folder / "raw" / "toy_0001.txt").unlink()
    (arriving.folder / "raw" / "toy_0001.txt").symlink_to("nowhere")

    done = look(arriving, "--runs", "1")

    assert done.exit_code == 1
    assert "run 1: [Errno 2] No such file or directory" in done.output


def test_a_run_that_fails_is_told_once_and_ends_with_exit_code_1(arriving: ToyExperiment) -> None:
    arriving.write_run(1, 4, {2: "raise"})

    first, second = look(arriving, "--runs", "1"), look(arriving, "--runs", "1")

    assert (first.exit_code, second.exit_code, second.output) == (1, 0, "")
    assert ", failed: run 1" in first.output


def test_no_server_is_started_behind_the_back_where_no_api_is_configured(
    arriving: ToyExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))

    done = look(arriving, "--prefect", "process/process")

    assert isinstance(done.exception, ConfigError)
    assert str(done.exception).startswith("--prefect: no Prefect API is configured. Start a server with: penstock up")


@pytest.mark.parametrize("name", ["process", "a/b/c", "/process"])
def test_what_names_no_deployment_is_refused_before_anything_arrives(arriving: ToyExperiment, name: str) -> None:
    done = look(arriving, "--prefect", name)

    assert isinstance(done.exception, ConfigError)
    assert f"--prefect {name}: expected FLOW/DEPLOYMENT, such as process/process-" in str(done.exception)


@pytest.mark.parametrize("field", [{"runs": "ninety"}, {"deployment": "process"}, {"stable_seconds": -1}, {"folder": "x"}], ids=str)
def test_a_wrong_request_is_refused(field: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WatchRequest(experiment="/data/e", **field)


@pytest.mark.server
def test_the_flow_starts_a_flow_run_a_run_and_none_the_second_time(api: Any, deployment: str, arriving: ToyExperiment) -> None:
    request = WatchRequest(experiment=str(arriving.folder), deployment=deployment, stable_seconds=0)

    first = watch(request, return_state=True)
    second = watch(request, return_state=True)

    assert (first.message, second.message) == ("2 runs started, 0 problems", "0 runs started, 0 problems")
    assert started(api, deployment) == ["1", "2"]


@pytest.mark.server
def test_who_died_before_remembering_starts_nothing_twice(api: Any, deployment: str, arriving: ToyExperiment) -> None:
    experiment = arriving.load()
    names = []
    for _ in range(2):
        looking = RawWatch(experiment, arriving.store, RunRange("1"), 0.0)
        (arrival,) = looking.look(1000.0).arrivals
        names.append(trigger(experiment, arrival, deployment))

    assert names[0] == names[1]
    assert started(api, deployment) == ["1"]


@pytest.mark.server
def test_a_run_that_grew_is_started_again(api: Any, deployment: str, arriving: ToyExperiment) -> None:
    assert look(arriving, "--runs", "1", "--prefect", deployment).exit_code == 0
    arriving.write_run(1, 8)

    done = look(arriving, "--runs", "1", "--prefect", deployment)

    assert done.output.startswith("run 1: ")
    assert ", flow run " in done.output
    assert started(api, deployment) == ["1", "1"]


@pytest.mark.server
def test_a_deployment_that_is_not_there_says_how_to_make_it(api: Any, arriving: ToyExperiment) -> None:
    arrival = Arrival(1, 10, arriving.store.add(arriving.folder / "experiment.toml", "toy.any/1"))

    with pytest.raises(
        ConfigError, match=r"no deployment 'process/none' on the Prefect server\. Make it with: penstock deploy .*experiment\.toml"
    ):
        trigger(arriving.load(), arrival, "process/none")


def test_a_server_that_does_not_answer_is_told_and_tried_again(arriving: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise httpx.ConnectError("All connection attempts failed")

    monkeypatch.setattr(watching, "get_client", refuse)

    for _ in range(2):
        done = look(arriving, "--runs", "1", "--prefect", "process/process")
        assert done.exit_code == 1
        assert "run 1: the Prefect API did not take it: All connection attempts failed. The next look tries again." in done.output
    with pytest.raises(PenstockError):
        trigger(arriving.load(), Arrival(1, 1, arriving.store.add(arriving.folder / "experiment.toml", "toy.any/1")), "a/b")


SCRIPT = "from penstock_flows.commands.watch import watch; watch()"
DYING = f"""
import os, signal
from penstock.execute.watch import RawWatch
RawWatch.confirm = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
{SCRIPT}"""


def begin(toy: ToyExperiment, deployment: str, script: str = SCRIPT) -> subprocess.Popen[str]:
    """A process that looks once."""
    line = [sys.executable, "-c", script, str(toy.folder), "--once", "--stable", "0", "--prefect", deployment]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "toy"), "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.server
def test_two_processes_that_watch_start_each_run_once(api: Any, deployment: str, arriving: ToyExperiment) -> None:
    processes = [begin(arriving, deployment) for _ in range(2)]
    ended = [process.communicate(timeout=300) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], ended
    assert started(api, deployment) == ["1", "2"]


@pytest.mark.slow
@pytest.mark.server
def test_kill_9_between_starting_and_remembering_starts_nothing_twice(api: Any, deployment: str, arriving: ToyExperiment) -> None:
    with begin(arriving, deployment, DYING) as killed:
        killed.communicate(timeout=300)
    before = started(api, deployment)
    with begin(arriving, deployment) as process:
        output, _ = process.communicate(timeout=300)

    assert (killed.returncode, before) == (-signal.SIGKILL, ["1"])
    assert [line.split(":")[0] for line in output.splitlines()] == ["run 1", "run 2"]
    assert started(api, deployment) == ["1", "2"]
