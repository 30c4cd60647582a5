"""The process of the Prefect worker: ``python -m penstock_flows.up.working POOL READY_FILE AFTER_FILE``.

It imports Prefect and the flows while the server still starts, and takes runs once the deployments are there.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from prefect.workers.process import ProcessWorker

import penstock_flows.process

__all__ = ["main", "work"]

LOOK_S = 0.1


async def work(pool: str, ready: Path) -> None:
    """Take the runs of a work pool until SIGTERM; runs in hand are ended with it."""
    task = asyncio.current_task()
    assert task is not None
    for kind in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(kind, task.cancel)

    def told(_: str) -> None:
        ready.touch()

    with suppress(asyncio.CancelledError):
        await ProcessWorker(work_pool_name=pool, name="up", create_pool_if_not_found=False).start(printer=told)


def main() -> None:
    """Wait for the deployments, then work."""
    pool, ready, after = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    assert penstock_flows.process.__name__
    while not after.exists():
        time.sleep(LOOK_S)
    asyncio.run(work(pool, ready))


if __name__ == "__main__":
    main()
