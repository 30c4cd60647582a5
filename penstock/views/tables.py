"""The run table: a row a run, a column a stage and for each of ``[columns]``; for the terminal, as Markdown, and for JSON.

`run_table_html` makes a page of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from penstock.config import RunColumn
from penstock.core.canonical import Json, Key
from penstock.core.plan import PlanRow, State
from penstock.core.selection import spans
from penstock.execute import StepResult
from penstock.store import Counts, Store
from penstock.views.run_table_values import ColumnValue, Remembered

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["Cell", "RunTable", "run_table", "total"]

DONE = (State.CURRENT, State.COMPUTED)
BROKEN = (State.FAILED, State.SKIPPED)
COLORS = {
    State.CURRENT: "",
    State.COMPUTED: "green",
    State.STALE: "yellow",
    State.MISSING: "bright_black",
    State.FAILED: "bold red",
    State.SKIPPED: "red",
}
MARKS = {State.CURRENT: "✓", State.COMPUTED: "✓", State.STALE: "~", State.MISSING: "·", State.FAILED: "✗", State.SKIPPED: "✗"}
"""So that states are told apart without colours."""

_WORST_FIRST = (State.FAILED, State.SKIPPED, State.STALE, State.MISSING)

PIPE_WIDTH = 500
MOST_REASONS = 30
"""Further reasons are only counted."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One stage of one run: its state, why, and what its artifact holds."""

    run: int
    stage: str
    state: State
    why: str = ""
    key: Key | None = None
    counts: Counts | None = None
    shown: tuple[str, ...] = ()
    """Tables whose rows stand in the summary."""
    counted: str = "ev"
    """What the artifact has one of for each event; empty for results about a whole run."""
    subject: str = ""
    """What the artifact is about, as files that are made of it are called."""

    @property
    def summary(self) -> str:
        """``9,800 ev / 3.2 M points``, with what was rejected; the state where there is no artifact."""
        if self.counts is None:
            return str(self.state)
        parts = [
            *([f"{self.counts.events_out:,} {self.counted}"] if self.counted else []),
            *(f"{_short(self.counts.rows.get(t, 0))} {t}" for t in self.shown),
        ]
        rejected = sum(self.counts.rejected.values())
        return (" / ".join(parts) or "done") + (f" ({rejected:,} rejected)" if rejected else "")

    @property
    def reason(self) -> str:
        """Why, without the run and stage that stand before it anyway."""
        return self.why.removeprefix(f"run {self.run}: ").removeprefix(f"run {self.run}, stage {self.stage!r}").lstrip(":, ")

    @property
    def text(self) -> str:
        """Mark and summary."""
        return f"{MARKS[self.state]} {self.summary}"

    def as_json(self) -> dict[str, Json]:
        """The cell as plain values."""
        counts = self.counts
        return {
            "stage": self.stage,
            "state": str(self.state),
            "why": self.why,
            "key": self.key,
            "events_in": None if counts is None else counts.events_in,
            "events_out": None if counts is None else counts.events_out,
            "rejected": None if counts is None else dict(counts.rejected),
            "excluded": None if counts is None else dict(counts.excluded),
            "rows": None if counts is None else dict(counts.rows),
        }


@dataclass(frozen=True, slots=True)
class RunTable:
    """Cells by run and stage, runs and stages in the order of the plan; and values by run and name of the further columns."""

    stages: tuple[str, ...]
    rows: Mapping[int, Mapping[str, Cell]] = field(default_factory=dict)
    columns: tuple[RunColumn, ...] = ()
    values: Mapping[int, Mapping[str, ColumnValue]] = field(default_factory=dict)

    @property
    def cells(self) -> list[Cell]:
        """All cells, run by run."""
        return [cell for row in self.rows.values() for cell in row.values()]

    def count(self, *states: State) -> int:
        """How many cells have one of `states`."""
        return sum(cell.state in states for cell in self.cells)

    @property
    def reasons(self) -> list[str]:
        """Why cells are not done, equal reasons together: ``runs 3, 5-7, tpc.points failed: ...``."""
        runs: dict[tuple[tuple[str, ...], State, str], list[int]] = {}
        for run, cells in self.rows.items():
            stages: dict[tuple[State, str], list[str]] = {}
            for cell in cells.values():
                if cell.state not in DONE and cell.why:
                    stages.setdefault((cell.state, cell.reason), []).append(cell.stage)
            for (state, why), names in stages.items():
                runs.setdefault((tuple(names), state, why), []).append(run)
        lines = [f"{_runs(numbers)}, {', '.join(names)} {state}: {why}" for (names, state, why), numbers in runs.items()]
        lines += self._reasons_of_columns()
        return lines if len(lines) <= MOST_REASONS else [*lines[:MOST_REASONS], f"and {len(lines) - MOST_REASONS:,} more reasons"]

    def _reasons_of_columns(self) -> list[str]:
        runs: dict[tuple[str, str], list[int]] = {}
        for run, values in self.values.items():
            for name, found in values.items():
                if found.state in DONE and found.why:
                    runs.setdefault((name, found.why), []).append(run)
        return [f"{_runs(numbers)}, column {name}: {why}" for (name, why), numbers in runs.items()]

    def texts(self, run: int) -> list[str]:
        """What the further columns show of a run; a mark where the result of the stage is not what was asked for."""
        found = [self.values[run][column.name] for column in self.columns]
        return [value.text if value.state in DONE else MARKS[value.state] for value in found]

    def as_json(self) -> list[Json]:
        """A row a run: ``{"run": 1, "stages": [...], "columns": {...}}``."""
        return [
            {
                "run": run,
                "stages": [cell.as_json() for cell in cells.values()],
                "columns": {name: value.as_json() for name, value in self.values.get(run, {}).items()},
            }
            for run, cells in self.rows.items()
        ]

    def as_markdown(self) -> str:
        """The table, and below it the reasons of what is not done."""
        names = [_escape(column.head) for column in self.columns]
        lines = [_line(["run", *self.stages, *names]), _line(["---:", *("---" for _ in self.stages), *("---:" for _ in names)])]
        for run, cells in self.rows.items():
            lines.append(_line([str(run), *(_bold(cells[s]) if s in cells else "" for s in self.stages), *self.texts(run)]))
        if self.reasons:
            lines += ["", *(f"- {_escape(reason)}" for reason in self.reasons)]
        return "\n".join(lines) + "\n"

    def as_rich(self) -> Group:
        """The table for a terminal, and below it the reasons of what is not done."""
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("run", justify="right", style="bold")
        for stage in self.stages:
            table.add_column(stage)
        for column in self.columns:
            table.add_column(Text(column.head), justify="right")
        for run, cells in self.rows.items():
            texts = (Text(cells[s].text, style=COLORS[cells[s].state]) if s in cells else Text("") for s in self.stages)
            table.add_row(str(run), *texts, *(Text(text) for text in self.texts(run)))
        return Group(table, *(Text(reason) for reason in self.reasons))

    def print(self) -> None:
        """Print the table to standard output; in a pipe, lines are as long as they need to be."""
        from rich.console import Console

        console = Console(highlight=False)
        console.print(self.as_rich(), width=None if console.is_terminal else PIPE_WIDTH, crop=False)

    def _repr_markdown_(self) -> str:
        """How a notebook shows the table."""
        return self.as_markdown()


