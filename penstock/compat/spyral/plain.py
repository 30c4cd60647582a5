"""Values as JSON: what a phase keeps in its members, or tells later phases, beside its files.

Paths within a workspace become relative to it, since each run has a workspace of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from penstock.core.canonical import Json

__all__ = ["NotPlain", "decode", "encode"]


class NotPlain(TypeError):
    """A value that JSON does not hold; the message says where in it and of which type."""


def encode(value: Any, workspace: Path, where: str = "") -> Json:
    """A value as JSON: numbers, text, paths, arrays, and lists, tuples and dictionaries of these.

    Raises
    ------
    NotPlain
        Some part of it is anything else.
    """
    if isinstance(value, str) and value.startswith(f"{workspace}/"):
        return {"$text": value.removeprefix(f"{workspace}/")}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return encode(value.item(), workspace, where)
    if isinstance(value, Path):
        if value.is_relative_to(workspace):
            return {"$workspace": value.relative_to(workspace).as_posix()}
        return {"$path": str(value)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"$array": value.tolist(), "dtype": value.dtype.str}
    if isinstance(value, tuple):
        return {"$tuple": [encode(v, workspace, f"{where}[{i}]") for i, v in enumerate(value)]}
    if isinstance(value, list):
        return [encode(v, workspace, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(k, str) and not k.startswith("$") for k in value):
        return {k: encode(v, workspace, f"{where}[{k!r}]") for k, v in value.items()}
    raise NotPlain(f"{where} is of type {type(value).__name__!r}")


def decode(value: Json, workspace: Path) -> Any:
    """The value that was encoded, its paths within another workspace."""
    if isinstance(value, list):
        return [decode(v, workspace) for v in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$workspace": str(relative)}:
            return workspace / relative
        case {"$text": str(relative)}:
            return f"{workspace}/{relative}"
        case {"$path": str(path)}:
            return Path(path)
        case {"$array": found, "dtype": str(dtype)}:
            return np.array(found, dtype=dtype)
        case {"$tuple": list(found)}:
            return tuple(decode(v, workspace) for v in found)
    return {k: decode(v, workspace) for k, v in value.items()}
