"""Spyral's scripts: a pipeline of phases, and the call that starts it, led over to an experiment of penstock.

Phases of Spyral become stages of the TPC family with their parameters translated, others become stages by
`phase_stages`. Experiment, store and the declaration of the phases are kept in the folder ``penstock`` of the workspace.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from penstock.compat.spyral.phase import PhaseLike
from penstock.compat.spyral.schema import PhaseResult, ResultSchema

__all__ = ["Pipeline", "generate_assets", "start_pipeline"]


class Pipeline:
    """Phases in order, which of them are active, where results go and traces lie."""

    def __init__(self, phases: list[PhaseLike], active: list[bool], workspace_path: Path, trace_path: Path) -> None:
        self.phases = phases
        self.active = active
        self.workspace = workspace_path
        self.traces = trace_path

    def create_workspace(self) -> None:
        """Make the folders of all phases."""
        for phase in self.phases:
            phase.get_artifact_path(self.workspace).mkdir(parents=True, exist_ok=True)
            phase.get_asset_storage_path(self.workspace).mkdir(parents=True, exist_ok=True)

    def validate(self) -> dict[str, bool]:
        """For each phase but the first, under ``Before->After``, whether it fits behind the one before."""
        fits: dict[str, bool] = {}
        made: ResultSchema | None = None
        for before, phase in zip([None, *self.phases], self.phases, strict=False):
            good, outgoing = phase.validate(made)
            if before is not None:
                fits[f"{before}->{phase}"] = good
            made = outgoing
        return fits

    def result_of(self, run_number: int) -> PhaseResult:
        """The result of the last phase for a run, with the paths that its files have in the workspace."""
        result = PhaseResult({}, successful=True, run_number=run_number)
        for phase in self.phases:
            result = phase.construct_artifact(result, self.workspace)
        return result


def start_pipeline(
    pipeline: Pipeline,
    run_min: int,
    run_max: int,
    n_procs: int = 1,
    disable_display: bool = False,
    runs_to_skip: Sequence[int] | None = None,
) -> None:
    """Process the runs from `run_min` to `run_max` that have a file, and leave the files of the phases in the workspace.

    What is current is not computed again. An inactive phase is not run where its results are there.

    Raises
    ------
    ConfigError
        The phases do not fit together, a parameter is not allowed, or no run has a file.
    PipelineFailed
        At the end, where a run failed; the others are done.
    """
    from penstock.compat.spyral.launch import launch

    launch(pipeline, run_min, run_max, n_procs, quiet=disable_display, skip=tuple(runs_to_skip or ()))


def generate_assets(pipeline: Pipeline) -> None:
    """Let the phases of a pipeline create their assets, without a run.

    Raises
    ------
    ConfigError
        See `start_pipeline`.
    PipelineFailed
        A phase could not create them.
    """
    from penstock.compat.spyral.launch import launch_assets

    launch_assets(pipeline)
