"""What stands ready in the Prefect UI: of which penstock the deployments are, and whether a worker asks for their flow runs."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator, Sequence
from typing import Any

from penstock.cli.doctor._finding import Finding
from penstock.cli.prefect_api import ask_prefect

__all__ = ["look_at_deployments"]

_MOST = 200
_VERSION = re.compile(r"\d+\.\d+.*")
"""Deployments that were not made by ``penstock deploy`` may say anything else."""


def look_at_deployments(url: str) -> Iterator[Finding]:
    """The deployments of penstock on the API at `url`, and their work pools; nothing where it does not let us in."""
    deployments = _ask(url, "/deployments/filter", {"deployments": {"tags": {"all_": ["penstock"]}}, "limit": _MOST})
    if deployments is None:
        return
    if not deployments:
        yield Finding("deployments", "note", f"{url} has none of penstock: its UI starts nothing", "Make them with: penstock deploy")
        return
    ours = importlib.metadata.version("penstock")
    others = sorted({str(d["version"]) for d in deployments if _VERSION.fullmatch(str(d.get("version"))) and d["version"] != ours})
    if others:
        yield Finding(
            "deployments",
            "problem",
            f"{url} has some that penstock {', '.join(others)} made, here is {ours}: their forms and flows may not fit the workers' code",
            "Install one penstock on all machines, restart the Prefect workers, then: penstock deploy",
        )
    else:
        yield Finding("deployments", "ok", f"{len(deployments)} of penstock {ours}")
    wanted = {d.get("work_pool_name") for d in deployments}
    for pool in _ask(url, "/work_pools/filter", {"limit": _MOST}) or ():
        if pool.get("name") in wanted:
            yield _judge_pool(pool["name"], is_paused=bool(pool.get("is_paused")), status=str(pool.get("status")))


def _judge_pool(name: str, *, is_paused: bool, status: str) -> Finding:
    what = f"work pool {name}"
    if is_paused or status == "PAUSED":
        return Finding(what, "note", "is paused: flow runs wait", f"Let it go on: prefect work-pool resume {name}")
    if status == "NOT_READY":
        return Finding(
            what,
            "problem",
            "no worker asks for its flow runs: they wait as Late, without an error",
            f"Start one with: prefect worker start --pool {name}",
        )
    return Finding(what, "ok", "a worker asks for its flow runs")


def _ask(url: str, path: str, body: dict[str, Any]) -> Sequence[dict[str, Any]] | None:
    try:
        status, content = ask_prefect(url, path, body)
    except (OSError, ValueError):
        return None
    return content if status == 200 and isinstance(content, list) else None
