"""The stage ``events.mapreduce``: a user's worker and reducer over a run, each in a process of its own.

A part is one virtual worker with all its events; so parts can be computed anywhere and in any order. Their results go
to the reducer in the order of events.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.core.errors import BadRun, ConfigError, PenstockError, RunCancelled
from penstock.core.schema import Rejection
from penstock.core.stage import RunSource
from penstock.events.board import parse_values
from penstock.events.parameter_files import read_parameters
from penstock.events.params import MapReduceParams
from penstock.events.schemas import Reduced

__all__ = ["ProcessDied", "UserCodeFailed", "complete_params", "count_workers", "map_part", "reduce_parts"]

POLL_S = 0.1
"""How often a process that runs a user's code is looked at, in seconds."""


class UserCodeFailed(BadRun):
    """A user's worker or reducer raised; the message ends with its traceback."""


class ProcessDied(PenstockError, OSError):
    """A process with a user's code was killed, or ended in a way that tells nothing."""


def complete_params(params: MapReduceParams, folder: Path, fingerprint: Callable[[Sequence[str]], str]) -> MapReduceParams:
    """The parameters with the fingerprint of the user's code and the content of the parameters' file.

    Raises
    ------
    ConfigError
        Worker or reducer is not given or not there, or the file cannot be read.
    """
    for name in ("worker", "reducer"):
        if not getattr(params, name):
            raise ConfigError(
                f"stage 'events.mapreduce': parameter '{name}' is not set. Give it a class, such as 'src.{name}:Test{name.title()}'."
            )
    modules = [name.partition(":")[0] for name in (params.worker, params.reducer)]
    given: dict[str, str] = {}
    if params.parameters_file:
        found = read_parameters(folder / params.parameters_file)
        given = {name: base64.b64encode(data).decode() for name, data in sorted(found.items())}
    return params.model_copy(update={"code": fingerprint(modules), "given": given})


def count_workers(source: RunSource, params: MapReduceParams) -> int:
    """Parts of the stage: its virtual workers."""
    return params.nworkers


def map_part(source: RunSource, part: int, folder: Path, params: MapReduceParams) -> None:
    """Take one virtual worker through its events and write what it makes of them.

    Raises
    ------
    UserCodeFailed
        The worker raised, and `params.on_error` is "fail".
    """
    _run(source, {"what": "map", "index": part, "out": str(folder), **_job(source, params)})


def reduce_parts(source: RunSource, parts: Sequence[Path], folder: Path, params: MapReduceParams) -> Reduced:
    """Give the results of all virtual workers to the reducer, in the order of events; its files are the result.

    Raises
    ------
    UserCodeFailed
        The reducer raised.
    """
    told = _run(source, {"what": "reduce", "parts": [str(p) for p in parts], "out": str(folder), **_job(source, params)})
    reduced = Reduced.empty(int(told["events"]))
    reduced.rejections = [Rejection(int(position), str(reason)) for position, reason in told["rejected"]]
    return reduced


def given_values(params: MapReduceParams) -> dict[str, bytes]:
    """Values of parameters as bytes; those named in experiment.toml go before those of the file."""
    return {**{name: base64.b64decode(text) for name, text in params.given.items()}, **parse_values(params.parameters)}


def _job(source: RunSource, params: MapReduceParams) -> dict[str, Any]:
    return {
        "worker": params.worker,
        "reducer": params.reducer,
        "base": str(source.base),
        "files": [str(path) for path in source.raw.values()],
        "events": str(source.events),
        "parameters": {name: base64.b64encode(data).decode() for name, data in given_values(params).items()},
        "n_workers": params.nworkers,
        "on_error": params.on_error,
    }


def _run(source: RunSource, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run a job in a process of its own, which can be stopped and whose imports disturb nobody; what it tells.

    What the user's code prints goes to the standard error of this process.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        asked, told = Path(scratch) / "job.json", Path(scratch) / "told.json"
        asked.write_text(json.dumps(job))
        command = [sys.executable, "-m", "penstock.events.stage_process", str(asked), str(told)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2, cwd=source.base) as process:
            while (code := _wait(process)) is None:
                if source.stop():
                    process.terminate()
                    raise RunCancelled(f"run {source.run}: cancelled")
        if code != 0:
            raise ProcessDied(f"run {source.run}: the process with the user's code died (exit code {code}). Look at what it printed.")
        answer: dict[str, Any] = json.loads(told.read_text())
    if "error" in answer:
        raise UserCodeFailed(f"run {source.run}: {answer['error']}\n{answer['traceback']}".rstrip())
    return answer


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return None
