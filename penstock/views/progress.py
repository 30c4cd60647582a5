"""Progress of a request: bars on a terminal and in a notebook, plain lines in a pipe."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Self, TextIO

from penstock.core.plan import PlanRow, State
from penstock.execute import StepResult

__all__ = ["Bars", "Lines", "describe_result"]


def describe_result(result: StepResult) -> str:
    """One line about a step that ended: ``run 94  tpc.points  computed  500 -> 498 events  1.2 s``."""
    head = f"run {result.run}  {result.stage}  {result.state}"
    if result.error:
        return f"{head}: {result.error}"
    events = f"  {result.events_in} -> {result.events_out} events" if result.events_in is not None else ""
    left_out = ", ".join(f"{n} {what}" for n, what in ((result.rejected, "rejected"), (result.excluded, "excluded")) if n)
    return f"{head}{events}{f' ({left_out})' if left_out else ''}" + (f"  {result.seconds:.1f} s" if result.state is State.COMPUTED else "")


class Lines:
    """A line for each step that ended; what pipes and log files get."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.flush()

    def _say(self, text: str) -> None:
        with self._lock:
            self._stream.write(text + "\n")

    def registering(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Say which run was hashed, once all its files are."""
        if done_bytes == total_bytes:
            self._say(f"registered {name} ({total_bytes / 1e6:.0f} MB)")

    def planned(self, rows: list[PlanRow]) -> None:
        """Say what there is to do."""
        todo = sum(row.state in (State.MISSING, State.STALE) for row in rows)
        self._say(f"{len(rows)} results wanted, {todo} to compute")

    def began(self, row: PlanRow, n_events: int) -> None:
        """Say nothing: the end will be told."""

    def advanced(self, row: PlanRow, n_events: int) -> None:
        """Say nothing: the end will be told."""

    def ended(self, result: StepResult) -> None:
        """Say what became of the step."""
        if result.state is not State.CURRENT:
            self._say(describe_result(result))


class Bars:
    """A bar for each step that is being computed; for terminals and notebooks."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("events"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
        )
        self._tasks: dict[tuple[int, str], TaskID] = {}
        self._runs: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def registering(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Advance the bar of a run whose files are being hashed."""
        if name not in self._runs:
            self._runs[name] = self._progress.add_task(f"checksums of {name} (MB)", total=total_bytes // 10**6)
        self._progress.update(self._runs[name], completed=done_bytes // 10**6, visible=done_bytes < total_bytes)

    def planned(self, rows: list[PlanRow]) -> None:
        """Say what there is to do."""
        todo = sum(row.state in (State.MISSING, State.STALE) for row in rows)
        self._progress.console.print(f"{len(rows)} results wanted, {todo} to compute")

    def began(self, row: PlanRow, n_events: int) -> None:
        """Open a bar."""
        self._tasks[row.run, row.stage.name] = self._progress.add_task(f"run {row.run} {row.stage.name}", total=n_events)

    def advanced(self, row: PlanRow, n_events: int) -> None:
        """Advance a bar."""
        self._progress.advance(self._tasks[row.run, row.stage.name], n_events)

    def ended(self, result: StepResult) -> None:
        """Close the bar and leave a line."""
        task = self._tasks.pop((result.run, result.stage), None)
        if task is not None:
            self._progress.remove_task(task)
        if result.state is not State.CURRENT:
            self._progress.console.print(describe_result(result), highlight=False)
