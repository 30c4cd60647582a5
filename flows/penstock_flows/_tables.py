"""Plans and results as the rows of Prefect tables, short enough to read for a thousand runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.core.plan import PlanRow, State
from penstock.core.selection import spans
from penstock.execute import StepResult
from penstock_tasks import summary

__all__ = ["count_plan", "count_results", "failure_message", "plan_table", "run_table", "run_table_description"]

TableRows = list[dict[str, str]]
_MOST_FAILURES = 5
_MOST_LISTED = 20
_ORDER = (State.COMPUTED, State.CURRENT, State.MISSING, State.STALE, State.FAILED, State.SKIPPED)
_NOTHING = "–"
"""An empty cell; a hyphen would become a bullet, for the UI renders cells as Markdown."""


def plan_table(rows: Sequence[PlanRow]) -> TableRows:
    """A row for each stage, state and reason, with the runs that share them; what will be computed comes first."""
    groups: dict[tuple[str, State, str], list[PlanRow]] = {}
    for row in rows:
        groups.setdefault((row.stage.name, row.state, row.why), []).append(row)
    ordered = sorted(groups.items(), key=lambda item: item[0][1] is State.CURRENT)
    return [
        {
            "stage": stage,
            "state": str(state),
            "count": str(len(members)),
            "runs": spans(row.run for row in members),
            "why": why or _NOTHING,
        }
        for (stage, state, why), members in ordered
    ]


def run_table(results: Sequence[StepResult], stages: Sequence[str]) -> TableRows:
    """A row a run, a column a stage, and what went wrong; runs where all was current already share one row."""
    runs: dict[int, dict[str, StepResult]] = {}
    for result in results:
        runs.setdefault(result.run, {})[result.stage] = result
    busy = {run: found for run, found in runs.items() if any(r.state is not State.CURRENT for r in found.values())}
    idle = sorted(set(runs) - set(busy))
    table = [
        {
            "run": str(run),
            **{stage: _cell(found.get(stage)) for stage in stages},
            "error": next((r.error for r in found.values() if r.error and r.state is State.FAILED), None) or _NOTHING,
        }
        for run, found in sorted(busy.items())
    ]
    if idle:
        table.append({"run": spans(idle), **dict.fromkeys(stages, "current"), "error": _NOTHING})
    return table


def run_table_description(results: Sequence[StepResult]) -> str:
    """Counts, and each failure on a line of its own: Markdown, which wraps, where a cell of a table does not."""
    errors = [f"- {r.error}" for r in results if r.state is State.FAILED]
    more = [f"- and {len(errors) - _MOST_LISTED} more, in the table"] if len(errors) > _MOST_LISTED else []
    return "\n".join([f"Runs: {count_results(results)}.", *([""] if errors else []), *errors[:_MOST_LISTED], *more])


def _cell(result: StepResult | None) -> str:
    if result is None:
        return _NOTHING
    return str(result.state) if result.error is not None else f"{result.state}: {summary(result)}"


def count_plan(rows: Iterable[PlanRow]) -> str:
    """``6 current, 3 missing``."""
    return _count(row.state for row in rows)


def count_results(results: Iterable[StepResult]) -> str:
    """``3 computed, 6 current``."""
    return _count(result.state for result in results)


def _count(states: Iterable[State]) -> str:
    found = list(states)
    return ", ".join(f"{found.count(state)} {state}" for state in _ORDER if state in found) or "nothing"


def failure_message(results: Sequence[StepResult]) -> str:
    """Counts and the first failures, for the state of the flow run."""
    errors = [r.error or r.stage for r in results if r.state is State.FAILED]
    more = f" And {len(errors) - _MOST_FAILURES} more." if len(errors) > _MOST_FAILURES else ""
    return f"{count_results(results)}. {' '.join(errors[:_MOST_FAILURES])}{more}"
