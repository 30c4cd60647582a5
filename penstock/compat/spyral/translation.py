"""A pipeline of phases as an experiment: stages, parameters, and the source text that declares the phases of others."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator, Sequence
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Any

from penstock.compat.spyral.phase import ClusterPhase, EstimationPhase, InterpSolverPhase, PhaseLike, PointcloudPhase
from penstock.config import load_registry
from penstock.config.spyral.conversion import Conversion, convert
from penstock.config.spyral.experiment import check_values, experiment_text
from penstock.config.spyral.settings import PHASES, Phase, Setting, SpyralSettings, regrouped
from penstock.core.errors import ConfigError

__all__ = ["PREFIX", "is_of_penstock", "stage_name", "write_experiment"]

PREFIX = "spyral_phases_"
"""Begin of the name of the file that declares the phases."""

_OURS = (PointcloudPhase, ClusterPhase, EstimationPhase, InterpSolverPhase)

_PLUGIN = '''"""Phases of {script}, as stages. Written by penstock.compat.spyral; it is made anew by start_pipeline."""

import sys

sys.path.extend(folder for folder in {folders!r} if folder not in sys.path)

from penstock.compat.spyral import install, phase_stages

install(instead=True)

from pathlib import Path

{imports}

{stages}
'''


def is_of_penstock(phase: PhaseLike) -> bool:
    """Whether a stage of penstock does the work of the phase."""
    return type(phase) in _OURS


def stage_name(phase: PhaseLike) -> str:
    """The stage that a phase becomes: ``tpc.estimates`` for Spyral's own, ``phases.my_solver`` for others."""
    if is_of_penstock(phase):
        return PHASES[type(phase).__name__]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", phase.name).strip("_").lower()
    if not re.match(r"[a-z][a-z0-9_]*$", words):
        raise ConfigError(f"phase {phase.name!r}: its name makes no name of a stage. Begin it with a letter.")
    return f"phases.{words}"


def write_experiment(
    phases: Sequence[PhaseLike], active: Sequence[bool], traces: Path, runs: tuple[int, int], workers: int, folder: Path
) -> Path:
    """Write ``experiment.toml``, and beside it the declaration of phases that are not Spyral's own; the path of the first.

    Parameters
    ----------
    phases, active
        Those up to the last active one.

    Raises
    ------
    ConfigError
        A value is not allowed, or cannot be written down.
    """
    folder.mkdir(parents=True, exist_ok=True)
    registry = load_registry()
    settings = [Setting("trace_path", "Workspace", "trace_data_path", str(traces.absolute()))]
    settings += [Setting("run_min", "Run", "run_min", runs[0]), Setting("run_max", "Run", "run_max", runs[1])]
    settings.append(Setting("n_procs", "Run", "n_processes", workers))
    for phase in phases:
        if is_of_penstock(phase):
            settings += [s for found in phase.parameters for s in _settings(found) if s not in settings]  # type: ignore[attr-defined]
    steps = tuple(Phase(type(p).__name__, on, stage_name(p) if is_of_penstock(p) else "") for p, on in zip(phases, active, strict=True))
    conversion: Conversion = convert(SpyralSettings(Path.cwd() / _script().name, "script", tuple(settings), steps), registry)
    check_values(conversion, registry)
    others = [p for p in phases if not is_of_penstock(p)]
    declared = _declaration(phases) if others else ""
    conversion.pipeline = tuple(_pipeline(phases))
    conversion.wanted = ""
    file = folder / "experiment.toml"
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.absolute().parent.name).strip("-.") or "workspace"
    text = experiment_text(conversion, folder, "experiment.toml", name)
    for old in folder.glob(f"{PREFIX}*.py"):
        old.unlink()
    if declared:
        plugin = f"{PREFIX}{sha256(declared.encode()).hexdigest()[:12]}.py"
        (folder / plugin).write_text(declared, encoding="utf-8")
        text += f'\n[plugins]\nmodules = ["{plugin}"]\n'
    file.write_text(text, encoding="utf-8")
    return file


