"""``penstock import-spyral``: take over a configuration of Spyral, or a workspace with its results."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click

from penstock.cli._options import json_option, print_json, print_table
from penstock.cli.run import execute, print_report
from penstock.config import Resources, load_experiment, load_registry
from penstock.config.spyral.conversion import Conversion, convert
from penstock.config.spyral.experiment import check_values, experiment_text, import_stages, workspace_text
from penstock.config.spyral.scripts import read_script
from penstock.config.spyral.settings import read_json
from penstock.core.errors import ConfigError
from penstock.core.selection import RunRange
from penstock.execute import Request
from penstock.formats.spyral.layout import FOLDERS, find_runs

__all__ = ["import_spyral"]

_PLUGIN = "penstock.instruments.spyral"


@click.command("import-spyral", epilog="Example: penstock import-spyral script.py --out e20009")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder that gets experiment.toml.")
@click.option("--name", default=None, help="Name of the experiment; that of the folder without.")
@click.option("--runs", default="all", show_default=True, help="Of a workspace: runs that are taken over.")
@click.option("--epsilon-mm", type=click.FloatRange(min=0), default=None, help="Of a configuration: take this cluster_selection_epsilon.")
@click.option("--force", is_flag=True, help="Write over an experiment.toml that is there.")
@json_option
def import_spyral(source: Path, out: Path, name: str | None, runs: str, epsilon_mm: float | None, force: bool, as_json: bool) -> None:
    """Take over SOURCE: a script or config.json of Spyral, or a workspace with its results.

    A configuration becomes an experiment.toml, and each of its fields is listed as taken, renamed, dropped or unknown. Scripts are parsed, never executed.

    A workspace becomes an experiment.toml whose raw data are the files of the workspace, and its point clouds, clusters, estimates and fits become artifacts.
    """
    path = out / "experiment.toml"
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already. Choose another --out, or write over it with --force.")
    title = name or re.sub(r"[^A-Za-z0-9_.-]", "-", out.resolve().name)
    if source.is_dir():
        _import_workspace(source, path, title, runs, as_json=as_json)
    else:
        _import_configuration(source, path, title, epsilon_mm, as_json=as_json)


def _import_configuration(source: Path, path: Path, title: str, epsilon_mm: float | None, *, as_json: bool) -> None:
    if source.suffix not in (".json", ".py"):
        raise ConfigError(f"{source}: expected config.json, a Python script or the folder of a workspace.")
    settings = read_json(source) if source.suffix == ".json" else read_script(source)
    registry = load_registry()
    found = convert(settings, registry, epsilon_mm=epsilon_mm)
    check_values(found, registry)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(experiment_text(found, path.parent, path.name, title), encoding="utf-8")
    load_experiment(path)
    command = f"penstock run {path}"
    command += f" --runs {shlex.quote(found.runs)}" if found.runs else ""
    command += f" --stages {found.wanted}" if found.wanted else ""
    if as_json:
        print_json(
            {
                "experiment": str(path),
                "generation": settings.generation,
                "pipeline": list(found.pipeline),
                "runs": found.runs,
                "fields": [
                    {"field": o.written, "value": str(o.value), "status": o.status, "target": o.target, "why": o.why}
                    for o in found.outcomes
                ],
                "next": command,
            }
        )
    else:
        _print(found)
        click.echo(f"{path} written. Next: {command}")


def _print(found: Conversion) -> None:
    rows = [[o.written, _short(o.value), o.status, "; ".join(part for part in (o.target, o.why) if part)] for o in found.outcomes]
    print_table(["Spyral", "value", "", "here"], rows)
    counts = {status: sum(o.status == status for o in found.outcomes) for status in ("taken", "renamed", "dropped", "unknown")}
    click.echo(", ".join(f"{count} {status}" for status, count in counts.items()))


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 32 else f"...{text[-29:]}"


def _import_workspace(workspace: Path, path: Path, title: str, runs: str, *, as_json: bool) -> None:
    found = find_runs(workspace)
    if not found:
        raise ConfigError(
            f"{workspace}: no files of runs in {', '.join(FOLDERS)}. Name the workspace of Spyral 1.x, the folder that holds these."
        )
    stages = import_stages(role for files in found.values() for role in files)
    plugin = "" if "spyral" in load_registry().instruments else _PLUGIN
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(workspace_text(workspace.resolve(), path.parent, path.name, title, stages, plugin=plugin), encoding="utf-8")
    experiment = load_experiment(path)
    with experiment.open_store() as store:
        report = execute(experiment, store, Request(runs=RunRange(runs)), Resources(executor="inline"), quiet=as_json)
    if as_json:
        print_json({"experiment": str(path), "pipeline": stages, **report.as_json()})
    else:
        print_report(report)
        click.echo(f"{path} written. See what is there with: penstock runs {path}")
    if not report.ok:
        sys.exit(1)
