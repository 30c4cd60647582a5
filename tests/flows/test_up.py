"""`penstock up`: its parts, their supervisor, and (slow) the real thing."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner
from upsite import COMMAND, Site, running_up, slow_experiment, until

from penstock.core.errors import ConfigError
from penstock_flows.commands.up import up
from penstock_flows.server import free_port
from penstock_flows.up import (
    Addresses,
    Home,
    PartFailed,
    PortTaken,
    Supervisor,
    UpRunning,
    Wishes,
    WorkerGroup,
    choose_addresses,
    choose_port,
    known_lanes,
    plan_parts,
    share_lanes,
    who_listens,
)
from penstock_flows.up import _supervisor as supervisor_module
from penstock_flows.up._part import Part

SLEEP = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    place = Home(tmp_path / "home")
    with place.hold():
        yield place
        place.sweep()


def part(home: Home, code: str, **others: Any) -> Part:
    """A part that runs some Python."""
    settings = {"name": "part", "is_ready": lambda: True, "log": home.logs / "part.log", **others}
    return Part(command=(sys.executable, "-c", code), environment={**os.environ, **home.mark()}, **settings)


class Watched:
    """A supervisor of some parts, which a test stops after so many looks."""

    def __init__(self, home: Home, *parts: Part) -> None:
        self.lines: list[str] = []
        self.done: Callable[[], bool] = lambda: False
        self.deadline = time.monotonic() + 30
        addresses = Addresses(free_port())
        self.supervisor = Supervisor(home, addresses, parts, self.lines.append, self.stopped)

    def stopped(self) -> bool:
        assert time.monotonic() < self.deadline, self.lines
        return self.done()

    @property
    def pids(self) -> list[int]:
        return [p["pid"] for p in self.supervisor.as_json().values()]  # type: ignore[index, call-overload, misc]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks often, and waits a moment before it starts something again."""
    monkeypatch.setattr(supervisor_module, "LOOK_S", 0.02)
    monkeypatch.setattr(supervisor_module, "ASK_S", 0.1)
    monkeypatch.setattr(supervisor_module, "LONGEST_PAUSE_S", 0.1)


def test_help_shows_an_example() -> None:
    result = CliRunner().invoke(up, ["--help"])
    assert result.exit_code == 0
    assert "Example: penstock up experiment.toml" in result.output


def test_the_page_about_the_ui_begins_with_a_command_that_is_understood() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "prefect-ui.md"
    (line,) = (line for line in page.read_text().splitlines() if line.startswith("$ penstock up"))
    chosen = up.make_context("penstock up", shlex.split(line)[3:]).params
    assert (chosen["experiments"], chosen["workers"], chosen["port"]) == ((Path("experiment.toml"),), 4, 4200)


def test_taken_port_is_refused_with_the_process_that_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = CliRunner().invoke(up, ["--port", str(port), "--home", str(tmp_path / "home")])
        assert isinstance(result.exception, PortTaken)
        assert f"port {port} for the Prefect server is taken by process {os.getpid()} (" in str(result.exception)
        assert "choose another port with --port (0: any that is free)" in str(result.exception)