def _pipeline(phases: Sequence[PhaseLike]) -> Iterator[str]:
    for phase in phases:
        name = stage_name(phase)
        if name == "tpc.fits":
            yield "tpc.mesh"
        if not is_of_penstock(phase) and not _stands_between(phase):
            yield f"{name}_setup"
        yield name


def _stands_between(phase: PhaseLike) -> bool:
    made = phase.outgoing_schema
    return made is not None and any(made == ours for ours in _schemas())


def _schemas() -> Iterator[Any]:
    from penstock.compat.spyral.schema import CLUSTER_SCHEMA, ESTIMATE_SCHEMA, POINTCLOUD_SCHEMA, ResultSchema

    return (ResultSchema(text) for text in (POINTCLOUD_SCHEMA, CLUSTER_SCHEMA, ESTIMATE_SCHEMA))


def _settings(parameters: Any) -> Iterator[Setting]:
    """Fields of a parameter class, those of classes inside it under their own."""
    group = type(parameters).__name__.removesuffix("Parameters")
    for declared in dataclasses.fields(parameters):
        value = getattr(parameters, declared.name)
        if dataclasses.is_dataclass(value):
            yield from _settings(value)
        elif value is not None:
            written = f"{type(parameters).__name__}.{declared.name}"
            yield Setting(written, regrouped(group, declared.name), declared.name, str(value) if isinstance(value, Path) else value)


def _declaration(phases: Sequence[PhaseLike]) -> str:
    """The source of a module that declares the phases that are not Spyral's own."""
    modules: dict[str, None] = {}
    folders: dict[str, None] = {}
    lines = []
    before = "None"
    for phase in phases:
        if is_of_penstock(phase):
            before = repr(stage_name(phase))
            continue
        variable = stage_name(phase).partition(".")[2]
        arguments, keywords = phase.penstock_arguments
        given = [_source(a, modules, phase.name) for a in arguments]
        given += [f"{key}={_source(value, modules, phase.name)}" for key, value in keywords.items()]
        call = ", ".join([repr(stage_name(phase)), _class(type(phase), modules), *given, f"after={before}"])
        target = variable if _stands_between(phase) else f"{variable}_setup, {variable}"
        lines.append(f"({target},) = phase_stages({call})" if _stands_between(phase) else f"{target} = phase_stages({call})")
        before = variable
    for module in modules:
        folders[str(_folder_of(module))] = None
    imports = "\n".join(f"import {module}" for module in modules)
    return _PLUGIN.format(script=_script().name, folders=list(folders), imports=imports, stages="\n".join(lines))


def _class(kind: type, modules: dict[str, None]) -> str:
    module = kind.__module__
    if module in ("__main__", "__mp_main__"):
        module = _script().stem
    modules[module] = None
    return f"{module}.{kind.__qualname__}"


def _source(value: Any, modules: dict[str, None], phase: str) -> str:
    """A value as Python source."""
    if isinstance(value, Enum):
        return f"{_class(type(value), modules)}.{value.name}"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, Path):
        return f"Path({str(value)!r})"
    if isinstance(value, list):
        return f"[{', '.join(_source(v, modules, phase) for v in value)}]"
    if isinstance(value, tuple):
        return f"({''.join(f'{_source(v, modules, phase)}, ' for v in value)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_source(k, modules, phase)}: {_source(v, modules, phase)}" for k, v in value.items()) + "}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.init)
        return f"{_class(type(value), modules)}({', '.join(f'{name}={_source(v, modules, phase)}' for name, v in fields)})"
    raise ConfigError(
        f"phase {phase!r}: an argument of type {type(value).__name__!r} cannot be handed to workers. Give numbers, text, paths, lists of these, or a dataclass of these."
    )


def _script() -> Path:
    return Path(getattr(sys.modules["__main__"], "__file__", None) or "script.py").absolute()


def _folder_of(module: str) -> Path:
    """The folder that must be on the path, so that a module can be imported."""
    if module == _script().stem:
        return _script().parent
    path = Path(str(sys.modules[module].__file__)).absolute()
    return path.parents[len(module.split(".")) - (0 if path.name == "__init__.py" else 1)]
