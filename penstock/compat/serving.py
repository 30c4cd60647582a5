"""Which package an import finds that other people's code names: the installed one, or the names that penstock serves.

The served names lie in a folder that is no package of penstock. It is put on `sys.path`, which child processes inherit, so
that they find the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NoReturn

from penstock.core.errors import ConfigError

__all__ = ["refuse_others", "serve"]


def serve(package: str, folder: Path, *, instead: bool = False) -> bool:
    """Let ``import package`` find the names that penstock serves; whether it does from now on.

    Parameters
    ----------
    package
        Name of the package, such as ``spyral``.
    folder
        Folder that holds the served package.
    instead
        Serve it also where the package is installed. Without, that one is found and nothing changes.

    Raises
    ------
    ConfigError
        The other package has been imported already.
    """
    loaded = sys.modules.get(package)
    if loaded is not None:
        ours = loaded.__file__ is not None and Path(loaded.__file__).is_relative_to(folder)
        if instead and not ours:
            raise ConfigError(
                f"{package} has been imported from {loaded.__file__} already. "
                f"Call penstock.compat.{package}.install(instead=True) before any import of it."
            )
        return ours
    others = [path for path in sys.path if path != str(folder)]
    if not instead and PathFinder.find_spec(package, others) is not None:
        return False
    sys.path[:] = [str(folder), *others] if instead else [*others, str(folder)]
    return True


def refuse_others(module: str) -> Callable[[str], NoReturn]:
    """``__getattr__`` of a served module: a name that it does not have is an import error that says what to do."""
    package = module.partition(".")[0]

    def refuse(name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ImportError(
            f"{module}.{name}: not served by penstock.compat.{package}. Install {package}, if you need its own code.", name=module
        )

    return refuse
