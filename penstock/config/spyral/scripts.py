"""Configurations of Spyral written as Python scripts.

They are parsed, never executed: constants, paths, names bound to constants, and calls of the parameter classes, phases,
`Pipeline` and `start_pipeline`.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from penstock.config.spyral.settings import PHASES, Phase, Setting, SpyralSettings, Unresolved, regrouped
from penstock.core.errors import ConfigError

__all__ = ["read_script"]

_FIELDS: Mapping[str, Sequence[str]] = {
    "PadParameters": ("pad_geometry_path", "pad_time_path", "pad_scale_path"),
    "GetParameters": ("baseline_window_scale", "peak_separation", "peak_prominence", "peak_max_width", "peak_threshold"),
    "FribParameters": (
        *("baseline_window_scale", "peak_separation", "peak_prominence", "peak_max_width", "peak_threshold"),
        *("ic_delay_time_bucket", "ic_multiplicity"),
    ),
    "DetectorParameters": (
        *("magnetic_field", "electric_field", "detector_length", "beam_region_radius", "micromegas_time_bucket"),
        *("window_time_bucket", "get_frequency", "garfield_file_path", "do_garfield_correction"),
    ),
    "HdbscanParameters": ("min_points", "min_size_scale_factor", "min_size_lower_cutoff", "cluster_selection_epsilon"),
    "TripclustParameters": (
        *("r", "rdnn", "k", "n", "a", "s", "sdnn", "t", "tauto", "dmax", "dmax_dnn", "ordered", "link", "m"),
        *("postprocess", "min_depth"),
    ),
    "OverlapJoinParameters": ("circle_overlap_ratio", "min_cluster_size_join"),
    "ContinuityJoinParameters": ("join_radius_fraction", "join_z_fraction"),
    "ClusterParameters": (
        *("min_cloud_size", "hdbscan_parameters", "tripclust_parameters", "overlap_join", "continuity_join"),
        *("direction_threshold", "outlier_scale_factor"),
    ),
    "EstimateParameters": ("min_total_trajectory_points", "smoothing_factor"),
    "SolverParameters": (
        *("gas_data_path", "particle_id_filename", "ic_min_val", "ic_max_val", "n_time_steps"),
        *("interp_ke_min", "interp_ke_max", "interp_ke_bins", "interp_polar_min", "interp_polar_max", "interp_polar_bins"),
        *("fit_vertex_rho", "fit_vertex_phi", "fit_azimuthal", "fit_method"),
    ),
}
"""Fields of the parameter classes of 1.x in the order of their positions."""
_PIPELINE = ("phases", "active_phases", "workspace_path", "trace_path")
_START = ("pipeline", "run_min", "run_max", "n_procs", "disable_display", "runs_to_skip")
_OPERATIONS: Mapping[type[ast.operator], Callable[[object, object], object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


@dataclass(frozen=True, slots=True)
class _Symbol:
    """An imported name, such as DEFAULT_MAP."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(eq=False, slots=True)
class _Call:
    """A call as it stands in the script."""

    name: str
    args: list[object]
    keywords: dict[str, object]
    line: int

    def named(self, positions: Sequence[str]) -> dict[str, object]:
        """Arguments by name, given the names of the positions."""
        placed = {positions[i] if i < len(positions) else f"argument {i + 1}": value for i, value in enumerate(self.args)}
        return {**placed, **self.keywords}

    def __str__(self) -> str:
        return f"{self.name}(...)"


@dataclass(slots=True)
class _Script:
    """What was met while the statements of a script were walked through in order."""

    names: dict[str, object] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    calls: list[_Call] = field(default_factory=list)


