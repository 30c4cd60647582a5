"""Options and ways of printing that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

import click

from penstock.config import Experiment, find_experiment, load_experiment, parse_overrides
from penstock.core.canonical import Json
from penstock.core.errors import ConfigError
from penstock.core.selection import EventSelection, RunRange
from penstock.execute import Request
from penstock.store import Store

__all__ = [
    "experiment_argument",
    "json_option",
    "load_runner",
    "nearest_experiment",
    "open_store",
    "print_json",
    "print_table",
    "request_options",
    "to_request",
]

F = TypeVar("F", bound=Callable[..., Any])

experiment_argument = click.argument("experiment", type=click.Path(path_type=Path), required=False)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output, and nothing else there.")


def request_options(command: F) -> F:
    """The options that say what is asked for."""
    for option in reversed(
        [
            click.option("--runs", default="all", show_default=True, help="Run range: 94-110,115,!100 or last:50 or all."),
            click.option("--events", default=None, help="Some events only, for a trial: 0:500, first:100 or every:10."),
            click.option("--stages", default="", help="Stages wanted, with all that they need: tpc.points,tpc.clusters."),
            click.option("--set", "overrides", multiple=True, metavar="STAGE.PARAMETER=VALUE", help="Set a parameter; may be given often."),
            click.option("--preset", default=None, help="Another preset of the instrument."),
        ]
    ):
        command = option(command)
    return command


def to_request(runs: str, events: str | None, stages: str, overrides: Sequence[str], *, retry_failed: bool = False) -> Request:
    """The request that the options come to."""
    return Request(
        runs=RunRange(runs),
        events=EventSelection.parse(events) if events else EventSelection(),
        stages=tuple(s.strip() for s in stages.split(",") if s.strip()),
        overrides=parse_overrides(overrides),
        retry_failed=retry_failed,
    )


def nearest_experiment(path: Path | None, preset: str | None = None) -> Experiment:
    """The experiment at `path`, or the nearest one above the working directory."""
    found = path or find_experiment(Path.cwd())
    if found is None:
        raise ConfigError("no experiment.toml here or above. Name one, or make one with: penstock init DIR --instrument attpc --raw RAWDIR")
    return load_experiment(found, preset=preset)


def open_store(path: Path | None) -> Store:
    """The store at `path`, or that of the nearest experiment.toml."""
    if path is not None:
        return Store(path, create=False)
    found = find_experiment(Path.cwd())
    if found is None:
        raise ConfigError("which store? Name it with --store, or call this below the folder of an experiment.toml.")
    return load_experiment(found).open_store()


def load_runner(name: str) -> Any | None:
    """The package that runs requests in another way, by entry point (`prefect`); None where it is not installed."""
    point = next(iter(entry_points(group="penstock.runners", name=name)), None)
    return None if point is None else point.load()


def print_json(value: Json | Sequence[Json]) -> None:
    """JSON on standard output."""
    click.echo(json.dumps(value, indent=1))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns of text, as wide as their widest cell."""
    widths = [max(len(str(r[i])) for r in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        click.echo("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
