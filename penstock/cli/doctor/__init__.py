"""``penstock doctor``: what is missing, doubtful or open on this machine. One file a topic."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from penstock.cli._options import json_option, print_json
from penstock.cli.doctor._experiment import look_at_experiment
from penstock.cli.doctor._listening import look_at_listeners
from penstock.cli.doctor._machine import look_at_machine
from penstock.cli.doctor._prefect import look_at_prefect
from penstock.config import find_experiment

__all__ = ["doctor"]


@click.command(epilog="Example: penstock doctor --json")
@click.argument("experiment", type=click.Path(path_type=Path), required=False)
@json_option
def doctor(experiment: Path | None, as_json: bool) -> None:
    """Look at packages, plug-ins, caches, the store, the Prefect API, devices, and at whatever is open to others.

    Exit code 1 where there is a problem.
    """
    findings = [
        *look_at_machine(),
        *look_at_experiment(experiment or find_experiment(Path.cwd())),
        *look_at_prefect(),
        *look_at_listeners(),
    ]
    if as_json:
        print_json([f.as_json() for f in findings])
    else:
        for finding in findings:
            click.echo(str(finding))
    if any(f.state == "problem" for f in findings):
        sys.exit(1)
