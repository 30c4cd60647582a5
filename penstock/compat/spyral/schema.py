"""What Spyral's phases say of the data between them: JSON schemas, and the result that one hands to the next.

Two schemas fit where they are equal, entry by entry. Column names and their order come from `penstock.formats.spyral`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.core.errors import ConfigError

__all__ = [
    "CLUSTER_SCHEMA",
    "ESTIMATE_SCHEMA",
    "ESTIMATION_SCHEMA",
    "INTERP_SOLVER_SCHEMA",
    "POINTCLOUD_SCHEMA",
    "TRACE_SCHEMA",
    "ArtifactSchema",
    "PhaseResult",
    "ResultSchema",
]

_WHOLE = ("event", "cluster_index", "cluster_label", "orig_run", "orig_event")
_CHAMBER = ("ic_amplitude", "ic_centroid", "ic_integral", "ic_multiplicity")
_PLACES = ("vertex_x", "vertex_y", "vertex_z", "center_x", "center_y", "center_z")
_TRACK = ("polar", "azimuthal", "brho", "dEdx", "sqrt_dEdx", "dE", "arclength")
_FITTED = ("vertex_x", "vertex_y", "vertex_z", "brho", "ke", "polar", "azimuthal")
_ERRORS = ("sigma_vx", "sigma_vy", "sigma_vz", "sigma_brho", "sigma_ke", "sigma_polar", "sigma_azimuthal")


def _columns(*, whole: Iterable[str], real: Iterable[str]) -> dict[str, str]:
    return {**dict.fromkeys(whole, "int"), **dict.fromkeys(real, "float")}


def _json(**artifacts: tuple[str, Mapping[str, Any]]) -> str:
    return json.dumps({name: {"extension": extension, "data": data} for name, (extension, data) in artifacts.items()}, indent=4)


_CLUSTERS = (".h5", {"cluster": {"event": {"cluster": "array"}}})

TRACE_SCHEMA = _json(trace=(".h5", {"get": "array", "frib": "array"}))
"""A run file."""
POINTCLOUD_SCHEMA = _json(pointcloud=(".h5", {"cloud": {"cloud": "array"}}))
"""What Pointcloud writes."""
CLUSTER_SCHEMA = _json(cluster=_CLUSTERS)
"""What Cluster writes."""
ESTIMATE_SCHEMA = _json(
    estimation=(".parquet", {**_columns(whole=_WHOLE, real=(*_CHAMBER, *_PLACES, *_TRACK)), "direction": "int"}), cluster=_CLUSTERS
)
"""What Estimation writes, and the clusters, which it passes on."""
ESTIMATION_SCHEMA = ESTIMATE_SCHEMA
"""The other name that Spyral's pages have for it."""
INTERP_SOLVER_SCHEMA = _json(
    interp_solver=(
        ".parquet",
        _columns(whole=_WHOLE, real=(*(n for pair in zip(_FITTED, _ERRORS, strict=True) for n in pair), "redchisq")),
    )
)
"""What InterpSolver writes."""


@dataclass
class PhaseResult:
    """What a phase has made of a run: its files by name, and whether it worked.

    Parameters
    ----------
    metadata
        Anything else that later phases want to know: numbers, text, paths, arrays, lists and dictionaries of these.
    """

    artifacts: dict[str, Path]
    successful: bool
    run_number: int
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def invalid_result(cls, run_number: int) -> PhaseResult:
        """The result of a phase that could not do its work."""
        return cls(artifacts={}, successful=False, run_number=run_number)


class ArtifactSchema:
    """The file extension of one artifact, and what it holds."""

    def __init__(self, extension: str | None = None, data: dict[str, Any] | None = None) -> None:
        self.extension = extension
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArtifactSchema) and (self.extension, self.data) == (other.extension, other.data)

    __hash__ = None  # type: ignore[assignment]  # data are a dictionary


class ResultSchema:
    """The artifacts of a phase by name, from JSON text or from a file of it.

    Raises
    ------
    ConfigError
        Not JSON, or an artifact without extension or data; names it.
    """

    def __init__(self, json_string: str | None = None, json_file: Path | None = None) -> None:
        self.artifacts: dict[str, ArtifactSchema] = {}
        self.load_schema(json_string, json_file)

    def load_schema(self, json_string: str | None = None, json_file: Path | None = None) -> None:
        """Take the schema from a text or a file; the text wins."""
        if json_string is None and json_file is None:
            return
        text = json_string if json_string is not None else Path(str(json_file)).read_text(encoding="utf-8")
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"schema of a phase: not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
        for name, described in content.items():
            absent = [key for key in ("extension", "data") if not isinstance(described, dict) or key not in described]
            if absent:
                found = ", ".join(described) if isinstance(described, dict) else type(described).__name__
                raise ConfigError(f"schema of a phase: artifact {name!r} has no {absent[0]!r} (found: {found}).")
            self.artifacts[name] = ArtifactSchema(described["extension"], described["data"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResultSchema) and self.artifacts == other.artifacts

    __hash__ = None  # type: ignore[assignment]  # artifacts are a dictionary
