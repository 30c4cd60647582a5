"""What `execute` tells whoever watches: steps that begin, advance and end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from penstock.core.canonical import Json, Key
from penstock.core.plan import PlanRow, State

__all__ = ["Quiet", "RunReport", "StepResult", "Watcher"]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one (subject, stage)."""

    run: int
    stage: str
    key: Key | None
    state: State
    events_in: int | None = None
    events_out: int | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    error: str | None = None
    rejected: int = 0
    excluded: int = 0

    def as_json(self) -> dict[str, Json]:
        """The result as ``penstock run --json`` prints it."""
        return {
            "stage": self.stage,
            "key": self.key,
            "state": str(self.state),
            "events_in": self.events_in,
            "events_out": self.events_out,
            "seconds": round(self.seconds, 3),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class RunReport:
    """What became of a request: a result for each row of the plan, in its order."""

    results: tuple[StepResult, ...]

    def count(self, *states: State) -> int:
        """How many results have one of `states`."""
        return sum(r.state in states for r in self.results)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.count(State.FAILED, State.SKIPPED)

    def by_run(self) -> dict[int, list[StepResult]]:
        """Results by run."""
        runs: dict[int, list[StepResult]] = {}
        for result in self.results:
            runs.setdefault(result.run, []).append(result)
        return runs

    def as_json(self) -> dict[str, Json]:
        """The report as ``penstock run --json`` prints it."""
        return {
            "runs": [{"run": run, "stages": [r.as_json() for r in results]} for run, results in self.by_run().items()],
            "computed": self.count(State.COMPUTED),
            "current": self.count(State.CURRENT),
            "failed": self.count(State.FAILED),
        }


class Watcher(Protocol):
    """Hears of progress; called from several threads."""

    def registering(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Raw files of a run are being hashed; `name` says which run, and how many files."""

    def planned(self, rows: list[PlanRow]) -> None:
        """The plan is made."""

    def began(self, row: PlanRow, n_events: int) -> None:
        """A step begins to compute `n_events` events."""

    def advanced(self, row: PlanRow, n_events: int) -> None:
        """`n_events` further events are done."""

    def ended(self, result: StepResult) -> None:
        """A step ended."""


class Quiet:
    """A watcher that says nothing."""

    def registering(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Say nothing."""

    def planned(self, rows: list[PlanRow]) -> None:
        """Say nothing."""

    def began(self, row: PlanRow, n_events: int) -> None:
        """Say nothing."""

    def advanced(self, row: PlanRow, n_events: int) -> None:
        """Say nothing."""

    def ended(self, result: StepResult) -> None:
        """Say nothing."""