def read_script(path: Path) -> SpyralSettings:
    """Read a Python script that builds a `Pipeline` of Spyral.

    Raises
    ------
    ConfigError
        Not Python, or without any parameter class of Spyral.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (SyntaxError, ValueError) as error:
        where = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(f"{path}: not a Python script: {error.args[0]}{where}.") from error
    script = _Script()
    _walk(tree.body, script)
    start = next((c for c in reversed(script.calls) if c.name == "start_pipeline"), None)
    started = start.named(_START) if start else {}
    pipelines = [c for c in script.calls if c.name == "Pipeline"]
    pipeline = started.get("pipeline") if isinstance(started.get("pipeline"), _Call) else pipelines[-1] if pipelines else None
    given = pipeline.named(_PIPELINE) if isinstance(pipeline, _Call) else {}
    phases, used = _phases(given)
    objects = [c for c in script.calls if c.name.endswith("Parameters")]
    if not any(c.name in _FIELDS for c in objects):
        raise ConfigError(f"{path}: it makes none of Spyral's parameters ({', '.join(list(_FIELDS)[:4])}, ...).")
    settings = [s for c in objects if not _is_inner(c, objects) and (not used or c in used) for s in _settings(c)]
    settings += [
        Setting(f"{c.name} in line {c.line}", "Unused", c.name, "", c.line)
        for c in objects
        if used and c not in used and not _is_inner(c, objects)
    ]
    settings += _run_settings(script, started, given)
    return SpyralSettings(path, "script", tuple(settings), phases)


def _walk(body: Sequence[ast.stmt], script: _Script) -> None:
    """Statements in order; what functions do comes after the module around them."""
    later: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
    for node in body:
        match node:
            case ast.ImportFrom():
                script.aliases |= {alias.asname or alias.name: alias.name for alias in node.names}
            case ast.Assign():
                _bind(node.targets, _value(node.value, script), script)
            case ast.AnnAssign(value=ast.expr() as value):
                _bind([node.target], _value(value, script), script)
            case ast.Expr():
                _value(node.value, script)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                later.append(node)
            case ast.For():
                _bind([node.target], Unresolved(ast.unparse(node.target)), script)
                _walk(node.body, script)
            case ast.If() | ast.With() | ast.Try() | ast.While():
                _walk(node.body, script)
    for function in later:
        _walk(function.body, script)


def _bind(targets: Sequence[ast.expr], value: object, script: _Script) -> None:
    for target in targets:
        if isinstance(target, ast.Name):
            script.names[target.id] = value
        elif isinstance(target, ast.Tuple) and isinstance(value, list) and len(value) == len(target.elts):
            for inner, item in zip(target.elts, value, strict=True):
                _bind([inner], item, script)


def _value(node: ast.expr, script: _Script) -> object:
    """The value of an expression as far as it is constant."""
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return script.names.get(node.id, _Symbol(script.aliases.get(node.id, node.id)))
        case ast.List() | ast.Tuple():
            return [_value(item, script) for item in node.elts]
        case ast.UnaryOp(op=ast.USub()):
            inner = _value(node.operand, script)
            return -inner if isinstance(inner, int | float) else Unresolved(ast.unparse(node))
        case ast.BinOp():
            return _operate(node, script)
        case ast.JoinedStr():
            parts = [_value(v.value, script) if isinstance(v, ast.FormattedValue) else _value(v, script) for v in node.values]
            return "".join(map(str, parts)) if all(isinstance(p, str | int | PurePath) for p in parts) else Unresolved(ast.unparse(node))
        case ast.Attribute():
            return _Symbol(node.attr)
        case ast.Call():
            return _call(node, script)
    return Unresolved(ast.unparse(node))


def _operate(node: ast.BinOp, script: _Script) -> object:
    left, right = _value(node.left, script), _value(node.right, script)
    operation = _OPERATIONS.get(type(node.op))
    plain = all(isinstance(v, int | float | str | PurePath) for v in (left, right))
    if operation is None or not plain:
        return Unresolved(ast.unparse(node))
    try:
        return operation(left, right)
    except (TypeError, ArithmeticError):
        return Unresolved(ast.unparse(node))


def _call(node: ast.Call, script: _Script) -> object:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
    name = script.aliases.get(name, name)
    args = [_value(a, script) for a in node.args]
    if name in ("Path", "PurePath", "str", "float", "int") and len(args) == 1 and isinstance(args[0], str | int | float | PurePath):
        kinds: Mapping[str, Callable[[object], object]] = {
            "str": str,
            "float": lambda v: float(str(v)),
            "int": lambda v: int(float(str(v))),
        }
        return Path(str(args[0])) if "Path" in name else kinds[name](args[0])
    if not name.endswith(("Parameters", "Phase")) and name not in ("Pipeline", "start_pipeline"):
        return Unresolved(ast.unparse(node))
    made = _Call(name, args, {k.arg: _value(k.value, script) for k in node.keywords if k.arg}, node.lineno)
    script.calls.append(made)
    return made


def _phases(given: Mapping[str, object]) -> tuple[tuple[Phase, ...], list[_Call]]:
    """The phases of the pipeline with their flags, and the parameter objects that they take."""
    listed, flags = given.get("phases"), given.get("active_phases")
    calls = [c for c in listed if isinstance(c, _Call)] if isinstance(listed, list) else []
    active = flags if isinstance(flags, list) else []
    phases = tuple(
        Phase(c.name, bool(active[i]) if i < len(active) and isinstance(active[i], bool) else True, PHASES.get(c.name, ""))
        for i, c in enumerate(calls)
    )
    return phases, [a for c in calls for a in (*c.args, *c.keywords.values()) if isinstance(a, _Call)]


def _is_inner(call: _Call, calls: Sequence[_Call]) -> bool:
    return any(call is value for other in calls for value in (*other.args, *other.keywords.values()))


def _settings(call: _Call) -> Iterator[Setting]:
    group = call.name.removesuffix("Parameters") if call.name in _FIELDS else ""
    for name, value in call.named(_FIELDS.get(call.name, ())).items():
        if isinstance(value, _Call):
            yield from _settings(value)
        else:
            yield Setting(f"{call.name}.{name}", regrouped(group, name), name, _plain(value), call.line)


def _run_settings(script: _Script, started: Mapping[str, object], given: Mapping[str, object]) -> Iterator[Setting]:
    """Run range, processes and folders, from the calls, or else from the variables that scripts keep them in."""
    wanted = {
        "run_min": started.get("run_min"),
        "run_max": started.get("run_max"),
        "n_processes": started.get("n_procs"),
        "runs_to_skip": started.get("runs_to_skip"),
        "disable_display": started.get("disable_display"),
        "workspace_path": given.get("workspace_path"),
        "trace_data_path": given.get("trace_path"),
    }
    variables = {"trace_data_path": "trace_path"}
    for name, value in wanted.items():
        found = script.names.get(variables.get(name, name)) if value is None else value
        if found is not None:
            group = "Workspace" if name.endswith("_path") else "Run"
            yield Setting(variables.get(name, name), group, name, _plain(found))


def _plain(value: object) -> object:
    if isinstance(value, _Symbol):
        return value.name if value.name in ("DEFAULT_MAP", "DEFAULT_LEGACY_MAP", "INVALID_PATH") else Unresolved(value.name)
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value
