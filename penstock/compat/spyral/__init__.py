"""Spyral's phase protocol, served by penstock: phases of a group of its own run as stages, without a change.

`install` makes ``import spyral`` find the names that such phases and scripts import. It serves them where Spyral is not
installed, or where that is asked for; nothing in penstock is called ``spyral`` on the import path without it.
`phase_stages` makes stages of a phase. No code of Spyral is in here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from penstock.compat.spyral.serving import install

if TYPE_CHECKING:
    from penstock.compat.spyral.stages import PhaseWarning, phase_stages
    from penstock.compat.spyral.workspace import PhaseFailed

__all__ = ["PhaseFailed", "PhaseWarning", "install", "phase_stages"]

_LATER = {"PhaseFailed": "workspace", "PhaseWarning": "stages", "phase_stages": "stages"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"penstock.compat.spyral.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
