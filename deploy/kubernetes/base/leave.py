"""Before a worker pod goes: the scheduler moves its batches to others, so that none counts as lost. A preStop hook."""

import os
import sys

from distributed import Client


def leave(scheduler: str, host: str) -> list[str]:
    """Retire the workers of `host`; returns their addresses."""
    with Client(scheduler, timeout=10, set_as_default=False) as client:
        mine = [address for address in client.scheduler_info(n_workers=-1)["workers"] if f"//{host}:" in address]
        if mine:
            client.retire_workers(mine, close_workers=True, remove=True)
        return mine


if __name__ == "__main__":
    sys.stdout.write(f"{leave(sys.argv[1], os.environ['POD_IP'])}\n")
