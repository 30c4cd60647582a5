"""The flow `selfcheck`: a simulated run of each family, processed and compared with its truth."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.json_schema import SkipJsonSchema

from penstock.config import Experiment, load_experiment
from penstock.core.errors import nearest
from penstock.core.plan import State as StepState
from penstock.core.selection import RunRange
from penstock.execute import Request, RunReport
from penstock.simulate.selfcheck import FAMILIES, RUN, Check, Selfcheck, load_selfcheck
from penstock.store import Store
from penstock_flows._job import Job
from penstock_flows.process import THREADS

__all__ = ["SelfcheckRequest", "check_table", "run_name", "selfcheck"]

_MOST_NAMED = 5


class SelfcheckRequest(BaseModel):
    """Which families to check, and where."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    families: list[str] = Field(default=[], title="Families")
    """Families to check, such as tpc or events. All if empty."""

    executor: Annotated[str, Field(pattern=r"^(inline|local|(tcp|tls)://.+)$")] = Field(default="inline", title="Executor")
    """Where batches are computed: inline, local, or tcp://host:port of a Dask scheduler, whose workers must see the folder below."""

    folder: Annotated[str, Field(min_length=1)] | SkipJsonSchema[None] = Field(default=None, title="Folder")
    """Folder in which a temporary folder is made for the simulated runs. That of the system if left out."""

    @field_validator("families")
    @classmethod
    def _are_known(cls, families: list[str]) -> list[str]:
        for family in families:
            if family not in FAMILIES:
                raise ValueError(f"no self-check of a family {family!r} (there are {', '.join(FAMILIES)}).{nearest(family, FAMILIES)}")
        return families


def run_name() -> str:
    """The name of the flow run that begins: ``selfcheck tpc events``."""
    request = SelfcheckRequest.model_validate(flow_run.parameters["request"])
    return f"selfcheck {' '.join(request.families or FAMILIES)}"


def check_table(checks: dict[str, list[Check]]) -> list[dict[str, str]]:
    """A row a check; those that failed come first."""
    rows = [(family, check) for family, found in checks.items() for check in found]
    return [
        {"family": family, "check": check.what, "found": check.found, "expected": check.expected, "": "ok" if check.ok else "**failed**"}
        for family, check in sorted(rows, key=lambda row: row[1].ok)
    ]


@flow(name="selfcheck", flow_run_name=run_name, task_runner=THREADS, persist_result=False, retries=0)
def selfcheck(request: SelfcheckRequest) -> State[Any]:
    """Simulate a small run of each family, process it as any other run, and compare the results with the truth.

    A second pass must find everything current. The table of checks says what was found and what was expected.
    """
    checks: dict[str, list[Check]] = {}
    for family in request.families or FAMILIES:
        with tempfile.TemporaryDirectory(prefix=f"penstock-selfcheck-{family}-", dir=request.folder) as folder:
            get_run_logger().info("checking %s", family)
            ended, checks[family] = _check(Path(folder), load_selfcheck(family), request)
        if ended.is_cancelled():
            return ended
    failed = [f"{family}: {c.what}: {c.found}, expected {c.expected}" for family, found in checks.items() for c in found if not c.ok]
    count = sum(map(len, checks.values()))
    said = f"{count} checks of {', '.join(checks)}, {len(failed)} failed."
    create_table_artifact(check_table(checks), key="selfcheck", description="\n".join([said, *(f"- {reason}" for reason in failed)]))
    if failed:
        more = f" And {len(failed) - _MOST_NAMED} more." if len(failed) > _MOST_NAMED else ""
        return Failed(message=f"{said} {'; '.join(failed[:_MOST_NAMED])}.{more}")
    return Completed(message=said)


def _check(folder: Path, family: Selfcheck, request: SelfcheckRequest) -> tuple[State[Any], list[Check]]:
    """The state of the last pass, and the checks of one family."""
    family.prepare(folder)
    experiment = load_experiment(folder)
    with experiment.open_store() as store:
        ended, report = _process(experiment, store, request.executor)
        if report is None or not report.ok:
            return ended, [Check("a pass through all stages", ended.message or ended.name or "", "Completed", ok=False)]
        keys = {result.stage: result.key for result in report.results if result.key is not None}
        checks = family.compare(folder, store, keys)
        ended, report = _process(experiment, store, request.executor)
        current = 0 if report is None else report.count(StepState.CURRENT)
        return ended, [*checks, Check("stages current in a second pass", str(current), str(len(keys)), current == len(keys))]


def _process(experiment: Experiment, store: Store, executor: str) -> tuple[State[Any], RunReport | None]:
    """One pass through the same job as any other run."""
    job = Job(experiment, store, Request(RunRange(str(RUN))), experiment.resources.model_copy(update={"executor": executor}))
    return job.conduct(), job.report
