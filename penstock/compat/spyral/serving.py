"""Which ``spyral`` an import finds: the installed one, or the names that penstock serves.

The names lie in a folder that is no package of penstock. It is put on `sys.path`, which child processes inherit, so
that they find the same.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

from penstock.core.errors import ConfigError

__all__ = ["SERVED", "install"]

SERVED = Path(__file__).parent / "served"
"""Folder with the package ``spyral`` that penstock serves."""


def install(*, instead: bool = False) -> bool:
    """Let ``import spyral`` find the names that penstock serves; whether it does from now on.

    Parameters
    ----------
    instead
        Serve them also where Spyral is installed. Without, that one is found and nothing changes.

    Raises
    ------
    ConfigError
        Another ``spyral`` has been imported already.
    """
    loaded = sys.modules.get("spyral")
    if loaded is not None:
        ours = Path(str(loaded.__file__)).is_relative_to(SERVED)
        if instead and not ours:
            raise ConfigError(
                f"spyral has been imported from {loaded.__file__} already. Call penstock.compat.spyral.install(instead=True) before any import of it."
            )
        return ours
    others = [path for path in sys.path if path != str(SERVED)]
    if not instead and PathFinder.find_spec("spyral", others) is not None:
        return False
    sys.path[:] = [str(SERVED), *others] if instead else [*others, str(SERVED)]
    return True
