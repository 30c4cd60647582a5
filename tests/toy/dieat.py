"""Runs ``penstock deploy`` or the flow `prune` in a process that kills itself at a chosen moment."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def die_at(owner: Any, name: str, count: int, *, before: bool, matters: Callable[..., bool] = lambda *_: True) -> None:
    """Make the process kill itself before or after the `count`-th call of a method that matters."""
    original = getattr(owner, name)
    seen = 0

    def deadly(*args: Any, **options: Any) -> Any:
        nonlocal seen
        seen += matters(*args)
        if before and seen == count:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **options)
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)


def deploy(count: int, *arguments: str) -> None:
    """Deploy; die when the server has done the `count`-th change."""
    import httpx

    from penstock_flows.commands.deploy import deploy as command

    def changes(_: object, request: httpx.Request) -> bool:
        return request.method != "GET" and not request.url.path.endswith("/filter")

    die_at(httpx.Client, "send", count, before=False, matters=changes)
    command(list(arguments))


def prune(count: int, folder: str, when: str) -> None:
    """Prune all that nothing refers to; die before or after the `count`-th folder goes."""
    from penstock.store._places import Folder
    from penstock_flows.prune import PruneRequest
    from penstock_flows.prune import prune as flow

    die_at(Folder, "discard", count, before=when == "before")
    flow(PruneRequest(experiment=folder, spare_hours=0.0))


if __name__ == "__main__":
    {"deploy": deploy, "prune": prune}[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