def test_a_lane_that_no_stage_has_is_told_with_the_nearest(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = CliRunner().invoke(up, ["--lane", "tcp=1", "--port", str(port), "--home", str(tmp_path / "home")])
    assert "Warning: --lane tcp: no stage here has this lane. Did you mean 'tpc'?" in result.output


def test_usual_port_that_is_taken_gives_way_to_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert choose_port("the Dask dashboard", "--dashboard-port", None, taken) != taken
    assert choose_port("the Dask dashboard", "--dashboard-port", None, taken) == taken


def test_process_whose_name_is_not_to_be_had_is_called_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", denied)
    assert who_listens(1) == "another process"


def test_second_up_in_the_same_home_is_refused_with_the_process_of_the_first(home: Home) -> None:
    done = subprocess.run([*COMMAND, "--home", str(home.folder), "--port", "0"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert f"penstock up is running here already, as process {os.getpid()}. Stop it with: kill {os.getpid()}" in done.stderr


def test_home_can_be_held_again_after_it_was_left(tmp_path: Path) -> None:
    place = Home(tmp_path / "home")
    with place.hold(), pytest.raises(UpRunning), place.hold():
        pass
    with place.hold():
        assert place.logs.is_dir()


def test_addresses_that_a_killed_up_left_behind_are_gone_when_the_next_one_begins(tmp_path: Path) -> None:
    place = Home(tmp_path / "home")
    place.folder.mkdir()
    place.publish({"api": "http://127.0.0.1:1/api"})
    with place.hold():
        assert not place.state.exists()


def test_every_worker_offers_every_lane_but_a_limited_one() -> None:
    assert share_lanes(3, {"tpc", "events"}, {}) == [WorkerGroup(3, ("events", "tpc"))]
    assert share_lanes(3, {"tpc", "events"}, {"tpc": 1}) == [WorkerGroup(1, ("events", "tpc")), WorkerGroup(2, ("events",))]
    assert share_lanes(1, {"tpc"}, {"mine": 1, "tpc": 0}) == [WorkerGroup(1, ("mine",))]


@pytest.mark.parametrize(
    ("limits", "message"),
    [({"tpc": 3}, "--lane tpc=3: there are only 2 workers. Give more with --workers 3."), ({"gpu": 1}, "each CUDA device gets one worker")],
    ids=["more than workers", "gpu"],
)
def test_lane_that_cannot_be_offered_is_refused(limits: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        share_lanes(2, {"tpc"}, limits)


def test_lane_without_a_number_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(up, ["--lane", "tpc", "--home", str(tmp_path)])
    assert "--lane tpc: expected NAME=N" in str(result.exception)


@pytest.mark.parametrize("memory", ["lots", "", "-3GB"])
def test_memory_that_is_no_size_is_refused_before_anything_starts(tmp_path: Path, memory: str) -> None:
    done = CliRunner().invoke(up, ["--home", str(tmp_path / "home"), "--memory", memory])
    assert isinstance(done.exception, ConfigError)
    assert f"--memory {memory}: expected a size such as 4GB" in str(done.exception)
    assert not (tmp_path / "home").exists()


def test_lanes_of_an_experiment_are_offered_too(toy: Any) -> None:
    toy.configure('[resources.lanes]\n"toy.groups" = "toy-groups"')
    assert {"tpc", "events", "toy", "toy-groups"} <= known_lanes([toy.load()])
    assert "gpu" not in known_lanes([toy.load()])


def test_flow_processes_get_the_cluster_and_no_telemetry(home: Home) -> None:
    addresses = choose_addresses(0, 0, 0, dask=True)
    parts = {p.name: p for p in plan_parts(home, addresses, Wishes(groups=(WorkerGroup(2, ("events", "tpc")),)))}
    worker = parts["Prefect worker"].environment
    assert list(parts) == ["Prefect server", "Dask scheduler", "Dask workers", "deployments", "Prefect worker"]
    assert worker["PENSTOCK_EXECUTOR"] == addresses.scheduler
    assert worker["PREFECT_API_URL"] == addresses.api == worker["PREFECT_SERVER_UI_API_URL"]
    assert (worker["DO_NOT_TRACK"], worker["PREFECT_SERVER_ANALYTICS_ENABLED"]) == ("1", "false")
    assert "events=1 tpc=1" in parts["Dask workers"].command
    assert all("127.0.0.1" in " ".join(parts[name].command) for name in ("Prefect server", "Dask scheduler", "Dask workers"))


def test_dask_answers_over_http_on_the_loopback_device_alone(home: Home) -> None:
    parts = plan_parts(home, choose_addresses(0, 0, 0, dask=True), Wishes(groups=(WorkerGroup(2, ("tpc",)),), gpus=1))
    pages = {p.name: p.command[p.command.index("--dashboard-address") + 1] for p in parts if "Dask" in p.name or "CUDA" in p.name}
    assert list(pages) == ["Dask scheduler", "Dask workers", "CUDA workers"]
    assert all(page.startswith("127.0.0.1:") for page in pages.values())


def test_home_is_open_to_its_user_alone(home: Home) -> None:
    assert home.folder.stat().st_mode & 0o777 == 0o700


def test_without_dask_there_are_three_parts(home: Home) -> None:
    addresses = choose_addresses(0, None, None, dask=False)
    assert [p.name for p in plan_parts(home, addresses, Wishes())] == ["Prefect server", "deployments", "Prefect worker"]
    assert "PENSTOCK_EXECUTOR" not in addresses.exports()


def test_part_that_ends_before_it_is_ready_is_named_with_the_end_of_its_log(home: Home, quick: None) -> None:
    watched = Watched(home, part(home, "print('no such table'); raise SystemExit(3)", name="Prefect server", is_ready=lambda: False))
    with pytest.raises(PartFailed, match=r"(?s)Prefect server ended with code 3. The end of .*part.log:\nno such table"):
        watched.supervisor.start()


def test_part_that_is_killed_is_started_again(home: Home, quick: None) -> None:
    watched = Watched(home, part(home, SLEEP))
    watched.supervisor.start()
    (first,) = watched.pids
    os.kill(first, signal.SIGKILL)
    watched.done = lambda: watched.pids != [first] and "part: ready again" in watched.lines
    watched.supervisor.watch()
    assert watched.lines[1].startswith("part ended with code -9; it is started again in")
    watched.supervisor.kill()


def test_part_that_dies_again_and_again_stops_everything(home: Home, quick: None) -> None:
    watched = Watched(home, part(home, "raise SystemExit(7)"))
    watched.supervisor.start()
    with pytest.raises(
        PartFailed, match=r"part ended with code 7.(.|\n)* That was the 5th time within 5 minutes, so everything is stopped"
    ):
        watched.supervisor.watch()


def test_part_that_runs_but_does_not_answer_is_ended_and_started_again(home: Home, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "ILL_S", 0.2)
    answers = iter([True, False, False, False, False, False, False])
    watched = Watched(home, part(home, SLEEP, is_ready=lambda: next(answers, True), stays_well=True))
    watched.supervisor.start()
    watched.done = lambda: "part: ready again" in watched.lines
    watched.supervisor.watch()
    assert "part runs but has not answered for" in watched.lines[1]
    watched.supervisor.kill()


def test_stopping_ends_what_does_not_listen_and_what_it_started(home: Home, quick: None) -> None:
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], start_new_session=True); {SLEEP}"
    deaf = part(home, STUBBORN, stop_s=0.2, log=home.logs / "deaf.log")
    mother = part(home, child)
    watched = Watched(home, mother, deaf)
    watched.supervisor.start()
    until(lambda: all("deaf" in p.log.read_text() for p in (mother, deaf)), 20)
    assert len(home.leftovers()) == 3
    watched.supervisor.stop()
    assert home.leftovers() == []


DRIVER = """
import sys, time
from pathlib import Path
sys.path[:0] = {path!r}
from penstock_flows.up import Addresses, Home, Supervisor
from penstock_flows.up._part import Part
home = Home(Path({home!r}))
part = lambda code, log: Part("part", (sys.executable, "-c", code), home.mark(), home.logs / log, lambda: True)
with home.hold():
    supervisor = Supervisor(home, Addresses(1), [part({sleep!r}, "part.log"), part({stubborn!r}, "deaf.log")], print, lambda: False)
    supervisor.start()
    supervisor.watch()
"""


def test_kill_of_up_itself_ends_its_parts_and_the_next_one_ends_those_that_did_not_listen(tmp_path: Path) -> None:
    place = Home(tmp_path / "home")
    code = DRIVER.format(path=sys.path, home=str(place.folder), sleep=SLEEP, stubborn=STUBBORN)
    driver = subprocess.Popen([sys.executable, "-c", code])
    deaf = place.logs / "deaf.log"
    until(lambda: deaf.exists() and "deaf" in deaf.read_text() and len(place.leftovers()) == 2, 20)
    driver.kill()
    driver.wait()
    until(lambda: len(place.leftovers()) == 1, 10)
    with place.hold():
        assert place.sweep(grace_s=0.3) == 1
        assert place.leftovers() == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_up(tmp_path_factory.mktemp("up"), "--lane", "tpc=1", "--lane", "toy=2", "--no-schedules") as running:
        yield running


@pytest.mark.slow
@pytest.mark.server
def test_everything_answers_once_it_is_ready(site: Site) -> None:
    assert site.workers() == 2
    assert site.flow_runs() is not None
    assert site.deployment("selfcheck/selfcheck")
    assert set(site.state["parts"]) == {"Prefect server", "Dask scheduler", "Dask workers 1", "Dask workers 2", "Prefect worker"}


@pytest.mark.slow
@pytest.mark.server
def test_run_is_triggered_from_the_command_line_and_computed_on_its_cluster(site: Site, tmp_path: Path) -> None:
    folder = slow_experiment(tmp_path / "toys", 0.01, n_events=8)
    request = f'request={{"experiment": "{folder}", "runs": "1"}}'
    command = [sys.executable, "-m", "prefect", "deployment", "run", "process/process", "--param", request]
    subprocess.run(command, env=site.environment, check=True, capture_output=True, timeout=200)
    newest = site.flow_runs()[0]["id"]
    assert (site.ended(newest)["type"], site.ended(newest)["message"]) == ("COMPLETED", "3 computed")
    assert {"toys-plan", "toys-progress", "toys-run-table"} <= site.artifacts(newest)
    run = [sys.executable, "-m", "penstock.cli", "run", str(folder), "--runs", "1-2"]
    again = subprocess.run(run, env=site.environment, capture_output=True, text=True, timeout=200, check=True)
    assert "3 computed, 3 current" in again.stdout
    assert [r["state"]["name"] for r in site.flow_runs()] == ["Completed", "Completed"]


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("name", ["Dask workers 1", "Dask scheduler", "Prefect worker", "Prefect server"])
def test_part_that_is_killed_comes_back(site: Site, name: str) -> None:
    log = site.home.folder.parent / "up.out"
    before = log.read_text().count(f"{name}: ready again")
    pids = {process.pid: process for process in site.home.leftovers()}
    os.kill(site.state["parts"][name]["pid"], signal.SIGKILL)
    until(lambda: log.read_text().count(f"{name}: ready again") > before, 120)
    until(lambda: site.workers() == 2, 60)
    assert site.state["parts"][name]["pid"] in pids
    identity = site.trigger(experiment="/nowhere/experiment.toml")
    assert "no such file" in site.ended(identity)["message"]


@pytest.mark.slow
@pytest.mark.server
def test_requests_one_after_the_other_are_all_taken_and_no_writer_is_refused(site: Site) -> None:
    runs = [site.trigger(experiment="/nowhere/experiment.toml") for _ in range(12)]
    assert {site.ended(run)["type"] for run in runs} == {"FAILED"}
    assert "database is locked" not in (site.home.logs / "server.log").read_text()


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_nothing_is_left_when_it_ends(tmp_path: Path, kind: int) -> None:
    with running_up(tmp_path, "--no-schedules") as running:
        assert len(running.home.leftovers()) > 5
        running.process.send_signal(kind)
        running.process.wait(timeout=60)
        until(lambda: not running.home.leftovers(), 20)
        assert running.process.returncode == (0 if kind == signal.SIGINT else -signal.SIGKILL)
