"""The protocol of Spyral's phases, and the four phases that the stages of penstock stand for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any, Self

import numpy as np

from penstock.compat.spyral.parameters import (
    ClusterParameters,
    DetectorParameters,
    EstimateParameters,
    FribParameters,
    GetParameters,
    PadParameters,
    SolverParameters,
)
from penstock.compat.spyral.runs import form_run_string
from penstock.compat.spyral.schema import (
    CLUSTER_SCHEMA,
    ESTIMATE_SCHEMA,
    INTERP_SOLVER_SCHEMA,
    POINTCLOUD_SCHEMA,
    TRACE_SCHEMA,
    PhaseResult,
    ResultSchema,
)
from penstock.core.errors import ConfigError

__all__ = ["ClusterPhase", "EstimationPhase", "InterpSolverPhase", "PhaseLike", "PointcloudPhase"]


class PhaseLike(ABC):
    """Base of every phase.

    Parameters
    ----------
    name
        Unique in a pipeline; folders of the workspace are named after it.
    incoming_schema, outgoing_schema
        What the phase wants of the one before it, and what it makes. Without them nothing is checked.
    """

    penstock_arguments: tuple[tuple[Any, ...], dict[str, Any]]
    """What the constructor was given, so that the phase can be built again on a worker."""

    def __new__(cls, *arguments: Any, **keywords: Any) -> Self:
        """A new phase, which remembers what its constructor is given."""
        phase = super().__new__(cls)
        phase.penstock_arguments = (arguments, keywords)
        return phase

    def __init__(self, name: str, incoming_schema: ResultSchema | None = None, outgoing_schema: ResultSchema | None = None) -> None:
        self.name = name
        self.incoming_schema = incoming_schema
        self.outgoing_schema = outgoing_schema

    def __str__(self) -> str:
        return f"{self.name}Phase"

    @abstractmethod
    def run(self, payload: PhaseResult, workspace_path: Path, msg_queue: Any, rng: np.random.Generator) -> PhaseResult:
        """Process one run: read what the phase before has left, write files, and say which."""

    @abstractmethod
    def create_assets(self, workspace_path: Path) -> bool:
        """Make what all runs need; whether it worked."""

    @abstractmethod
    def construct_artifact(self, payload: PhaseResult, workspace_path: Path) -> PhaseResult:
        """The result with the paths that `run` would write."""

    def create_shared_data(self, workspace_path: Path, handles: dict[str, SharedMemory]) -> None:  # noqa: B027  phases may do without
        """Put data into shared memory before runs are processed; penstock frees it afterwards."""

    def get_artifact_path(self, workspace_path: Path) -> Path:
        """The folder of the phase's files in a workspace."""
        return workspace_path / self.name

    def get_asset_storage_path(self, workspace_path: Path) -> Path:
        """The folder of the phase's assets in a workspace."""
        return workspace_path / f"{self.name}_assets"

    def validate(self, incoming: ResultSchema | None) -> tuple[bool, ResultSchema | None]:
        """Whether the phase fits behind one that makes `incoming`, and what it makes itself."""
        fits = incoming is None or self.incoming_schema is None or incoming == self.incoming_schema
        return fits, self.outgoing_schema


class _OfPenstock(PhaseLike):
    """A phase of Spyral whose work a stage of penstock does."""

    artifact = ""
    suffix = ".h5"
    passed_on: tuple[str, ...] = ()

    def create_assets(self, workspace_path: Path) -> bool:
        """Nothing: the stage has what it needs."""
        return True

    def construct_artifact(self, payload: PhaseResult, workspace_path: Path) -> PhaseResult:
        """Where the files of the run lie in a workspace."""
        path = self.get_artifact_path(workspace_path) / f"{form_run_string(payload.run_number)}{self.suffix}"
        others = {name: payload.artifacts[name] for name in self.passed_on if name in payload.artifacts}
        return PhaseResult({self.artifact: path, **others}, successful=True, run_number=payload.run_number)

    def run(self, payload: PhaseResult, workspace_path: Path, msg_queue: Any, rng: np.random.Generator) -> PhaseResult:
        """Refuse: there is no code of Spyral here.

        Raises
        ------
        ConfigError
            Always; says what to do.
        """
        raise ConfigError(
            f"phase {self.name!r}: a stage of penstock does its work, it cannot be run by itself. Give it to start_pipeline as it is, or install attpc_spyral."
        )


class PointcloudPhase(_OfPenstock):
    """Traces to points: the stage ``tpc.points``."""

    artifact = "pointcloud"

    def __init__(
        self, get_params: GetParameters, frib_params: FribParameters, detector_params: DetectorParameters, pad_params: PadParameters
    ) -> None:
        super().__init__("Pointcloud", ResultSchema(TRACE_SCHEMA), ResultSchema(POINTCLOUD_SCHEMA))
        self.parameters = (get_params, frib_params, detector_params, pad_params)


class ClusterPhase(_OfPenstock):
    """Points to clusters: the stage ``tpc.clusters``."""

    artifact = "cluster"

    def __init__(self, cluster_params: ClusterParameters, det_params: DetectorParameters) -> None:
        super().__init__("Cluster", ResultSchema(POINTCLOUD_SCHEMA), ResultSchema(CLUSTER_SCHEMA))
        self.parameters = (cluster_params, det_params)


class EstimationPhase(_OfPenstock):
    """Clusters to estimates: the stage ``tpc.estimates``."""

    artifact = "estimation"
    suffix = ".parquet"
    passed_on = ("cluster",)

    def __init__(self, estimate_params: EstimateParameters, det_params: DetectorParameters) -> None:
        super().__init__("Estimation", ResultSchema(CLUSTER_SCHEMA), ResultSchema(ESTIMATE_SCHEMA))
        self.parameters = (estimate_params, det_params)


class InterpSolverPhase(_OfPenstock):
    """Estimates to fits: the stages ``tpc.mesh`` and ``tpc.fits``."""

    artifact = "interp_solver"
    suffix = ".parquet"

    def __init__(self, solver_params: SolverParameters, det_params: DetectorParameters) -> None:
        super().__init__("InterpSolver", ResultSchema(ESTIMATE_SCHEMA), ResultSchema(INTERP_SOLVER_SCHEMA))
        self.parameters = (solver_params, det_params)
