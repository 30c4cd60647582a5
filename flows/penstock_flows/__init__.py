"""The Prefect flows of penstock, and the way to run a request under Prefect.

Light: Prefect is imported with the first flow, not by asking whether an API is there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from penstock_flows._api import api_is_configured, api_is_reachable, api_url

if TYPE_CHECKING:
    from penstock_flows._runner import run_under_prefect

__all__ = ["api_is_configured", "api_is_reachable", "api_url", "run_under_prefect"]


def __getattr__(name: str) -> Any:
    if name == "run_under_prefect":
        return import_module("penstock_flows._runner").run_under_prefect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
