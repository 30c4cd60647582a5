"""Runs a toy experiment in a process of its own, which tests kill; with ``--die`` it kills itself at a chosen place."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from penstock.config import Resources, load_experiment
from penstock.core.errors import RunCancelled
from penstock.core.selection import RunRange
from penstock.execute import Request, run
from penstock.store import Store, _index, _store, attempts

PLACES: dict[str, tuple[Any, str, bool]] = {
    "before-join": (attempts.Attempt, "join", True),
    "before-seal": (attempts, "seal", True),
    "before-publish": (attempts.Attempt, "publish", True),
    "before-link": (os, "link", True),
    "after-link": (os, "link", False),
    "before-index": (_index.Index, "put", True),
    "before-ref": (_store.Store, "set_ref", True),
    "after-ref": (_store.Store, "set_ref", False),
    "after-block": (attempts, "write_atomically", False),
}


def die_at(place: str, count: int) -> None:
    """Make the process kill itself when it comes to `place` for the `count`-th time."""
    owner, name, before = PLACES[place]
    original: Callable[..., Any] = getattr(owner, name)
    seen = 0

    def deadly(*args: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        if before and seen == count:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **options)
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)


def main() -> int:
    """Run, and print the report as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", default="all")
    parser.add_argument("--executor", default="inline")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--die", default="")
    chosen = parser.parse_args()
    if chosen.die:
        place, _, count = chosen.die.partition(":")
        die_at(place, int(count or 1))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    experiment = load_experiment(chosen.folder)
    resources = Resources(executor=chosen.executor, workers=chosen.workers, batch_blocks=1)
    with Store(experiment.store_path) as store:
        try:
            report = run(experiment, store, Request(RunRange(chosen.runs)), resources=resources, stop=stop)
        except RunCancelled:
            return 3
    print(json.dumps(report.as_json()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
