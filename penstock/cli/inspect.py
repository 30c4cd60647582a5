"""``penstock inspect``: what is in captures of event streams."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli._options import json_option, nearest_experiment, print_json, print_table
from penstock.core.errors import ConfigError

if TYPE_CHECKING:
    from penstock.events.inspection import Inspection, StreamContent
    from penstock.stream.trigger_map import TriggerMap

__all__ = ["inspect"]

_KINDS = {"dump": "events", "raw": "raw messages", "pickles": "pickles", None: "?"}


@click.command(epilog="Example: penstock inspect raw/run_0001.*.cbors")
@click.argument("files", nargs=-1, required=True, metavar="FILE|RUN...")
@click.option(
    "--experiment", type=click.Path(path_type=Path), default=None, help="experiment.toml that knows RUN; the nearest one above without."
)
@click.option(
    "--events", "out", type=click.Path(path_type=Path), default=None, help="Write the events into one capture, as replays read it; raw too."
)
@click.option(
    "--map", "trigger_map", type=click.Path(path_type=Path), default=None, help="Trigger map (JSON) by which raw messages make events."
)
@json_option
def inspect(files: tuple[str, ...], experiment: Path | None, out: Path | None, trigger_map: Path | None, as_json: bool) -> None:
    """Say what is in captures: files, streams, messages, shapes, rates, and what is missing or damaged.

    A number stands for that run of the nearest experiment.toml. The exit code is 1 where something cannot be read; streams that are
    missing in some events are reported, and no failure.
    """
    from penstock.events.inspection import inspect_captures, write_events

    paths = _paths(files, experiment)
    mapping = _read_map(trigger_map)
    found = inspect_captures(paths, mapping)
    written = 0
    if out is not None:
        written = write_events(paths, out, mapping)
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)
    if out is not None:
        click.echo(f"wrote {out}: {written:,} events", err=True)
    sys.exit(0 if found.whole else 1)


def _read_map(path: Path | None) -> TriggerMap | None:
    from penstock.stream.trigger_map import TriggerMap

    if path is None:
        return None
    try:
        found = TriggerMap.from_json(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: no trigger map can be read from it ({error}).") from error
    return found.wrapped()


def _paths(files: tuple[str, ...], experiment: Path | None) -> list[Path]:
    """Files as they are named; of a run, all its captures."""
    paths = []
    for name in files:
        if name.isdigit() and not Path(name).exists():
            found = nearest_experiment(experiment)
            runs = found.instrument.find_runs(found.raw)
            if int(name) not in runs:
                raise ConfigError(f"run {name}: no captures in {found.raw}; there are {len(runs)} runs.")
            paths += list(runs[int(name)].values())
        else:
            paths.append(Path(name))
    return paths


def _print(found: Inspection) -> None:
    rows = [[str(f.path), _KINDS[f.kind], f"{f.items:,}", _size(f.nbytes), ", ".join(f.streams) or "?"] for f in found.files]
    print_table(["file", "holds", "items", "size", "streams"], rows)
    for content in found.files:
        if content.fault:
            click.echo(f"  {content.fault}")
        for damage in content.damage:
            click.echo(f"  {content.path}: {damage}")
    if found.streams:
        click.echo()
        print_table(["stream", "protocol", "events", "numbers", "lacking", "rate", "size", "messages"], [_row(s) for s in found.streams])
        click.echo()
    for stream in found.streams:
        for what in (*stream.forms, ", ".join(stream.values)):
            if what:
                click.echo(f"{stream.name}: {what}")
        for reason, n in stream.bad.items():
            click.echo(f"{stream.name}: {n:,} messages cannot be read: {reason}")
    for reason, n in found.problems.items():
        click.echo(f"{reason}: {n:,}")
    if found.absent:
        click.echo(f"event numbers that occur in no file: {found.absent:,}")
    if found.fault:
        click.echo(f"Not joined: {found.fault}")
    else:
        lasting = "" if found.seconds is None else f" in {found.seconds:,.1f} s"
        click.echo(f"{found.events:,} events ({found.first} to {found.last}){lasting}; {found.complete:,} of them have all streams")


def _row(stream: StreamContent) -> list[str]:
    rate = "?" if stream.hertz is None else f"{stream.hertz:,.1f} Hz"
    messages = ", ".join(f"{n:,} {kind}" for kind, n in stream.messages.items())
    numbers = f"{stream.first} to {stream.last}"
    return [stream.name, stream.typ, f"{stream.events:,}", numbers, f"{stream.lacking:,}", rate, _size(stream.nbytes), messages]


def _size(nbytes: int) -> str:
    return f"{nbytes / 1e3:,.1f} kB" if nbytes < 1_000_000 else f"{nbytes / 1e6:,.1f} MB"
