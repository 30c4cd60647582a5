"""What `penstock up` starts on this machine: the parts, their commands, environment and addresses."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from penstock.core.canonical import Json
from penstock_flows.server import server_environment
from penstock_flows.up._health import is_healthy, worker_count
from penstock_flows.up._home import Home
from penstock_flows.up._lanes import GPU, WorkerGroup
from penstock_flows.up._part import Part
from penstock_flows.up._ports import HOST, choose_port

__all__ = ["POOL", "Addresses", "Wishes", "choose_addresses", "plan_parts"]

POOL = "penstock"
"""The work pool whose runs the worker takes."""
QUERY_S = 2
"""How often the worker asks for new runs, in seconds; Prefect's own 10 are felt on one's own machine."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for.

    Attributes
    ----------
    groups
        Dask workers by the lanes that they offer; none without a cluster.
    gpus
        CUDA workers.
    schedules
        Whether they fire; as they are, and of new deployments as these say, without.
    """

    experiments: tuple[Path, ...] = ()
    groups: tuple[WorkerGroup, ...] = ()
    gpus: int = 0
    memory: str = "auto"
    schedules: bool | None = None


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything answers."""

    port: int
    scheduler_port: int | None = None
    dashboard_port: int | None = None

    @property
    def ui(self) -> str:
        """The Prefect UI."""
        return f"http://{HOST}:{self.port}"

    @property
    def api(self) -> str:
        """The Prefect API."""
        return f"{self.ui}/api"

    @property
    def scheduler(self) -> str | None:
        """The Dask scheduler, as an executor of penstock."""
        return f"tcp://{HOST}:{self.scheduler_port}" if self.scheduler_port else None

    @property
    def dashboard(self) -> str | None:
        """Where the Dask scheduler answers over HTTP."""
        return f"http://{HOST}:{self.dashboard_port}" if self.dashboard_port else None

    @property
    def dashboard_page(self) -> str | None:
        """The page to look at; without bokeh there are only tables."""
        page = "status" if importlib.util.find_spec("bokeh") else "info/main/workers.html"
        return f"{self.dashboard}/{page}" if self.dashboard else None

    def exports(self) -> dict[str, str]:
        """What `penstock run` in another shell needs in its environment."""
        found = {"PREFECT_API_URL": self.api}
        return found | ({"PENSTOCK_EXECUTOR": self.scheduler} if self.scheduler else {})

    def as_json(self) -> dict[str, Json]:
        """All of it."""
        return {"ui": self.ui, "api": self.api, "scheduler": self.scheduler, "dashboard": self.dashboard_page}


def choose_addresses(port: int, scheduler_port: int | None, dashboard_port: int | None, *, dask: bool) -> Addresses:
    """Ports that are free, or `PortTaken`."""
    server = choose_port("the Prefect server", "--port", port, 4200)
    if not dask:
        return Addresses(server)
    scheduler = choose_port("the Dask scheduler", "--scheduler-port", scheduler_port, 8786)
    return Addresses(server, scheduler, choose_port("the Dask dashboard", "--dashboard-port", dashboard_port, 8787))


