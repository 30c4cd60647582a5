"""What a replay is of; it travels to the processes that virtual workers live in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from penstock.events.sources import EventSource, Streamed
from penstock.events.user_code import load_class

__all__ = ["ReplayJob"]


@dataclass(frozen=True, slots=True)
class ReplayJob:
    """What a replay is of.

    Attributes
    ----------
    worker, reducer
        Classes, ``module.path:Class``.
    folder
        Where a user's modules lie.
    open_source
        Opens the events; called once in each process, so it must be picklable for more than one.
    n_workers
        Virtual workers.
    on_error
        "fail" ends the replay at the first event whose worker raises; "reject" counts it and goes on.
    """

    worker: str
    reducer: str
    folder: Path
    open_source: Callable[[], EventSource | Streamed]
    parameters: Mapping[str, bytes] = field(default_factory=dict)
    n_workers: int = 2
    on_error: str = "fail"

    def classes(self) -> tuple[type, type]:
        """Both classes, imported."""
        return load_class(self.worker, self.folder, "process_event"), load_class(self.reducer, self.folder, "process_result")
