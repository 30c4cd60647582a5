"""``penstock init``: a commented experiment.toml, ready to run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import click

from penstock.cli._options import json_option, print_json
from penstock.config import load_experiment, load_registry
from penstock.core.errors import ConfigError
from penstock.core.instrument import Instrument

__all__ = ["init"]

_TEMPLATE = """# An experiment of penstock. Every path is relative to this file.
# What a run would do:   penstock plan {file}
# Do it:                 penstock run {file} --runs {example}

[experiment]
name = "{name}"
instrument = "{instrument}"      # {title}
raw = "{raw}"      # folder of the raw files: {files}
preset = "default"       # a named set of parameters of the instrument: {presets}
# facility = "FRIB"
# pipeline = {pipeline}      # further stages: {further}

[store]
path = "store"           # results, by content; may be shared by a group
# index = "/local/disk/index.sqlite"    # where the store lies on a network file system

# Parameters by stage. What stands here wins over the preset; --set on the command line wins over this.
# All names, units, bounds and defaults:   penstock stages show {first}
{params}

# Values for some runs only:
# [[runs]]
# range = "94-110"
# params.{first}.{parameter} = ...

# The same from CSV files, such as penstock calibrate drift writes:
# [tables]
# runs = ["drift.csv"]

# Calibrations and geometry of your own, as files; their content is in the key of every result that uses them.
{assets}

# Stages of your own: importable modules, or .py files beside this one.
# [plugins]
# modules = ["my_stages.py"]

# How it is computed. None of this changes a result.
[resources]
# executor = "local"     # inline, local (worker processes of this machine) or tcp://host:8786; PENSTOCK_EXECUTOR without
# workers = 4            # all cores without
# memory = "4GB"         # limit of one worker
"""


@click.command(epilog="Example: penstock init e20009 --instrument attpc --raw /data/e20009")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--instrument", required=True, help="Detector set-up, such as attpc.")
@click.option("--raw", required=True, type=click.Path(path_type=Path), help="Folder that holds the raw run files.")
@click.option("--name", default=None, help="Name of the experiment; that of the folder without.")
@click.option("--force", is_flag=True, help="Write over an experiment.toml that is there.")
@json_option
def init(folder: Path, instrument: str, raw: Path, name: str | None, force: bool, as_json: bool) -> None:
    """Write FOLDER/experiment.toml, commented, ready to run."""
    path = folder / "experiment.toml"
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already. Edit it, or write over it with --force.")
    registry = load_registry()
    found = registry.instrument(instrument)
    if not raw.is_dir():
        raise ConfigError(
            f"--raw {raw}: no such folder. Name the folder that holds files like {', '.join(found.file_name(r, 1) for r in found.files)}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    runs = sorted(found.find_runs(raw))
    stages = [registry.stage(s) for s in found.pipeline]
    lines = [
        f"# [params.{s.name}]\n" + "\n".join(f"# {p} = {_toml(s.params.model_fields[p].default)}" for p in _simple(s.params.model_fields))
        for s in stages
    ]
    text = _TEMPLATE.format(
        file=path.name,
        example=f"{runs[0]}-{runs[-1]}" if len(runs) > 1 else str(runs[0]) if runs else "all",
        name=name or re.sub(r"[^A-Za-z0-9_.-]", "-", folder.resolve().name),
        instrument=found.name,
        title=found.title,
        raw=Path(os.path.relpath(raw.resolve(), folder.resolve())).as_posix(),
        files=", ".join(found.files.values()),
        presets=", ".join(sorted(p.stem for p in found.presets.glob("*.toml"))),
        pipeline="[" + ", ".join(f'"{s}"' for s in found.pipeline) + "]",
        further=", ".join(name for name in registry.stages if name not in found.pipeline and _family(name) == _family(found.pipeline[0])),
        first=found.pipeline[0],
        parameter=next(iter(_simple(stages[0].params.model_fields))),
        params="\n\n".join(lines),
        assets=_assets(found),
    )
    path.write_text(text, encoding="utf-8")
    load_experiment(path)
    if as_json:
        print_json({"experiment": str(path), "runs": list(runs), "required": list(found.required)})
    else:
        first = f"name the file of {', '.join(found.required)} in it, then " if found.required else ""
        click.echo(f"{path} written; {len(runs)} runs in {raw}. Next: {first}penstock run {path} --runs {runs[0] if runs else 1}")


def _assets(instrument: Instrument) -> str:
    """The section of assets: what the instrument requires with a placeholder, all else as comments."""
    roles = [role for roles in instrument.asset_roles.values() for role in roles]
    required = [f'{role} = "path/to/{role}"      # required: {what}' for role, what in instrument.required.items()]
    optional = [f'# {role} = "path"' for role in roles if role not in instrument.required]
    return "\n".join([f"{'' if required else '# '}[assets]", *required, *optional])


def _family(stage: str) -> str:
    return stage.partition(".")[0]


def _simple(fields: Mapping[str, object]) -> list[str]:
    return [name for name, info in fields.items() if isinstance(getattr(info, "default", None), bool | int | float | str)]


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
