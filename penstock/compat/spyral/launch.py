"""Starting a pipeline of phases: as an experiment in the workspace, whose results are left in the workspace as files."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from penstock.cli.run import execute, print_report
from penstock.compat.spyral.phase import PhaseLike
from penstock.compat.spyral.pipeline import Pipeline
from penstock.compat.spyral.runs import collect_runs, form_run_string
from penstock.compat.spyral.translation import stage_name, write_experiment
from penstock.compat.spyral.workspace import RESULT, SETUP
from penstock.config import Experiment, load_experiment
from penstock.core.errors import ConfigError, PenstockError
from penstock.core.plan import PlanRow, State
from penstock.core.selection import RunRange
from penstock.execute import Planner, Request, RunReport
from penstock.formats.spyral.workspace import Source, export_run
from penstock.store import Store

__all__ = ["PipelineFailed", "launch", "launch_assets"]


class PipelineFailed(PenstockError, RuntimeError):
    """Some runs of a pipeline could not be processed."""


def launch(pipeline: Pipeline, run_min: int, run_max: int, workers: int, *, quiet: bool, skip: Sequence[int]) -> None:
    """Process runs; see `penstock.compat.spyral.pipeline.start_pipeline`."""
    phases, active = _checked(pipeline)
    if not phases:
        print("no phase is active, so there is nothing to do", file=sys.stderr)  # noqa: T201
        return
    sizes = collect_runs(pipeline.traces, run_min, run_max, skip)
    if not sizes:
        raise ConfigError(f"runs {run_min} to {run_max}: {pipeline.traces} has no file of any, such as {form_run_string(run_min)}.h5.")
    runs = sorted(sizes)
    exported = _Exported(pipeline.workspace)
    exported.refuse_others([p for p, on in zip(phases, active, strict=True) if on], runs)
    file = write_experiment(phases, active, pipeline.traces, (run_min, run_max), workers, exported.folder)
    experiment = load_experiment(file)
    request = Request(RunRange(",".join(map(str, runs))), retry_failed=True)
    with experiment.open_store() as store:
        report = _execute(experiment, store, request, workers, quiet=quiet)
        wanted = {stage_name(p) for p, on in zip(phases, active, strict=True) if on}
        wanted |= {f"{name}_setup" for name in wanted}
        exported.bring_up_to_date(store, [row for row in Planner(experiment, store, request).plan() if row.stage.name in wanted])
    _raise_failures(report)


def launch_assets(pipeline: Pipeline) -> None:
    """Create assets only; see `penstock.compat.spyral.pipeline.generate_assets`."""
    phases, active = _checked(pipeline)
    available = sorted(int(p.stem.partition("_")[2]) for p in pipeline.traces.glob("run_*.h5") if p.stem.partition("_")[2].isdigit())
    if not available:
        raise ConfigError(f"{pipeline.traces}: no run has a file there, such as {form_run_string(1)}.h5.")
    exported = _Exported(pipeline.workspace)
    file = write_experiment(phases, active, pipeline.traces, (available[0], available[-1]), 1, exported.folder)
    experiment = load_experiment(file)
    stages = tuple(s.name for s in experiment.pipeline.stages if s.subject == "none")
    if not stages:
        return
    request = Request(RunRange(str(available[0])), stages=stages, retry_failed=True)
    with experiment.open_store() as store:
        report = _execute(experiment, store, request, 1, quiet=False)
        exported.bring_up_to_date(store, [r for r in Planner(experiment, store, request).plan() if r.stage.writes.storage == "files"])
    _raise_failures(report)


def _checked(pipeline: Pipeline) -> tuple[list[PhaseLike], list[bool]]:
    """Phases up to the last active one, and which of them are."""
    if len(pipeline.phases) != len(pipeline.active):
        raise ConfigError(
            f"pipeline: {len(pipeline.phases)} phases, but {len(pipeline.active)} flags that say which are active. Give one for each."
        )
    names = [phase.name for phase in pipeline.phases]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"pipeline: two phases have the name {name!r}. Folders are named after it; give each its own.")
    for pair, fits in pipeline.validate().items():
        if not fits:
            before, _, behind = pair.partition("->")
            raise ConfigError(
                f"pipeline: {behind} cannot stand behind {before}: its incoming schema is not the outgoing schema of that phase."
            )
    last = max((i for i, on in enumerate(pipeline.active) if on), default=-1)
    return pipeline.phases[: last + 1], pipeline.active[: last + 1]


def _execute(experiment: Experiment, store: Store, request: Request, workers: int, *, quiet: bool) -> RunReport:
    changes = {"executor": "local" if workers > 1 else "inline", "workers": workers}
    report = execute(experiment, store, request, experiment.resources.model_copy(update=changes), quiet=quiet)
    if not quiet:
        print_report(report)
    return report


def _raise_failures(report: RunReport) -> None:
    failed = [result for result in report.results if result.state is State.FAILED]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise PipelineFailed(f"{failed[0].error}{more}")


class _Exported:
    """Which files of a workspace were written from which artifacts."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.folder = workspace / "penstock"
        self._file = self.folder / "exported.json"
        self._keys: dict[str, str] = json.loads(self._file.read_text()) if self._file.exists() else {}

    def refuse_others(self, phases: Iterable[PhaseLike], runs: Iterable[int]) -> None:
        """Refuse to replace files that Spyral has left."""
        for phase in phases:
            for run in runs:
                present = sorted(phase.get_artifact_path(self.workspace).glob(f"{form_run_string(run)}[._]*"))
                if present and self._name(run, stage_name(phase)) not in self._keys:
                    raise ConfigError(
                        f"{present[0]} was not written by penstock, and would be replaced. Give the pipeline another workspace, or move the files away."
                    )

    def bring_up_to_date(self, store: Store, rows: Iterable[PlanRow]) -> None:
        """Write the files of current results that are not there as they should be."""
        for row in rows:
            name = self._name(row.run if row.stage.subject == "run" else None, row.stage.name)
            if row.state is not State.CURRENT or row.key is None or self._keys.get(name) == row.key:
                continue
            if row.stage.writes.storage == "files":
                self._copy(store.data_folder(row.key))
            else:
                sources: Mapping[str, Source] = {row.stage.writes.name: Source(store.manifest(row.key), row.stage.writes)}
                export_run(store, row.run, sources, self.workspace, overwrite=True)
            self._keys[name] = row.key
        self._file.write_text(json.dumps(self._keys, indent=1, sort_keys=True) + "\n")

    def _copy(self, source: Path) -> None:
        for path in sorted(p for p in source.rglob("*") if p.is_file() and p.name not in (RESULT, SETUP)):
            target = self.workspace / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(path, target)

    @staticmethod
    def _name(run: int | None, stage: str) -> str:
        return f"{stage}/{'all' if run is None else form_run_string(run)}"
