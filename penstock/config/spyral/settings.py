"""Configurations of Spyral as lists of settings: ``config.json`` of the flat and the nested generation.

Scripts are read by `_spyral_scripts`. Names of both generations are led back to those of the parameter classes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.core.errors import ConfigError

__all__ = ["PHASES", "Phase", "Setting", "SpyralSettings", "Unresolved", "read_json"]

PHASES: Mapping[str, str] = {
    "PointcloudPhase": "tpc.points",
    "PointcloudLegacyPhase": "tpc.points",
    "ClusterPhase": "tpc.clusters",
    "EstimationPhase": "tpc.estimates",
    "InterpSolverPhase": "tpc.fits",
    "InterpLeastSqSolverPhase": "tpc.fits",
}
"""The stage that does what a phase does."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A value that is not a constant: the expression as it stands in the script."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Setting:
    """One field: where it stands, its class and name in Spyral 1.x, its value.

    Attributes
    ----------
    written
        As the configuration has it, such as ``GET.peak_threshold``.
    group
        Parameter class without its ending: ``Get``, ``Detector``, ``Hdbscan``; empty where it is none of Spyral's.
    """

    written: str
    group: str
    name: str
    value: object
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of the pipeline; `stage` is empty for one that is not Spyral's own."""

    name: str
    active: bool
    stage: str


@dataclass(frozen=True, slots=True)
class SpyralSettings:
    """What a configuration says.

    Attributes
    ----------
    generation
        ``flat config.json``, ``nested config.json`` or ``script``.
    base
        Folder that relative paths start from.
    """

    path: Path
    generation: str
    settings: tuple[Setting, ...]
    phases: tuple[Phase, ...]

    @property
    def base(self) -> Path:
        """Folder that relative paths start from."""
        return self.path.resolve().parent

    def value(self, group: str, name: str) -> object:
        """The value of a field; None where it is not set."""
        return next((s.value for s in self.settings if (s.group, s.name) == (group, name)), None)


_GROUPS = {
    "Workspace": "Workspace",
    "Run": "Run",
    "Detector": "Detector",
    "GET": "Get",
    "Trace": "Get",
    "Traces": "Get",
    "FRIB": "Frib",
    "CrossTalk": "CrossTalk",
    "Cross": "CrossTalk",
    "Cluster": "Cluster",
    "Estimate": "Estimate",
    "Solver": "Solver",
}
"""Group of each table of the nested generation."""
_PREFIXES = {
    "frib_trace_": "Frib",
    "frib_event_": "Frib",
    "frib_": "Frib",
    "trace_": "Get",
    "cross_talk_": "CrossTalk",
    "cluster_": "Cluster",
    "estimate_": "Estimate",
    "solver_": "Solver",
}
"""Group of the names of the flat generation; longer prefixes first."""
_PLAIN = {
    "Workspace": (
        *("trace_data_path", "workspace_path", "pad_geometry_path", "pad_gain_path", "pad_time_path", "pad_electronics_path"),
        *("pad_scale_path", "nuclear_data_path"),
    ),
    "Run": ("run_min", "run_max", "n_processes", "is_legacy"),
}
"""Names of the flat generation that have no prefix and are not the detector's."""
_OLD_NAMES = {
    "electric_field_garfield_path": "garfield_file_path",
    "event_ic_multiplicity": "ic_multiplicity",
    "event_correct_ic_time": "correct_ic_time",
    "minimum_points": "min_points",
    "minimum_size": "min_size",
    "minimum_size_scale_factor": "min_size_scale_factor",
    "minimum_size_lower_cutoff": "min_size_lower_cutoff",
    "mininum_total_trajectory_points": "min_total_trajectory_points",
    "minimum_total_trajectory_points": "min_total_trajectory_points",
    "maximum_distance_from_beam_axis": "max_distance_from_beam_axis",
    "particle_id_file": "particle_id_filename",
    "ic_min": "ic_min_val",
    "ic_max": "ic_max_val",
    "ode_n_time_steps": "n_time_steps",
}
"""Names of fields before 1.x; the second but last pair of them was misspelt there."""
_PADS = ("pad_geometry_path", "pad_gain_path", "pad_time_path", "pad_electronics_path", "pad_scale_path")
_FLAGS = {
    "phase_pointcloud": "PointcloudPhase",
    "phase_cluster": "ClusterPhase",
    "phase_estimate": "EstimationPhase",
    "phase_solve": "InterpSolverPhase",
    "phase1": "PointcloudPhase",
    "phase2": "ClusterPhase",
    "phase3": "EstimationPhase",
    "phase4": "InterpSolverPhase",
}
_HDBSCAN = ("min_points", "min_size", "min_size_scale_factor", "min_size_lower_cutoff", "cluster_selection_epsilon")
_OVERLAP = ("circle_overlap_ratio", "min_cluster_size_join")


def read_json(path: Path) -> SpyralSettings:
    """Read a ``config.json`` of the flat or the nested generation.

    Raises
    ------
    ConfigError
        Not JSON, or not a configuration of Spyral.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file ({error}).") from error
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"{path}: expected a JSON object with the fields of Spyral, found {type(content).__name__}.")
    nested = any(isinstance(value, dict) for value in content.values())
    listed = list(_nested(content) if nested else _flat(content))
    if not any(s.group in ("Get", "Detector", "Cluster", "Estimate", "Solver", "Run") for s in listed if s.group):
        raise ConfigError(f"{path}: none of its fields ({', '.join(list(content)[:5])}) is one of Spyral.")
    flags = [s for s in listed if s.name in _FLAGS]
    five = any(re.fullmatch(r"phase[5-9]", s.name) for s in listed)
    phases = () if five else tuple(Phase(_FLAGS[s.name], bool(s.value), PHASES[_FLAGS[s.name]]) for s in flags)
    kept = tuple(s for s in listed if five or s.name not in _FLAGS)
    return SpyralSettings(path, "nested config.json" if nested else "flat config.json", kept, phases)


def regrouped(group: str, name: str) -> str:
    """The class that a field belongs to in 1.x, where it stood in another one before."""
    if name in _PADS:
        return "Pad"
    if group == "Cluster" and name in _HDBSCAN:
        return "Hdbscan"
    if group == "Cluster" and name in _OVERLAP:
        return "OverlapJoin"
    return group


def _nested(content: Mapping[str, object]) -> Iterator[Setting]:
    for table, fields in content.items():
        if not isinstance(fields, dict):
            yield Setting(table, "", table, fields)
            continue
        group = _GROUPS.get(table, "")
        for written, value in fields.items():
            name = _plain(written)
            yield Setting(f"{table}.{written}", regrouped(group, name), name, value)


def _flat(content: Mapping[str, object]) -> Iterator[Setting]:
    for written, value in content.items():
        group, name = _split(written)
        yield Setting(written, regrouped(group, name), name, value)


def _split(written: str) -> tuple[str, str]:
    bare = _plain(written)
    for group, names in _PLAIN.items():
        if bare in names or (group == "Run" and bare.startswith("phase")):
            return group, bare
    if written.startswith("cross_talk_"):
        return "CrossTalk", bare
    for prefix, group in _PREFIXES.items():
        if written.startswith(prefix):
            return group, _plain(written.removeprefix(prefix))
    return "Detector", bare


def _plain(written: str) -> str:
    """The name without its unit, as 1.x has it: ``detector_length(mm)`` becomes ``detector_length``."""
    name = re.sub(r"\([^)]*\)$", "", written).strip()
    return _OLD_NAMES.get(name, name)
