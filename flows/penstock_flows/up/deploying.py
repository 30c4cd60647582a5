"""The process that makes the deployments: ``python -m penstock_flows.up.deploying DONE_FILE SCHEDULES [EXPERIMENT ...]``.

It imports Prefect while the server still starts, and applies the deployments as soon as its API answers.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from penstock_flows._api import api_is_reachable
from penstock_flows.deployments import apply

__all__ = ["main"]

LOOK_S = 0.1
_ACTIVE = {"active": True, "inactive": False, "as-they-are": None}


def main() -> None:
    """Wait for the API, then apply; what became of each is printed to the log."""
    done, schedules, *experiments = sys.argv[1:]
    while not api_is_reachable():
        time.sleep(LOOK_S)
    for made in apply([Path(path) for path in experiments], schedules_active=_ACTIVE[schedules]):
        sys.stdout.write(f"{made.kind} {made.name}: {made.outcome}\n")
    Path(done).touch()


if __name__ == "__main__":
    main()
