"""``penstock watch``: compute runs as they arrive in the raw folder, here or on a Prefect server."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import click

from penstock.cli._options import experiment_argument, json_option, nearest_experiment
from penstock.config import Experiment
from penstock.core.errors import ConfigError, PenstockError, RunCancelled
from penstock.core.selection import RunRange
from penstock.execute import Request, run
from penstock.execute.watch import Arrival, RawWatch
from penstock.store import Store

__all__ = ["watch"]

Start = Callable[[Arrival], tuple[str, bool]]
"""Has a run computed; says in a few words how, and whether nothing was wrong with it."""

DEPLOYMENT_PATTERN = r"[^/]+/[^/]+"

_MB = 1e6


@click.command(epilog="Example: penstock watch experiment.toml --prefect process/process-e20009")
@experiment_argument
@click.option("--runs", default="all", show_default=True, help="Runs that are watched: 94-110,115,!100 or all.")
@click.option(
    "--every", default=10.0, show_default=True, type=click.FloatRange(min=0.1), metavar="SECONDS", help="How often the folder is looked at."
)
@click.option(
    "--stable", default=30.0, show_default=True, type=click.FloatRange(min=0.0), metavar="SECONDS", help="How long files must not change."
)
@click.option("--once", is_flag=True, help="Look once. What was seen is remembered for the next time.")
@click.option("--prefect", "deployment", default=None, metavar="FLOW/DEPLOYMENT", help="Start this deployment; without, compute here.")
@json_option
def watch(experiment: Path | None, runs: str, every: float, stable: float, *, once: bool, deployment: str | None, as_json: bool) -> None:
    """Compute each run that arrives in the raw folder, once, when all its files are there and no longer change.

    A file that grows later is another run and is computed anew. Several may watch, and a watch may be started again:
    nothing is computed twice. With --json each run, and each problem, is an object on a line of its own.
    """
    loaded = nearest_experiment(experiment)
    with loaded.open_store() as store:
        start = _on_prefect(loaded, deployment) if deployment else _here(loaded, store)
        looking = RawWatch(loaded, store, RunRange(runs), stable)
        while True:
            failed = _look(looking, start, as_json=as_json)
            if once:
                raise SystemExit(1 if failed else 0)
            time.sleep(every)


def _look(looking: RawWatch, start: Start, *, as_json: bool) -> bool:
    """Look once and start what arrived; whether anything was wrong."""
    glance = looking.look(time.time())
    failed = bool(glance.problems)
    for problem in glance.problems:
        _tell_problem(problem, as_json=as_json)
    for arrival in glance.arrivals:
        try:
            how, well = start(arrival)
        except (ConfigError, RunCancelled):
            raise
        except PenstockError as error:
            _tell_problem(str(error), as_json=as_json)
            failed = True
            continue
        looking.confirm(arrival)
        failed = failed or not well
        if as_json:
            click.echo(json.dumps({"run": arrival.run, "bytes": arrival.size, "key": arrival.key, "how": how}))
        else:
            click.echo(f"run {arrival.run}: {arrival.size / _MB:.1f} MB, key {arrival.key.short}, {how}")
    return failed


def _tell_problem(text: str, *, as_json: bool) -> None:
    click.echo(json.dumps({"problem": text}) if as_json else text, err=not as_json)


def _here(experiment: Experiment, store: Store) -> Start:
    def compute(arrival: Arrival) -> tuple[str, bool]:
        report = run(experiment, store, Request(RunRange(str(arrival.run))))
        errors = [result.error for result in report.results if result.error]
        return (f"failed: {errors[0]}", False) if errors else ("computed", True)

    return compute


def _on_prefect(experiment: Experiment, deployment: str) -> Start:
    """Start the deployment.

    Raises
    ------
    ConfigError
        It is no name of a deployment, or no API is configured (Prefect would start a server of its own), or it is not for us.
    """
    from penstock_flows._api import api_is_configured
    from penstock_flows.login import check_login

    if not re.fullmatch(DEPLOYMENT_PATTERN, deployment):
        raise ConfigError(f"--prefect {deployment}: expected FLOW/DEPLOYMENT, such as process/process-{experiment.name}.")
    if not api_is_configured():
        raise ConfigError(
            "--prefect: no Prefect API is configured. Start a server with: penstock up, and set PREFECT_API_URL to its address."
        )
    check_login()
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false")
    from penstock_flows.watch import trigger

    return lambda arrival: (f"flow run {trigger(experiment, arrival, deployment)}", True)
