"""A user's worker and reducer: classes named ``module.path:Class``, found in a folder, with nothing to inherit from."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from penstock.core.errors import ConfigError
from penstock.stream.parameters import Parameter, ParameterBase

__all__ = ["described_parameters", "load_class", "serve_imports"]


def load_class(name: str, folder: Path, needed: str) -> type:
    """The class ``module.path:Class``; `folder` goes first on `sys.path`.

    Parameters
    ----------
    needed
        Method that the class must have, ``process_event`` or ``process_result``.

    Raises
    ------
    ConfigError
        The name is not of that form, there is no such module or class, or the method is missing.
    """
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ConfigError(f"class {name!r} is not of the form 'module.path:Class', such as 'src.worker:TestWorker'.")
    serve_imports()
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ConfigError(f"class {name!r}: there is no module {module!r} in {folder} nor installed ({error}).") from error
    cls = getattr(found, attribute, None)
    if not isinstance(cls, type):
        known = ", ".join(sorted(n for n, value in vars(found).items() if isinstance(value, type) and value.__module__ == found.__name__))
        raise ConfigError(f"class {name!r}: {found.__file__} has no class {attribute!r}; it has {known or 'none'}.")
    if not callable(getattr(cls, needed, None)):
        raise ConfigError(f"class {name!r} has no method {needed!r}.")
    return cls


@cache
def serve_imports() -> None:
    """Let the imports of programs that penstock stands in for find what it serves (entry points ``penstock.imports``)."""
    for point in entry_points(group="penstock.imports"):
        point.load()()


def described_parameters(classes: Iterable[type]) -> list[ParameterBase]:
    """What the classes' ``describe_parameters()`` list.

    Raises
    ------
    ConfigError
        One of them lists something that is no parameter.
    """
    found: list[ParameterBase] = []
    for cls in classes:
        describe: Any = getattr(cls, "describe_parameters", None)
        for item in describe() if describe is not None else ():
            try:
                found.append(item if isinstance(item, ParameterBase) else _converted(item))
            except (AttributeError, ValidationError) as error:
                raise ConfigError(
                    f"{cls.__module__}:{cls.__qualname__}.describe_parameters() lists {item!r}, which is no parameter."
                ) from error
    return found


def _converted(item: Any) -> ParameterBase:
    """A parameter of another package, by its fields."""
    fields = {name: getattr(item, name) for name in ("name", "description", "dtype", "default")}
    converted: ParameterBase = TypeAdapter(Parameter).validate_python(fields)
    return converted