def run_table(rows: Sequence[PlanRow], store: Store, results: Iterable[StepResult] = (), columns: Sequence[RunColumn] = ()) -> RunTable:
    """The run table of a plan.

    A stale or missing cell shows no counts: what lies in the store is not what was asked for.

    Parameters
    ----------
    rows
        The plan.
    store
        Where the counts of current artifacts are read.
    results
        What became of the plan, where it was carried out since; they replace the states of their cells.
    columns
        Further columns, such as those of an experiment; those of stages that are not in the plan are left out.
    """
    ended = {(result.run, result.stage): result for result in results}
    stages = tuple(dict.fromkeys(row.stage.name for row in rows))
    wanted = tuple(column for column in columns if column.stage in stages)
    cells: dict[int, dict[str, Cell]] = {}
    values: dict[int, dict[str, ColumnValue]] = {}
    with Remembered(store) as remembered:
        for row in rows:
            result = ended.get((row.run, row.stage.name))
            state, why = (row.state, row.why) if result is None else (result.state, result.error or "")
            key = row.key if result is None else result.key
            cells.setdefault(row.run, {})[row.stage.name] = _cell(row, state, why, key, remembered)
        for run, found in cells.items():
            values[run] = {column.name: _value(column, found[column.stage], remembered) for column in wanted}
    return RunTable(stages, cells, wanted, values)


def _cell(row: PlanRow, state: State, why: str, key: Key | None, remembered: Remembered) -> Cell:
    stage = row.stage
    counts = remembered.counts(key) if state in DONE and key is not None else None
    counted = "" if stage.unit == "run" else "rows" if stage.subject == "none" else "ev"
    subject = "" if row.subject is None else row.subject.label
    return Cell(row.run, stage.name, state, why, key, counts, stage.summary, counted, subject)


def total(cells: Iterable[Cell]) -> Cell | None:
    """The counts of those of `cells` that are done, as a cell of their stage; None where none is. The state is the worst of all."""
    done, states = [], set[State]()
    for cell in cells:
        states.add(cell.state)
        if cell.counts is not None:
            done.append((cell, cell.counts))
    if not done:
        return None
    counts = Counts(
        sum(found.events_in for _, found in done),
        sum(found.events_out for _, found in done),
        {"rejected": sum(n for _, found in done for n in found.rejected.values())},
        {},
        {name: sum(found.rows.get(name, 0) for _, found in done) for name in done[0][0].shown},
    )
    worst = next((state for state in _WORST_FIRST if state in states), State.CURRENT)
    return replace(done[0][0], state=worst, counts=counts, key=None, why="")


def _value(column: RunColumn, cell: Cell, remembered: Remembered) -> ColumnValue:
    if cell.state not in DONE or cell.key is None:
        return ColumnValue(cell.state, why=f"{cell.stage} is {cell.state}")
    return remembered.value(column, cell.key)


def _short(number: int) -> str:
    """``9,800``, ``97.5 k``, ``208 k`` or ``3.2 M``."""
    if number < 10_000:
        return f"{number:,}"
    if number < 1_000_000:
        return f"{number / 1e3:.1f} k" if number < 100_000 else f"{number // 1000} k"
    return f"{number / 1e6:,.1f} M"


def _runs(numbers: Sequence[int]) -> str:
    return f"run{'s' if len(numbers) > 1 else ''} {spans(numbers)}"


def _bold(cell: Cell) -> str:
    text = _escape(cell.text)
    return f"**{text}**" if cell.state in BROKEN else text


def _line(fields: Sequence[str]) -> str:
    return f"| {' | '.join(fields)} |"


def _escape(text: str) -> str:
    """Text that Markdown neither takes for a new cell nor for a new line."""
    return " ".join(text.replace("|", "\\|").split())
