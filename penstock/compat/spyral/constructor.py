"""What a phase is built from, as parameters of a stage: fields of its parameter classes, so that they stand in the key.

A dataclass becomes a nested table of the same fields, whose defaults are the values given. A path is text in
experiment.toml; in the key stands the checksum of the file that it names.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import create_model

from penstock.core.canonical import Json
from penstock.core.errors import ConfigError
from penstock.core.params import Params
from penstock.store import hash_file

__all__ = ["Arguments", "arguments_of"]

_PLAIN = (bool, int, float, str, type(None))
_NESTING = (list, tuple, dict)


class Arguments(Params):
    """Arguments of a class: of a phase, or of one of its parameter classes."""

    makes: ClassVar[Callable[..., Any]]
    """The class."""
    paths: ClassVar[frozenset[str]] = frozenset()
    """Fields that are paths."""

    def build(self) -> Any:
        """An instance of the class."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).makes(**{name: self._given(name, value) for name, value in values.items()})

    def identity(self) -> dict[str, Json]:
        """The values as they enter the key: of a file its name and checksum, not where it lies."""
        return {name: self._identified(name, value) for name, value in super().identity().items()}

    def _identified(self, name: str, value: Any) -> Json:
        if name in self.paths and value is not None:
            return _file_identity(value)
        found: Json = value.value if isinstance(value, Enum) else value
        return found

    def _given(self, name: str, value: Any) -> Any:
        if isinstance(value, Arguments):
            return value.build()
        return Path(value) if name in self.paths and value is not None else value


def arguments_of(phase: Callable[..., Any], arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> type[Arguments]:
    """The parameters that stand for the constructor's arguments, with the values given as defaults.

    Raises
    ------
    ConfigError
        They do not fit the constructor, or one of them cannot stand in a key.
    """
    name = getattr(phase, "__name__", repr(phase))
    try:
        bound = inspect.signature(phase).bind(*arguments, **keywords)
    except TypeError as error:
        raise ConfigError(f"phase {name!r}: {error}. Give it what its constructor takes.") from error
    bound.apply_defaults()
    values: dict[str, Any] = {}
    for parameter in bound.signature.parameters.values():
        given = bound.arguments[parameter.name]
        if parameter.kind is parameter.VAR_KEYWORD:
            values |= given
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            values[parameter.name] = given
        elif given:
            raise ConfigError(f"phase {name!r}: its constructor takes any number of arguments (*{parameter.name}); give them names.")
    return _model(phase, values, _hints(getattr(phase, "__init__", phase)), name)


def _model(makes: Callable[..., Any], values: Mapping[str, Any], hints: Mapping[str, Any], where: str) -> type[Arguments]:
    fields: dict[str, Any] = {}
    paths = set()
    for name, value in values.items():
        hint = hints.get(name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            inner = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
            model = _model(type(value), inner, _hints(type(value)), f"{where}.{name}")
            fields[name] = (model, model())
        elif isinstance(value, Path) or hint is Path or Path in get_args(hint):
            paths.add(name)
            fields[name] = (str | None if type(None) in get_args(hint) else str, None if value is None else str(value))
        else:
            fields[name] = (_kind(hint, value, f"{where}.{name}"), value)
    made: type[Arguments] = create_model(f"{getattr(makes, '__name__', 'Phase')}Arguments", __base__=Arguments, **fields)
    made.makes = makes
    made.paths = frozenset(paths)
    return made


def _hints(owner: Any) -> Mapping[str, Any]:
    try:
        return get_type_hints(owner)
    except (NameError, TypeError):  # annotations that only a type checker can resolve
        return {}


def _kind(hint: Any, value: Any, where: str) -> Any:
    """The type of a field: the annotation where all of it is plain, else that of the value."""
    if hint is not None and _is_plain(hint):
        return hint
    if isinstance(value, Enum) or _is_json(value):
        return type(value)
    raise ConfigError(
        f"phase {where}: a value of type {type(value).__name__!r} cannot stand in a key. "
        "Give numbers, text, paths, lists of these, or a dataclass of these."
    )


def _is_json(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_json(v) for v in value)
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_json(v) for k, v in value.items())
    return isinstance(value, _PLAIN)


def _is_plain(hint: Any) -> bool:
    if hint in _PLAIN or get_origin(hint) is Literal:
        return True
    union = get_origin(hint) in (Union, types.UnionType)
    return (union or get_origin(hint) in _NESTING) and all(a is Ellipsis or _is_plain(a) for a in get_args(hint))


def _file_identity(text: str) -> Json:
    path = Path(text)
    if not path.is_file():
        return {"path": text}
    stat = path.stat()
    return {"file": path.name, "sha256": _digest(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)}


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    return hash_file(path)
