"""``penstock replay``: a worker and a reducer over captured events."""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli._options import json_option, print_json
from penstock.core.errors import ConfigError, PenstockError

if TYPE_CHECKING:
    from penstock.events.job import ReplayJob
    from penstock.events.replay import Replay
    from penstock.events.request import ReplayRequest

__all__ = ["replay"]

_NOT_THE_USERS = ("asyncio", "distributed", "h5py", "matplotlib", "numba", "uvicorn")
"""Libraries whose chatter would hide what the user's code logs."""
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@click.command(epilog="Example: penstock replay -w src.worker:TestWorker -r src.reducer:TestReducer -f data/dump_xrd.cbors -p params.json")
@click.option("-w", "--workerclass", required=True, metavar="MODULE:CLASS", help="Class with process_event.")
@click.option("-r", "--reducerclass", required=True, metavar="MODULE:CLASS", help="Class with process_result.")
@click.option(
    "-f", "--files", "first", multiple=True, type=click.Path(path_type=Path), help="Captures; several are joined on event number."
)
@click.argument("more", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option("-s", "--source", default=None, metavar="MODULE:CLASS", help="Class whose get_source_generators() make the events instead.")
@click.option("-p", "--parameters", type=click.Path(path_type=Path), default=None, help="File of parameters: JSON or CBOR.")
@click.option("--allow-pickle", is_flag=True, help="Also load pickled parameters, which can run any code.")
@click.option("--nworkers", type=click.IntRange(min=1), default=2, show_default=True, help="Virtual workers; part of the result.")
@click.option(
    "--processes", type=click.IntRange(min=1), default=1, show_default=True, help="Processes they live in; the result stays the same."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=None, help="Serve what the reducer publishes, and the parameters; 0 takes a free port."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on; any other than this machine's needs --token.")
@click.option("--token", envvar="PENSTOCK_TOKEN", default=None, help="What clients must send as bearer token [env: PENSTOCK_TOKEN].")
@click.option("--keep-alive", is_flag=True, help="Go on serving after the last event, until Ctrl-C.")
@click.option("--snapshot", type=click.Path(path_type=Path), default=None, help="Write what the reducer publishes to this HDF5 file.")
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=None,
    help="Keep the result in this store, where it is found again instead of computed.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="With --store: copy the reducer's files here, also when they are current.",
)
@click.option("--executor", default=None, help="With --store: inline (the default), local, or tcp://host:8786 of a Dask scheduler.")
@click.option("--watch", is_flag=True, help="Replay again whenever one of the modules is saved, until Ctrl-C.")
@click.option("--profile", is_flag=True, help="Say the time of an event, and the rate that workers keep up with.")
@json_option
def replay(
    workerclass: str,
    reducerclass: str,
    first: tuple[Path, ...],
    more: tuple[Path, ...],
    source: str | None,
    parameters: Path | None,
    allow_pickle: bool,
    nworkers: int,
    processes: int,
    port: int | None,
    host: str,
    token: str | None,
    keep_alive: bool,
    snapshot: Path | None,
    store: Path | None,
    output: Path | None,
    executor: str | None,
    watch: bool,
    profile: bool,
    as_json: bool,
) -> None:
    """Take every event of captures through a worker's process_event, and every result through a reducer's process_result.

    Events go to virtual workers by their number, results to the reducer in the order of events: the same each time, however many
    processes there are. LOG_LEVEL in the environment sets what is logged (DEBUG, INFO, WARNING, ERROR). An event at which the code
    raises ends the replay, and is saved as a capture of its own.
    """
    from penstock.events.job import ReplayJob
    from penstock.events.parameter_files import read_parameters
    from penstock.events.sources import open_files, open_user_source

    files = [*first, *more]
    if bool(files) == bool(source):
        raise ConfigError("give captures with -f, or a class that makes events with -s.")
    _log_to_standard_error()
    here = Path.cwd()
    if store is not None:
        live = {
            "-s": source,
            "--port": port is not None,
            "--snapshot": snapshot,
            "--watch": watch,
            "--profile": profile,
            "--processes": processes > 1,
        }
        if any(live.values()):
            raise ConfigError(f"{', '.join(name for name, given in live.items() if given)} cannot go with --store.")
        sys.exit(
            0 if _replay_in_store(_request(workerclass, reducerclass, files, parameters, nworkers, store, executor), output, as_json) else 1
        )
    if output is not None or executor is not None:
        raise ConfigError("--output and --executor go with --store; without it the reducer writes its files itself.")
    opened = functools.partial(open_user_source, source, here) if source else functools.partial(open_files, files)
    given = read_parameters(parameters, allow_pickle=allow_pickle) if parameters else {}
    job = ReplayJob(workerclass, reducerclass, here, opened, given, nworkers)
    while True:
        began, since = time.perf_counter(), time.time_ns()
        ok = _replay_once(job, processes, _Serving(port, host, token, keep_alive), snapshot, profile, as_json)
        if not watch:
            sys.exit(0 if ok else 1)
        click.echo(f"replayed in {time.perf_counter() - began:.2f} s; waiting for a change of the modules", err=True)
        try:
            _wait_for_change(job, since)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            return


def _request(
    worker: str, reducer: str, files: Sequence[Path], parameters: Path | None, nworkers: int, store: Path, executor: str | None
) -> ReplayRequest:
    from pydantic import ValidationError

    from penstock.config import explain_validation
    from penstock.events.request import ReplayRequest

    try:
        return ReplayRequest(
            folder=str(Path.cwd()),
            worker=worker,
            reducer=reducer,
            files=[str(path) for path in files],
            nworkers=nworkers,
            parameters_file=str(parameters or ""),
            store=str(store),
            executor=executor,
        )
    except ValidationError as error:
        raise ConfigError(explain_validation(error, ReplayRequest)) from error


def _replay_in_store(request: ReplayRequest, output: Path | None, as_json: bool) -> bool:
    """The same as a stage: computed once, kept by content."""
    from penstock.cli.run import execute, print_report
    from penstock.instruments.captures.adhoc import copy_out, replay_experiment

    with replay_experiment(request) as (experiment, wanted), experiment.open_store() as store:
        report = execute(experiment, store, wanted, experiment.resources, prefect=False, quiet=as_json)
        copies = [
            path for r in report.results if output is not None and r.error is None and r.key for path in copy_out(store, r.key, output)
        ]
    if as_json:
        print_json(report.as_json())
    else:
        print_report(report)
    for path in copies:
        click.echo(f"wrote {path}", err=True)
    return report.ok


class _Serving:
    """Whether and where to serve what the reducer publishes."""

    def __init__(self, port: int | None, host: str, token: str | None, keep_alive: bool) -> None:
        self._port, self._host, self._token, self._keep_alive = port, host, token, keep_alive

    @contextmanager
    def of(self, run: Replay) -> Iterator[None]:
        """Serve while the replay runs, and after it with ``--keep-alive``."""
        if self._port is None:
            yield
            self._stay(run)
            return
        from penstock.views.hsds import Publisher, PublishServer

        publisher = Publisher()
        publisher.replace(run.reducer)
        with PublishServer(publisher, run.board, host=self._host, port=self._port, token=self._token) as server:
            click.echo(f"serving on {server.url}", err=True)
            yield
            self._stay(run)

    def _stay(self, run: Replay) -> None:
        if not self._keep_alive:
            return
        click.echo("all events are reduced; press Ctrl-C to stop", err=True)
        try:
            while True:
                time.sleep(run.idle())
        except KeyboardInterrupt:
            click.echo("stopped", err=True)


def _replay_once(job: ReplayJob, processes: int, serving: _Serving, snapshot: Path | None, profile: bool, as_json: bool) -> bool:
    from penstock.events.reducing import ReducerFailed
    from penstock.events.replay import Replay
    from penstock.events.workers import WorkerFailed

    try:
        run = Replay(job, processes)
        with serving.of(run):
            report = run.run()
            if snapshot is not None:
                from penstock.formats.published import write_snapshot

                for where, reason in write_snapshot(run.reducer.publish or {}, snapshot).items():
                    click.echo(f"Warning: {where} is not in the snapshot: {reason}", err=True)
        run.reducer.close()
    except (WorkerFailed, ReducerFailed) as error:
        click.echo(error.text, err=True)
        click.echo(f"Error: {error}", err=True)
        if isinstance(error, WorkerFailed) and error.event_number is not None:
            _save_event(job, error.event_number)
        return False
    finally:
        logging.getLogger().handlers[0].flush()
    for reason, count in report.problems.items():
        click.echo(f"Warning: {reason}: {count}", err=True)
    if as_json:
        print_json(report.as_json(job.n_workers))
    else:
        click.echo(f"{report.events} events, {report.results} results", err=True)
        if profile:
            click.echo(report.profile(job.n_workers), err=True)
    return True


def _save_event(job: ReplayJob, number: int) -> None:
    from penstock.events.sources import save_event

    path = Path.cwd() / f"failed-event-{number}.cbors"
    try:
        saved = save_event(job.open_source(), number, path)
    except (OSError, PenstockError) as error:
        click.echo(f"The event could not be saved ({error}).", err=True)
        return
    if saved:
        click.echo(f"The event is saved; replay it alone with: penstock replay -w {job.worker} -r {job.reducer} -f {path.name}", err=True)


def _log_to_standard_error() -> None:
    level = os.environ.get("LOG_LEVEL", "INFO").upper()
    if level not in _LEVELS:
        raise ConfigError(f"LOG_LEVEL={level!r} in the environment is not one of {', '.join(_LEVELS)}.")
    logging.basicConfig(level=level, format="%(levelname)s:%(name)s:%(message)s", stream=sys.stderr, force=True)
    for name in _NOT_THE_USERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _wait_for_change(job: ReplayJob, since: int) -> None:
    """Wait until a module of the user's folder is saved, then forget all of them, so that they are imported anew.

    Parameters
    ----------
    since
        When the replay began, in ns since 1970: what was saved while it ran counts.
    """
    files = {name: Path(str(getattr(found, "__file__", None) or "")) for name, found in list(sys.modules.items())}
    modules = {name: path for name, path in files.items() if path.is_relative_to(job.folder) and "site-packages" not in path.parts}
    while all(_saved_at(path) <= since for path in modules.values()):
        time.sleep(0.2)
    for name in modules:
        sys.modules.pop(name, None)


def _saved_at(path: Path) -> int:
    """When a file was saved last, in ns since 1970; 0 while an editor has it moved away."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
