"""``penstock stages``: what is registered, what its parameters are, and the lock of the code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from pydantic import BaseModel

from penstock.cli._options import json_option, nearest_experiment, print_json, print_table
from penstock.config import Registry, find_experiment, load_registry, read_lock, stage_code
from penstock.core.canonical import Json

__all__ = ["parameter_rows", "stages"]


def _registry(experiment: Path | None) -> Registry:
    found = experiment or find_experiment(Path.cwd())
    return nearest_experiment(found).registry if found else load_registry()


_experiment = click.option(
    "--experiment", type=click.Path(path_type=Path), default=None, help="experiment.toml whose plug-ins are listed too."
)


@click.group()
def stages() -> None:
    """Registered stages and instruments, plug-ins (also broken ones, with the reason), and the lock."""


@stages.command(epilog="Example: penstock stages ls")
@_experiment
@json_option
def ls(experiment: Path | None, as_json: bool) -> None:
    """List stages with what they read and write, instruments, and plug-ins that failed to load."""
    registry = _registry(experiment)
    rows: list[dict[str, Json]] = [
        {
            "stage": s.name,
            "version": s.version,
            "reads": [schema.schema_id() for schema in s.reads.values()],
            "writes": s.writes.schema_id(),
            "lane": s.lane,
            "from": registry.sources.get(s.name, "penstock"),
        }
        for s in registry.stages.values()
    ]
    broken = [{"plugin": p.source, "reason": p.reason} for p in registry.problems]
    if as_json:
        print_json({"stages": rows, "instruments": sorted(registry.instruments), "broken": broken})
        return
    cells = [[", ".join(map(str, v)) if isinstance(v, list) else str(v) for v in row.values()] for row in rows]
    print_table(["stage", "version", "reads", "writes", "lane", "from"], cells)
    click.echo("instruments: " + ", ".join(f"{i.name} ({i.title})" for i in registry.instruments.values()))
    for problem in registry.problems:
        click.echo(f"broken plug-in {problem.source}: {problem.reason}")


@stages.command(epilog="Example: penstock stages show tpc.clusters")
@click.argument("name")
@_experiment
@json_option
def show(name: str, experiment: Path | None, as_json: bool) -> None:
    """Print the parameters of a stage: name, default, bounds, meaning; and the columns that it writes."""
    stage = _registry(experiment).stage(name)
    params = list(parameter_rows(stage.params))
    if as_json:
        columns = [
            {"table": t.name, "column": c.name, "dtype": c.dtype, "unit": c.unit, "doc": c.doc}
            for t in stage.writes.tables
            for c in t.columns
        ]
        print_json(
            {
                "stage": name,
                "version": stage.version,
                "params": [dict(zip(("name", "default", "bounds", "doc"), p, strict=True)) for p in params],
                "columns": columns,
            }
        )
        return
    print_table(["parameter", "default", "bounds", "meaning"], params)
    click.echo("")
    print_table(
        ["column", "type", "unit", "meaning"],
        [[f"{t.name}.{c.name}", c.dtype, c.unit, c.doc] for t in stage.writes.tables for c in t.columns],
    )


def parameter_rows(model: type[BaseModel], prefix: str = "") -> list[list[str]]:
    """Dotted name, default, bounds and meaning of each parameter of a (nested) model."""
    rows: list[list[str]] = []
    schema = model.model_json_schema()["properties"]
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            rows += parameter_rows(kind, f"{prefix}{name}.")
            continue
        signs = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
        bounds = [f"{sign} {schema[name][word]}" for word, sign in signs.items() if word in schema[name]]
        bounds += [" | ".join(map(str, schema[name]["enum"]))] if "enum" in schema[name] else []
        rows.append(
            [
                f"{prefix}{name}",
                json.dumps(info.get_default(call_default_factory=True)),
                ", ".join(bounds),
                (info.description or "").replace("\n", " "),
            ]
        )
    return rows


@stages.command(epilog='Example: penstock stages lock --same-results "renamed a variable"')
@click.option("--same-results", default=None, metavar="REASON", help="Why the code may change without a new version.")
@json_option
def lock(same_results: str | None, as_json: bool) -> None:
    """Write stages.lock anew (developers of penstock): version, fingerprint and golden output of each stage.

    A stage whose code changed needs a new version, or --same-results with the reason.
    """
    from penstock.config import write_lock
    from penstock.simulate.golden import make_lock

    entries = make_lock(list(load_registry().stages.values()), same_results=same_results)
    write_lock(entries)
    if as_json:
        print_json({name: entry.fingerprint for name, entry in entries.items()})
    else:
        for name, entry in entries.items():
            click.echo(f"{name}  version {entry.version}  {entry.fingerprint}")


@stages.command(epilog="Example: penstock stages check")
@json_option
def check(as_json: bool) -> None:
    """Compare the code of each stage with stages.lock; exit code 1 where one differs."""
    locked = read_lock()
    rows: list[dict[str, Json]] = []
    for stage in load_registry().stages.values():
        code, entry = stage_code(stage), locked.get(stage.name)
        state = (
            "locked"
            if code.locked
            else "not in the lock"
            if entry is None
            else f"differs: locked version {entry.version}, {entry.fingerprint}"
        )
        rows.append({"stage": stage.name, "version": stage.version, "fingerprint": code.fingerprint, "state": state})
    if as_json:
        print_json(rows)
    else:
        print_table(["stage", "version", "fingerprint", "state"], [[str(v) for v in r.values()] for r in rows])
    if any(r["state"] != "locked" for r in rows):
        sys.exit(1)
