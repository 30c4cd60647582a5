"""The run table: a row a run, a column a stage; for the terminal, for Prefect and notebooks as Markdown, and for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.core.canonical import Json, Key
from penstock.core.plan import PlanRow, State
from penstock.core.selection import spans
from penstock.core.stage import Stage
from penstock.execute import StepResult
from penstock.store import Counts, Store

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["Cell", "RunTable", "run_table"]

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
    """Cells by run and stage, runs and stages in the order of the plan."""

    stages: tuple[str, ...]
    rows: Mapping[int, Mapping[str, Cell]] = field(default_factory=dict)

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
                    stages.setdefault((cell.state, _bare(cell)), []).append(cell.stage)
            for (state, why), names in stages.items():
                runs.setdefault((tuple(names), state, why), []).append(run)
        lines = [f"{_runs(numbers)}, {', '.join(names)} {state}: {why}" for (names, state, why), numbers in runs.items()]
        return lines if len(lines) <= MOST_REASONS else [*lines[:MOST_REASONS], f"and {len(lines) - MOST_REASONS:,} more reasons"]

    def as_json(self) -> list[Json]:
        """A row a run: ``{"run": 1, "stages": [...]}``."""
        return [{"run": run, "stages": [cell.as_json() for cell in cells.values()]} for run, cells in self.rows.items()]

    def as_markdown(self) -> str:
        """The table, and below it the reasons of what is not done."""
        lines = [_line(["run", *self.stages]), _line(["---:", *("---" for _ in self.stages)])]
        for run, cells in self.rows.items():
            lines.append(_line([str(run), *(_bold(cells[s]) if s in cells else "" for s in self.stages)]))
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
        for run, cells in self.rows.items():
            texts = (Text(cells[s].text, style=COLORS[cells[s].state]) if s in cells else Text("") for s in self.stages)
            table.add_row(str(run), *texts)
        return Group(table, *(Text(reason) for reason in self.reasons))

    def print(self) -> None:
        """Print the table to standard output; in a pipe, lines are as long as they need to be."""
        from rich.console import Console

        console = Console(highlight=False)
        console.print(self.as_rich(), width=None if console.is_terminal else PIPE_WIDTH, crop=False)

    def _repr_markdown_(self) -> str:
        """How a notebook shows the table."""
        return self.as_markdown()


def run_table(rows: Sequence[PlanRow], store: Store, results: Iterable[StepResult] = ()) -> RunTable:
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
    """
    ended = {(result.run, result.stage): result for result in results}
    stages = tuple(dict.fromkeys(row.stage.name for row in rows))
    cells: dict[int, dict[str, Cell]] = {}
    for row in rows:
        result = ended.get((row.run, row.stage.name))
        state, why = (row.state, row.why) if result is None else (result.state, result.error or "")
        key = row.key if result is None else result.key
        cells.setdefault(row.run, {})[row.stage.name] = _cell(row.run, row.stage, state, why, key, store)
    return RunTable(stages, cells)


def _cell(run: int, stage: Stage, state: State, why: str, key: Key | None, store: Store) -> Cell:
    counts = store.manifest(key).counts if state in DONE and key is not None else None
    counted = "" if stage.unit == "run" else "rows" if stage.subject == "none" else "ev"
    return Cell(run, stage.name, state, why, key, counts, stage.summary, counted)


def _short(number: int) -> str:
    """``9,800``, ``97.5 k``, ``208 k`` or ``3.2 M``."""
    if number < 10_000:
        return f"{number:,}"
    if number < 1_000_000:
        return f"{number / 1e3:.1f} k" if number < 100_000 else f"{number // 1000} k"
    return f"{number / 1e6:,.1f} M"


def _runs(numbers: Sequence[int]) -> str:
    return f"run{'s' if len(numbers) > 1 else ''} {spans(numbers)}"


def _bare(cell: Cell) -> str:
    """Why, without the run and stage that stand before it anyway."""
    return cell.why.removeprefix(f"run {cell.run}: ").removeprefix(f"run {cell.run}, stage {cell.stage!r}").lstrip(":, ")


def _bold(cell: Cell) -> str:
    text = _escape(cell.text)
    return f"**{text}**" if cell.state in BROKEN else text


def _line(fields: Sequence[str]) -> str:
    return f"| {' | '.join(fields)} |"


def _escape(text: str) -> str:
    """Text that Markdown neither takes for a new cell nor for a new line."""
    return " ".join(text.replace("|", "\\|").split())
