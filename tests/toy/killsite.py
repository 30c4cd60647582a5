"""A site of real parts, each of which may be killed and started again: Prefect server and worker, Dask scheduler and workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from toyline.raw import write_run

from penstock.config import Experiment, load_experiment
from penstock.core.selection import RunRange
from penstock.execute import Planner, Request
from penstock.store import Store, find_garbage
from penstock_flows.server import free_port, server_environment
from penstock_flows.up._health import ask

__all__ = ["ENDED", "RUNS", "STEPS", "TOYS", "KillSite", "committed", "faults", "planned", "running_site", "until", "write_range"]

RUNS = 20
STEPS = 3 * RUNS
MARK = "PENSTOCK_KILL_SITE"
TOYS = Path(__file__).parent
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
Progress = dict[str, int]


def until(holds: Callable[[], object], timeout_s: float, what: str) -> float:
    """Wait until something holds; how long that took, in seconds. A part that does not answer does not hold."""
    began = time.monotonic()
    while time.monotonic() - began < timeout_s:
        with suppress(OSError):
            if holds():
                return time.monotonic() - began
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {timeout_s:.0f} s")


def write_range(folder: Path, executor: str | None, seconds: float = 0.3) -> Path:
    """A toy experiment of twenty runs of eight events, the half of which take so long each."""
    for run in range(1, RUNS + 1):
        write_run(folder / "raw", run, 8, dict.fromkeys(range(0, 8, 2), f"sleep:{seconds}"))
    chosen = "" if executor is None else f'executor = "{executor}"\n'
    (folder / "experiment.toml").write_text(
        f'[experiment]\nname = "{folder.name}"\ninstrument = "toy"\nraw = "raw"\n[plugins]\nmodules = ["toyline.plugin"]\n'
        f"[resources]\nbatch_blocks = 1\n{chosen}"
    )
    return folder


@dataclass
class KillSite:
    """The parts by name; `start` and `kill` take a name."""

    folder: Path
    api_port: int = field(default_factory=free_port)
    scheduler_port: int = field(default_factory=free_port)
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}/api"

    @property
    def scheduler(self) -> str:
        return f"tcp://127.0.0.1:{self.scheduler_port}"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        return {
            **kept,
            **server_environment(self.folder / "prefect", self.api_port),
            MARK: str(self.folder),
            "PYTHONPATH": str(TOYS),
            "PYTHONWARNINGS": "ignore",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_WORKER_PREFETCH_SECONDS": "2",
        }

    def commands(self) -> dict[str, Sequence[str]]:
        dask = ("-m", "dask", "worker", self.scheduler, "--nthreads", "1", "--resources", "toy=1", "--host", "127.0.0.1", "--no-dashboard")
        scratch = ("--local-directory", str(self.folder / "scratch"))
        return {
            "server": ("-m", "penstock_flows.serving", "server", "start", "--host", "127.0.0.1", "--port", str(self.api_port)),
            "scheduler": ("-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", str(self.scheduler_port), "--no-dashboard"),
            "dask-1": (*dask, *scratch),
            "dask-2": (*dask, *scratch),
            "worker": ("-m", "prefect", "worker", "start", "--pool", "penstock", "--install-policy", "never"),
        }

    def start(self, *names: str) -> None:
        """Start parts, as their supervisors would."""
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as log:
                command = [sys.executable, *self.commands()[name]]
                self.parts[name] = subprocess.Popen(
                    command, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd=self.folder
                )
            if name == "server":
                until(self.is_healthy, 180, "the Prefect server answers")

    def is_healthy(self) -> bool:
        return bool(ask(f"{self.api}/health"))

    def kill(self, name: str, *, group: bool = True) -> None:
        """`kill -9`, of the part with all that it started, or of its one process."""
        part = self.parts.pop(name)
        (os.killpg if group else os.kill)(part.pid, signal.SIGKILL)
        part.wait(timeout=20)

    def restart_ended(self, *names: str) -> None:
        """Start parts again when they have ended by themselves, as supervisors do; one that goes on stays as it is."""
        for name in names:
            with suppress(subprocess.TimeoutExpired):
                self.parts[name].wait(timeout=10)
                self.start(name)

    def deploy(self, *options: str) -> str:
        """Make deployments, as a person does in a shell; what the command prints."""
        return self.shell("-m", "penstock.cli", "deploy", *options).stdout

    def shell(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run Python in the environment of the site; it ends with `code`."""
        command = [sys.executable, *arguments]
        done = subprocess.run(command, env=self.environment, check=False, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        return done

    def marked(self, *words: str) -> list[psutil.Process]:
        """Living processes of this site whose commands hold one of `words`."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                mine = process.environ().get(MARK) == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE
                if mine and process.pid != os.getpid() and (not words or any(w in " ".join(process.cmdline()) for w in words)):
                    found.append(process)
        return found

    def flow_processes(self) -> list[psutil.Process]:
        return self.marked("prefect.engine", "flow-run execute", "prefect.runner", "prefect.flow_engine")

    def trigger(self, folder: Path) -> str:
        """The command of this suite: `process` over all runs, asked of the API; the id of the flow run."""
        deployment = ask(f"{self.api}/deployments/name/process/process")["id"]
        body = {"parameters": {"request": {"experiment": str(folder), "runs": f"1-{RUNS}"}}, "state": {"type": "SCHEDULED"}}
        return str(ask(f"{self.api}/deployments/{deployment}/create_flow_run", body)["id"])

    def state(self, identity: str) -> dict[str, Any]:
        found: dict[str, Any] = ask(f"{self.api}/flow_runs/{identity}")["state"]
        return found

    def ended(self, identity: str, timeout_s: float = 300.0) -> dict[str, Any]:
        """The state of a flow run when it has ended."""
        until(lambda: self.state(identity)["type"] in ENDED, timeout_s, "the flow run ends")
        return self.state(identity)

    def stop(self) -> None:
        """End all that carries the mark of this site."""
        for part in self.parts.values():
            with suppress(ProcessLookupError):
                os.killpg(part.pid, signal.SIGKILL)
            part.wait(timeout=20)
        for process in self.marked():
            with suppress(psutil.Error):
                process.kill()


@contextmanager
def running_site(folder: Path) -> Iterator[KillSite]:
    """A whole site with deployments; nothing of it is left afterwards."""
    site = KillSite(folder)
    try:
        site.start("server", "scheduler", "dask-1", "dask-2")
        site.deploy()
        site.start("worker")
        yield site
    finally:
        site.stop()


def committed(folder: Path) -> Progress:
    """The artifacts of an experiment, each with the time at which an attempt at it was made or dropped last."""
    store = load_experiment(folder).store_path
    homes = [path.parent for path in store.glob("*/*/*/manifest.json")]
    return {home.name: home.stat().st_mtime_ns for home in homes}


def planned(folder: Path) -> set[str]:
    """The states of all steps of the range."""
    loaded: Experiment = load_experiment(folder)
    with Store(loaded.store_path, index=loaded.index_path) as store:
        return {str(row.state) for row in Planner(loaded, store, Request(RunRange(f"1-{RUNS}"))).plan()}


def faults(folder: Path) -> list[str]:
    """What is wrong with a store whose range is complete: damage, leavings of attempts, claims, names that are missing."""
    loaded = load_experiment(folder)
    with Store(loaded.store_path, index=loaded.index_path) as store:
        found = [f"damaged {key.short}: {damage}" for key, damage in store.verify() if damage]
        found += [f"{item.what}: {item.path}" for item in find_garbage(store, spare_s=0.0)]
        found += [f"claimed {key}" for key in store.index.claims()]
        counts = (len(list(store.manifests())), len(store.index.artifacts()), len(store.index.refs()))
    return found if counts == (STEPS, STEPS, STEPS) else [*found, f"manifests, indexed, named: {counts}"]
