"""How stages get done: planning, blocks and batches, inline and on Dask, lanes, progress, cancellation.

Planning is light; what computes is imported with its first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from penstock.execute._events import Quiet, RunReport, StepResult, Watcher
from penstock.execute._plan import Planner, Request, asset_files, ref_name
from penstock.execute._register import Registrar

if TYPE_CHECKING:
    from penstock.execute._batch import apply_stage, load_assets
    from penstock.execute._executor import Executor, Inline, open_executor
    from penstock.execute._run import compute_chain, compute_next, prepare, run, session
    from penstock.execute._step import Session, compute

_HEAVY = {
    "Executor": "_executor",
    "Inline": "_executor",
    "Session": "_step",
    "apply_stage": "_batch",
    "compute": "_step",
    "compute_chain": "_run",
    "compute_next": "_run",
    "load_assets": "_batch",
    "open_executor": "_executor",
    "prepare": "_run",
    "run": "_run",
    "session": "_run",
}

__all__ = [
    "Executor",
    "Inline",
    "Planner",
    "Quiet",
    "Registrar",
    "Request",
    "RunReport",
    "Session",
    "StepResult",
    "Watcher",
    "apply_stage",
    "asset_files",
    "compute",
    "compute_chain",
    "compute_next",
    "load_assets",
    "open_executor",
    "prepare",
    "ref_name",
    "run",
    "session",
]


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(import_module(f"penstock.execute.{_HEAVY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
