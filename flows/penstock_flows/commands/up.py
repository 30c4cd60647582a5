"""``penstock up``: Prefect server, Dask cluster, deployments and worker of one machine, until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click

from penstock.cli._options import json_option, print_json
from penstock.config import load_experiment
from penstock.core.canonical import Json
from penstock.core.errors import ConfigError, nearest
from penstock_flows.up import Addresses, Home, Supervisor, Wishes, choose_addresses, default_home, known_lanes, plan_parts, share_lanes
from penstock_flows.up._lanes import GPU, gpu_devices

__all__ = ["up"]


@click.command(epilog="Example: penstock up experiment.toml --workers 4 --lane tpc=2")
@click.argument("experiments", nargs=-1, type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=4200, show_default=True, help="Port of the Prefect UI and API; 0: any free.")
@click.option("--scheduler-port", type=click.IntRange(0, 65535), default=None, help="Port of the Dask scheduler; 8786 or any free.")
@click.option("--dashboard-port", type=click.IntRange(0, 65535), default=None, help="Port of the Dask dashboard; 8787 or any free.")
@click.option("--workers", type=click.IntRange(min=1), default=None, help="Dask worker processes; one a core without.")
@click.option("--memory", default="auto", show_default=True, help="Memory limit of a Dask worker, such as 4GB.")
@click.option("--lane", "lanes", multiple=True, metavar="NAME=N", help="Only N of the workers offer this lane; may be given often.")
@click.option("--home", type=click.Path(path_type=Path), default=None, help="Folder of database and logs; penstock/up in your data folder.")
@click.option("--schedules/--no-schedules", default=None, help="Whether schedules fire; as they are without.")
@click.option("--no-dask", is_flag=True, help="No Dask cluster: each flow run starts workers of its own.")
@json_option
def up(
    experiments: tuple[Path, ...],
    port: int,
    scheduler_port: int | None,
    dashboard_port: int | None,
    workers: int | None,
    memory: str,
    lanes: tuple[str, ...],
    home: Path | None,
    schedules: bool | None,
    no_dask: bool,
    as_json: bool,
) -> None:
    """Start everything that the Prefect UI needs on this machine, watch over it, and stop it all with one Ctrl-C.

    What dies is started again; what dies five times within five minutes stops everything, with the end of its log.
    """
    _check_memory(memory)
    loaded = [load_experiment(path) for path in experiments]
    count = workers or len(os.sched_getaffinity(0))
    limits = dict(_limit(text) for text in lanes)
    known = known_lanes(loaded)
    for lane in sorted(limits.keys() - known - {GPU}):
        _say(f"Warning: --lane {lane}: no stage here has this lane.{nearest(lane, known)}")
    groups = [] if no_dask else share_lanes(count, known, limits)
    place = Home((home or default_home()).expanduser().resolve())
    with place.hold(), _Interrupts.caught() as interrupts:
        if left := place.sweep():
            _say(f"ended {left} processes that an earlier penstock up had left behind")
        addresses = choose_addresses(port, scheduler_port, dashboard_port, dask=not no_dask)
        wishes = Wishes(tuple(e.path for e in loaded), tuple(groups), 0 if no_dask else gpu_devices(), memory=memory, schedules=schedules)
        parts = plan_parts(place, addresses, wishes)
        supervisor = Supervisor(place, addresses, parts, _say, interrupts.stopped)
        interrupts.kill = supervisor.kill
        try:
            if supervisor.start():
                state = _state(place, addresses, supervisor)
                place.publish(state)
                if as_json:
                    print_json(state)
                else:
                    _print_ready(place, addresses, [name for group in groups for name in group.lanes])
                sys.stdout.flush()
                supervisor.watch()
        finally:
            _say("stopping (Ctrl-C again: at once)")
            supervisor.stop()
    _say("stopped")


@dataclass(slots=True)
class _Interrupts:
    """Ctrl-C, SIGTERM and a closed terminal ask for the end; a second one wants it at once."""

    count: int = 0
    kill: object = None

    def stopped(self) -> bool:
        return self.count > 0

    def take(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1 and callable(self.kill):
            self.kill()
            os._exit(1)

    @classmethod
    @contextmanager
    def caught(cls) -> Iterator[_Interrupts]:
        interrupts = cls()
        before = {kind: signal.signal(kind, interrupts.take) for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield interrupts
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)


def _limit(text: str) -> tuple[str, int]:
    lane, _, number = text.partition("=")
    if not lane or not number.isdigit():
        raise ConfigError(f"--lane {text}: expected NAME=N, such as tpc=2: so many workers offer the lane.")
    return lane, int(number)


def _check_memory(text: str) -> None:
    """Refuse what no Dask worker would take for a limit."""
    if text == "auto":
        return
    from dask.utils import parse_bytes

    try:
        if text and parse_bytes(text) >= 0:
            return
    except ValueError:
        pass
    raise ConfigError(f"--memory {text}: expected a size such as 4GB or 512MiB, or auto.")


def _state(home: Home, addresses: Addresses, supervisor: Supervisor) -> dict[str, Json]:
    exports: dict[str, Json] = {**addresses.exports()}
    return {
        "pid": os.getpid(),
        "home": str(home.folder),
        **addresses.as_json(),
        "logs": str(home.logs),
        "environment": exports,
        "parts": supervisor.as_json(),
    }


def _print_ready(home: Home, addresses: Addresses, lanes: Iterable[str]) -> None:
    click.echo(f"Prefect UI      {addresses.ui}")
    if addresses.dashboard_page:
        click.echo(f"Dask dashboard  {addresses.dashboard_page}")
        click.echo(f"lanes           {', '.join(sorted(set(lanes)))}")
    click.echo(f"logs            {home.logs}")
    click.echo("\nStart a run in the UI (Deployments, process, Run), or in another shell:")
    for name, value in addresses.exports().items():
        click.echo(f"  export {name}={shlex.quote(value)}")
    click.echo("  penstock run experiment.toml --runs 94-110")
    click.echo(
        '  prefect deployment run process/process --param \'request={"experiment": "/data/e20009/experiment.toml", "runs": "94-110"}\''
    )
    click.echo("\nCtrl-C stops everything.")


def _say(line: str) -> None:
    click.echo(line, err=True)
