"""experiment.toml as text: from a configuration of Spyral, and for a workspace of Spyral."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from penstock.config import Registry
from penstock.config.spyral.conversion import Conversion, by_stage
from penstock.core.errors import ConfigError
from penstock.formats.spyral.layout import CLUSTERS, ESTIMATES, FITS, POINTS

__all__ = ["check_values", "experiment_text", "import_stages", "workspace_text"]

_HEAD = """# Made from {source} ({generation}). Every path is relative to this file.
# What a run would do:   penstock plan {file}{runs}
# Do it:                 penstock run {file}{runs}{stages}

[experiment]
name = {name}
instrument = "attpc"
raw = {raw}
{pipeline}
[store]
path = "store"
"""

_WORKSPACE = """# The workspace {source} of Spyral, whose results are taken over. Every path is relative to this file.
# Take over new files:   penstock run {file}

[experiment]
name = {name}
instrument = "spyral"
raw = {source}
# To go on with stages of penstock, end with them, for instance:
#   pipeline = ["spyral.points", "tpc.clusters", "tpc.estimates"]
#   pipeline = ["spyral.clusters", "spyral.estimates", "tpc.mesh", "tpc.fits"]
pipeline = {pipeline}

[store]
path = "store"
{plugins}
[resources]
executor = "inline"
"""

_STAGES: Mapping[str, str] = {POINTS: "spyral.points", CLUSTERS: "spyral.clusters", ESTIMATES: "spyral.estimates", FITS: "spyral.fits"}


def experiment_text(conversion: Conversion, folder: Path, file: str, name: str) -> str:
    """The text of experiment.toml for a converted configuration, to be written into `folder`."""
    raw = conversion.raw
    text = _HEAD.format(
        source=conversion.source.path.name,
        generation=conversion.source.generation,
        file=file,
        runs=f" --runs {shlex.quote(conversion.runs)}" if conversion.runs else "",
        stages=f" --stages {conversion.wanted}" if conversion.wanted else "",
        name=_toml(name),
        raw=_toml(_relative(raw, folder) if raw is not None else "raw"),
        pipeline=f"pipeline = {_toml(list(conversion.pipeline))}\n" if conversion.pipeline else "",
    )
    for table, values in sorted(by_stage(conversion.params).items()):
        lines = [f"{key} = {_toml(value)}    # {source}" for key, (value, source) in values.items()]
        text += f"\n[params.{table}]\n" + "\n".join(lines) + "\n"
    if conversion.assets or conversion.absent:
        text += "\n[assets]\n"
        for role, files in conversion.assets.items():
            text += f"{role} = {_toml(_one_or_list(role, [_relative(f, folder) for f in files]))}\n"
        for role, files in conversion.absent.items():
            text += f"# not there: {role} = {_toml(_one_or_list(role, [_relative(f, folder) for f in files]))}\n"
    if conversion.workers is not None:
        text += f'\n[resources]\nexecutor = "local"\nworkers = {conversion.workers}\n'
    return text


def import_stages(folders: Iterable[str]) -> list[str]:
    """The stages that take over what lies in the folders of phases."""
    found = {folder.partition(".")[0] for folder in folders}
    return [stage for folder, stage in _STAGES.items() if folder in found]


def workspace_text(workspace: Path, folder: Path, file: str, name: str, stages: Sequence[str], *, plugin: str) -> str:
    """The text of experiment.toml for a workspace, to be written into `folder`.

    Parameters
    ----------
    plugin
        Module that declares the instrument, where the registry does not have it.
    """
    return _WORKSPACE.format(
        source=_toml(_relative(workspace, folder)),
        file=file,
        name=_toml(name),
        pipeline=_toml(list(stages)),
        plugins=f"\n[plugins]\nmodules = {_toml([plugin])}\n" if plugin else "",
    )


def check_values(conversion: Conversion, registry: Registry) -> None:
    """Refuse a value that the parameters of a stage do not allow, naming the field of Spyral.

    Raises
    ------
    ConfigError
        With the field, its value and the bound.
    """
    for stage in registry.stages.values():
        prefix = f"{stage.name}."
        values: dict[str, object] = {}
        for path, (value, _) in conversion.params.items():
            if path.startswith(prefix):
                *tables, key = path.removeprefix(prefix).split(".")
                inner = values
                for table in tables:
                    inner = inner.setdefault(table, {})  # type: ignore[assignment]
                inner[key] = value
        try:
            stage.params.model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"{conversion.source.path}: {_explain(error, conversion, prefix)}") from error


def _explain(error: ValidationError, conversion: Conversion, prefix: str) -> str:
    clauses = []
    for item in error.errors():
        path = prefix + ".".join(map(str, item["loc"]))
        written = conversion.params.get(path, (None, "several fields together"))[1]
        clauses.append(f"{written}: {item['msg']}, found {item['input']!r}.")
    return " ".join(clauses) + " Correct it in the configuration."


def _one_or_list(role: str, files: list[str]) -> str | list[str]:
    return files if role == "gates" else files[0]


def _relative(path: Path, folder: Path) -> str:
    """Relative to the folder of experiment.toml where both lie below one home; else as it is."""
    target, base = Path(os.path.normpath(path)), folder.resolve()
    if target.is_relative_to(base.parent):
        return Path(os.path.relpath(target, base)).as_posix()
    return target.as_posix()


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False)