@dataclass(slots=True)
class _Plan:
    home: Home
    addresses: Addresses
    wishes: Wishes
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_HOME")}
        bin_folder = str(Path(sys.executable).parent)
        self.environment = {
            **inherited,
            **server_environment(self.home.prefect, self.addresses.port),
            **self.home.mark(),
            **self.addresses.exports(),
            "PATH": os.pathsep.join([bin_folder, *os.environ.get("PATH", "").split(os.pathsep)]),
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def _deployed(self) -> Path:
        return self.home.scratch / "deployments.done"

    def python(self, name: str, *arguments: str, log: str, **others: object) -> Part:
        """A part that is a module of Python."""
        command = (sys.executable, "-m", *arguments)
        return Part(name, command, self.environment, self.home.logs / f"{log}.log", **others)  # type: ignore[arg-type]

    def server(self) -> Part:
        command = ("penstock_flows.serving", "server", "start", "--host", HOST, "--port", str(self.addresses.port))
        return self.python(
            "Prefect server", *command, log="server", is_ready=lambda: is_healthy(f"{self.addresses.api}/health"), stays_well=True
        )

    def deployments(self) -> Part:
        done = self._deployed
        schedules = {None: "as-they-are", True: "active", False: "inactive"}[self.wishes.schedules]
        paths = [str(path.resolve()) for path in self.wishes.experiments]
        command = ("penstock_flows.up.deploying", str(done), schedules, *paths)
        return self.python("deployments", *command, log="deployments", is_ready=done.exists, ends=True, sign=done)

    def worker(self) -> Part:
        sign = self.home.scratch / "worker.ready"
        command = ("penstock_flows.up.working", POOL, str(sign), str(self._deployed))
        part = self.python("Prefect worker", *command, log="worker", is_ready=sign.exists, sign=sign)
        settings = {"PREFECT_WORKER_QUERY_SECONDS": str(QUERY_S), "PREFECT_WORKER_PREFETCH_SECONDS": str(QUERY_S)}
        return _with_environment(part, settings)

    def scheduler(self) -> Part:
        ports = ("--port", str(self.addresses.scheduler_port), "--dashboard-address", f"{HOST}:{self.addresses.dashboard_port}")
        command = ("distributed.cli.dask_scheduler", "--host", HOST, *ports, "--no-show")
        health = f"{self.addresses.dashboard}/health"
        part = self.python("Dask scheduler", *command, log="scheduler", is_ready=lambda: is_healthy(health), stays_well=True)
        settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0", "DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": "0"}
        return _with_environment(part, settings)

    def workers(self) -> list[Part]:
        return [self._worker_group(number, group) for number, group in enumerate(self.wishes.groups, 1)]

    def _worker_group(self, number: int, group: WorkerGroup) -> Part:
        name = "Dask workers" if len(self.wishes.groups) == 1 else f"Dask workers {number}"
        lanes = " ".join(f"{lane}=1" for lane in group.lanes)
        command = ("distributed.cli.dask_worker", str(self.addresses.scheduler), "--nworkers", str(group.count), "--nthreads", "1")
        options = ("--resources", lanes, "--memory-limit", self.wishes.memory, "--host", HOST, "--dashboard-address", f"{HOST}:0")
        place = ("--local-directory", str(self.home.scratch), "--name", f"cpu-{number}")
        part = self.python(name, *command, *options, *place, log=f"workers-{number}", is_ready=self._all_workers)
        return _with_environment(part, {"DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": "0"})

    def cuda_workers(self) -> Part:
        options = ("--resources", f"{GPU}=1", "--host", HOST, "--dashboard-address", f"{HOST}:0")
        place = ("--local-directory", str(self.home.scratch), "--name", "cuda")
        command = ("dask", "cuda", "worker", str(self.addresses.scheduler), *options, *place)
        return self.python("CUDA workers", *command, log="workers-cuda", is_ready=self._all_workers)

    def _all_workers(self) -> bool:
        wanted = sum(group.count for group in self.wishes.groups) + self.wishes.gpus
        return worker_count(str(self.addresses.dashboard)) >= wanted


def plan_parts(home: Home, addresses: Addresses, wishes: Wishes) -> Sequence[Part]:
    """The parts in the order in which they are to be started; they are ended in the opposite one."""
    plan = _Plan(home, addresses, wishes)
    dask = [plan.scheduler(), *plan.workers(), *([plan.cuda_workers()] if wishes.gpus else [])] if addresses.scheduler else []
    return [plan.server(), *dask, plan.deployments(), plan.worker()]


def _with_environment(part: Part, more: dict[str, str]) -> Part:
    return replace(part, environment={**part.environment, **more})
