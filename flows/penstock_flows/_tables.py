"""Plans and results as the rows of Prefect tables, short enough to read for a thousand runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.core.plan import PlanRow, State
from penstock.core.selection import spans
from penstock.execute import StepResult
from penstock.views import Cell, RunTable
from penstock.views.run_table_html import value_range
from penstock.views.tables import total
from penstock_tasks import summary

__all__ = ["all_runs", "count_plan", "count_results", "failure_message", "plan_table", "run_table", "run_table_description"]

TableRows = list[dict[str, str]]
_MOST_FAILURES = 5
_MOST_LISTED = 20
_MOST_RUNS = 200
"""Runs in the Markdown table of the whole experiment; the page beside experiment.toml has them all."""
_MOST_KEYS = 50
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


def run_table(results: Sequence[StepResult], stages: Sequence[str], counted: RunTable | None = None) -> TableRows:
    """A row a run, a column a stage, further columns, and what went wrong; runs where all was current already share one row.

    Parameters
    ----------
    counted
        The same runs with counts and further columns.
    """
    counted = counted or RunTable(())
    runs: dict[int, dict[str, StepResult]] = {}
    for result in results:
        runs.setdefault(result.run, {})[result.stage] = result
    busy = {run: found for run, found in runs.items() if any(r.state is not State.CURRENT for r in found.values())}
    idle = sorted(set(runs) - set(busy))
    table = [
        {
            "run": str(run),
            **{stage: _cell(found.get(stage), counted.rows.get(run, {}).get(stage)) for stage in stages},
            **_further(counted, [run]),
            "error": next((r.error for r in found.values() if r.error and r.state is State.FAILED), None) or _NOTHING,
        }
        for run, found in sorted(busy.items())
    ]
    if idle:
        cells = {stage: _shared([counted.rows[run][stage] for run in idle if stage in counted.rows.get(run, {})]) for stage in stages}
        table.append({"run": spans(idle), **cells, **_further(counted, idle), "error": _NOTHING})
    return table


def run_table_description(results: Sequence[StepResult]) -> str:
    """Counts, and each failure on a line of its own: Markdown, which wraps, where a cell of a table does not."""
    errors = [f"- {r.error}" for r in results if r.state is State.FAILED]
    more = [f"- and {len(errors) - _MOST_LISTED} more, in the table"] if len(errors) > _MOST_LISTED else []
    return "\n".join([f"Runs: {count_results(results)}.", *([""] if errors else []), *errors[:_MOST_LISTED], *more])


def _cell(result: StepResult | None, cell: Cell | None) -> str:
    if result is None:
        return _NOTHING
    if result.error is not None:
        return str(result.state)
    rows = [] if cell is None or cell.counts is None else [f"{cell.counts.rows.get(name, 0):,} {name}" for name in cell.shown]
    return f"{result.state}: {', '.join([summary(result), *rows])}"


def _shared(cells: Sequence[Cell]) -> str:
    """What runs that were current have in all."""
    found = total(cells)
    return str(State.CURRENT) if found is None else f"{State.CURRENT}: {found.summary}"


def _further(counted: RunTable, runs: Sequence[int]) -> dict[str, str]:
    """Values of the further columns: of one run the value, of several the least and the greatest."""
    found = {column: [counted.values[run][column.name] for run in runs if run in counted.values] for column in counted.columns}
    return {column.head: value_range(values) or _NOTHING for column, values in found.items()}


def all_runs(table: RunTable, page: str, store: str) -> str:
    """The run table of the whole experiment as Markdown: the last runs, their states, why, and the keys of their artifacts.

    Parameters
    ----------
    page
        Where the same table lies with every run.
    store
        Name of the store in which the artifacts lie.
    """
    last = list(table.rows)[-_MOST_RUNS:]
    rows = {run: table.rows[run] for run in last}
    shown = RunTable(table.stages, rows, table.columns, {run: table.values[run] for run in last})
    counts = _count(cell.state for cell in table.cells)
    some = "" if len(last) == len(table.rows) else f" The last {len(last)} of {len(table.rows):,} runs stand here."
    keys = [
        f"| {run} | {' | '.join(f'`{cell.key}`' if cell.counts is not None else _NOTHING for cell in cells.values())} |"
        for run, cells in list(rows.items())[-_MOST_KEYS:]
    ]
    return "\n".join(
        [
            f"{len(table.rows):,} runs: {counts}.{some} {page}",
            "",
            shown.as_markdown(),
            f"Artifacts lie in `{store}/objects/` under the first two letters of their key; `penstock explain KEY` says what made one.",
            "",
            f"| run | {' | '.join(table.stages)} |",
            f"|---:|{'---|' * len(table.stages)}",
            *keys,
        ]
    )


def count_plan(rows: Iterable[PlanRow]) -> str:
    """``6 current, 3 missing``."""
    return _count(row.state for row in rows)


def count_results(results: Iterable[StepResult]) -> str:
    """``3 computed, 6 current``."""
    return _count(result.state for result in results)


def _count(states: Iterable[State]) -> str:
    """``3 computed, 6 current``."""
    found = list(states)
    return ", ".join(f"{found.count(state)} {state}" for state in _ORDER if state in found) or "nothing"


def failure_message(results: Sequence[StepResult]) -> str:
    """Counts and the first failures, for the state of the flow run."""
    errors = [r.error or r.stage for r in results if r.state is State.FAILED]
    more = f" And {len(errors) - _MOST_FAILURES} more." if len(errors) > _MOST_FAILURES else ""
    return f"{count_results(results)}. {' '.join(errors[:_MOST_FAILURES])}{more}"
