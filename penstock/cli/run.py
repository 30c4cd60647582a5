"""``penstock run``: bring the results of some runs up to date."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from penstock.cli._options import (
    experiment_argument,
    json_option,
    load_runner,
    nearest_experiment,
    print_json,
    request_options,
    to_request,
)
from penstock.cli.plan import print_plan
from penstock.config import Experiment, Resources
from penstock.core.errors import ConfigError
from penstock.core.plan import State
from penstock.execute import Planner, Quiet, Request, RunReport, Watcher
from penstock.security import without_login
from penstock.store import Store

__all__ = ["execute", "print_report", "run"]

Runner = Callable[..., RunReport]


@click.command(epilog="Example: penstock run experiment.toml --runs 94-110,115 --set tpc.clusters.hdbscan.min_points=5")
@experiment_argument
@request_options
@click.option("--executor", default=None, help="inline, local, tcp://host:8786 or tls://host:8786 of a Dask scheduler, slurm:PROFILE.toml.")
@click.option("--workers", type=click.IntRange(min=1), default=None, help="Worker processes of the local executor.")
@click.option("--batch-blocks", type=click.IntRange(min=1), default=None, help="Blocks of one batch; by time and memory without.")
@click.option("--cpu-fallback", is_flag=True, help="Run stages of the lane gpu on CPUs where no worker has a GPU.")
@click.option("--retry-failed", is_flag=True, help="Compute again what failed on its content.")
@click.option("--prefect/--no-prefect", default=None, help="Run as a Prefect flow; by default where an API is configured and answers.")
@click.option("--dry-run", is_flag=True, help="Print the plan and compute nothing.")
@json_option
def run(
    experiment: Path | None,
    runs: str,
    events: str | None,
    stages: str,
    overrides: tuple[str, ...],
    preset: str | None,
    executor: str | None,
    workers: int | None,
    batch_blocks: int | None,
    cpu_fallback: bool,
    retry_failed: bool,
    prefect: bool | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Compute what is not current for the runs asked for; results are kept by content, so nothing is done twice."""
    loaded = nearest_experiment(experiment, preset)
    request = to_request(runs, events, stages, overrides, retry_failed=retry_failed)
    with loaded.open_store() as store:
        if dry_run:
            rows = Planner(loaded, store, request).plan()
            if as_json:
                print_json([row.as_json() for row in rows])
            else:
                print_plan(rows)
            return
        changes = {"executor": executor, "workers": workers, "batch_blocks": batch_blocks, "cpu_fallback": cpu_fallback or None}
        resources = loaded.resources.model_copy(update={k: v for k, v in changes.items() if v is not None})
        report = execute(loaded, store, request, resources, prefect=prefect, quiet=as_json)
    if as_json:
        print_json(report.as_json())
    else:
        print_report(report)
    if not report.ok:
        sys.exit(1)


def execute(
    experiment: Experiment, store: Store, request: Request, resources: Resources, *, prefect: bool | None = False, quiet: bool = False
) -> RunReport:
    """Run a request with progress on standard error; Ctrl-C and SIGTERM cancel it."""
    from penstock.execute import run as run_request

    runner = _prefect_runner(prefect)
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: _interrupt())
    try:
        with _watching(quiet) as watcher:
            start = runner or run_request
            report: RunReport = start(experiment, store, request, watcher=watcher, resources=resources, stop=stop)
            return report
    finally:
        signal.signal(signal.SIGTERM, before)


def print_report(report: RunReport) -> None:
    """Failures with their reasons, then a line that counts."""
    for result in report.results:
        if result.state is State.FAILED:
            click.echo(f"failed: {result.error}", err=True)
    seconds = sum(r.cpu_seconds for r in report.results)
    counts = f"{report.count(State.COMPUTED)} computed, {report.count(State.CURRENT)} current, {report.count(State.FAILED)} failed, {report.count(State.SKIPPED)} skipped"
    click.echo(f"{counts}; {seconds:.1f} s of CPU in the stages")


def _interrupt() -> None:
    raise KeyboardInterrupt


@contextmanager
def _watching(quiet: bool) -> Iterator[Watcher]:
    """Bars on a terminal, lines in a pipe, nothing where standard output is JSON and nobody looks."""
    from penstock.views.progress import Bars, Lines

    if quiet and not sys.stderr.isatty():
        yield Quiet()
        return
    with Bars() if sys.stderr.isatty() else Lines() as watcher:
        yield watcher


def _prefect_runner(wanted: bool | None) -> Runner | None:
    """The way to run as a flow, where it is wanted and there; an API that does not answer is one warning."""
    if wanted is False:
        return None
    prefect = load_runner("prefect")
    if prefect is None or not (wanted or prefect.api_is_configured()):
        if wanted:
            raise ConfigError("--prefect: penstock_flows is not installed.")
        return None
    if prefect.api_is_reachable():
        runner: Runner = prefect.run_under_prefect
        return runner
    if not prefect.api_is_configured():
        raise ConfigError(
            "--prefect: no Prefect API is configured. Start a server with: prefect server start, and set PREFECT_API_URL to its address."
        )
    problem = f"the Prefect API {without_login(prefect.api_url())} does not answer"
    if wanted:
        raise ConfigError(f"--prefect: {problem}. Start a server with: prefect server start")
    click.echo(f"Warning: {problem}; running without it.", err=True)
    return None
