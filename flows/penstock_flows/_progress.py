"""Progress of a request as one number, counted from what `execute` tells."""

from __future__ import annotations

import threading

from penstock.core.plan import PlanRow, State
from penstock.execute import StepResult, Watcher

__all__ = ["Progress"]


class Progress:
    """A watcher that counts and passes everything on.

    Steps weigh the same; a step that computes counts by its events. Current rows of the plan are no steps.
    """

    def __init__(self, inner: Watcher) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._wanted: set[tuple[int, str]] = set()
        self._ended: set[tuple[int, str]] = set()
        self._events: dict[tuple[int, str], list[int]] = {}

    @property
    def fraction(self) -> float:
        """What is done, from 0 to 1."""
        with self._lock:
            if not self._wanted:
                return 1.0
            running = sum(done / total for step, (done, total) in self._events.items() if total and step not in self._ended)
            return min(1.0, (len(self._ended) + running) / len(self._wanted))

    def registering(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Pass it on."""
        self._inner.registering(name, done_bytes, total_bytes)

    def planned(self, rows: list[PlanRow]) -> None:
        """Learn how many steps there are."""
        with self._lock:
            self._wanted = {(row.run, row.stage.name) for row in rows if row.state is not State.CURRENT}
        self._inner.planned(rows)

    def began(self, row: PlanRow, n_events: int) -> None:
        """A step begins to compute."""
        with self._lock:
            self._events[row.run, row.stage.name] = [0, n_events]
        self._inner.began(row, n_events)

    def advanced(self, row: PlanRow, n_events: int) -> None:
        """Count events."""
        with self._lock:
            self._events[row.run, row.stage.name][0] += n_events
        self._inner.advanced(row, n_events)

    def ended(self, result: StepResult) -> None:
        """Count a step."""
        with self._lock:
            self._ended |= {(result.run, result.stage)} & self._wanted
        self._inner.ended(result)
