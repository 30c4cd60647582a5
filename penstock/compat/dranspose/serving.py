"""Which ``dranspose`` an import finds: see `penstock.compat.serving`."""

from __future__ import annotations

from pathlib import Path

from penstock.compat.serving import serve

__all__ = ["SERVED", "install"]

SERVED = Path(__file__).parent / "served"
"""Folder with the package ``dranspose`` that penstock serves."""


def install(*, instead: bool = False) -> bool:
    """Let ``import dranspose`` find what penstock serves, where dranspose is not installed, or `instead` of it; see `penstock.compat.serving.serve`."""
    return serve("dranspose", SERVED, instead=instead)
