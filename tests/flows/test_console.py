"""A flow's process whose output nobody reads any more."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

pytestmark = pytest.mark.server


@pytest.fixture
def unread() -> Iterator[Any]:
    """A console handler of flow runs that writes into a pipe whose reader has gone."""
    from prefect.logging.handlers import PrefectConsoleHandler

    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    handler = PrefectConsoleHandler(stream)
    logger = logging.getLogger("prefect.flow_runs")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    with suppress(BrokenPipeError):
        stream.close()


def test_flow_run_goes_on_when_the_worker_that_reads_its_output_is_killed(unread: Any) -> None:
    from penstock_flows._console import outlive_reader

    outlive_reader()
    unread.handle(logging.makeLogRecord({"msg": "nobody reads this", "levelno": logging.ERROR}))
    assert unread.console.quiet


@pytest.mark.parametrize(
    ("logger", "text", "shown"),
    [
        ("prefect.task_runs", "Finished in state Failed('run 3: no file')", False),
        ("prefect.task_runs", "Task run failed with state: Failed('run 3: no file')", False),
        ("prefect.task_runs", "the disk does not answer", True),
        ("prefect.flow_runs", "Finished in state Failed('1 failed')", True),
    ],
)
def test_console_leaves_out_how_steps_ended_for_the_report_tells(logger: str, text: str, shown: bool) -> None:
    from penstock_flows._console import without_ends_of_tasks

    assert without_ends_of_tasks(logging.makeLogRecord({"name": logger, "msg": text, "levelno": logging.ERROR})) is shown
