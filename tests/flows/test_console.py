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
