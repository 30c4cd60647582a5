"""What Prefect writes to the console of a flow's process."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console

__all__ = ["console_handlers", "outlive_reader", "without_ends_of_tasks"]


def console_handlers() -> Iterator[PrefectConsoleHandler]:
    """The handlers that write to the console."""
    for name in ("prefect", "prefect.flow_runs", "prefect.task_runs", ""):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, PrefectConsoleHandler):
                yield handler


def without_ends_of_tasks(record: logging.LogRecord) -> bool:
    """A filter: how a step ended is told by the progress and the report already, and not with Prefect's words as well."""
    ends = ("Task run failed with state", "Finished in state")
    return not (record.name.startswith("prefect.task_runs") and record.getMessage().startswith(ends))


def outlive_reader() -> None:
    """Go on without a console when the worker that reads it is killed; Rich would end the process at the next line."""
    for handler in console_handlers():
        handler.console.__class__ = _Lasting


class _Lasting(Console):
    def on_broken_pipe(self) -> None:
        self.quiet = True
