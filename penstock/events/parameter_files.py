"""Files of parameters: a list of ``{"name": ..., "data": ...}`` as JSON, CBOR, or, where that is allowed, pickle."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

from penstock.core.errors import ConfigError

__all__ = ["read_parameters", "write_parameters"]


def read_parameters(path: Path, *, allow_pickle: bool = False) -> dict[str, bytes]:
    """Values by name. Text in the file becomes UTF-8.

    Parameters
    ----------
    allow_pickle
        Whether a pickle may be loaded, which runs whatever code is in it.

    Raises
    ------
    ConfigError
        The file is not there, not of these forms, or an entry has no name or data.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    entries = _entries(path, content, allow_pickle)
    if not isinstance(entries, list | tuple):
        raise ConfigError(f"{path}: holds {type(entries).__name__}, not a list of parameters such as [{{'name': 'till_x', 'data': '3'}}].")
    values: dict[str, bytes] = {}
    for place, entry in enumerate(entries):
        name, data = (entry.get("name"), entry.get("data")) if hasattr(entry, "get") else (None, None)
        if not isinstance(name, str) or not isinstance(data, str | bytes):
            raise ConfigError(f"{path}: entry {place} is {entry!r}; it needs a 'name' and 'data', which is text or bytes.")
        values[name] = data.encode() if isinstance(data, str) else data
    return values


def _entries(path: Path, content: bytes, allow_pickle: bool) -> Any:
    try:
        return json.loads(content.decode())
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: not JSON ({error}).") from error
    except UnicodeDecodeError:
        pass
    if content[:1] == b"\x80" and content[-1:] == b".":
        if not allow_pickle:
            raise ConfigError(f"{path}: this is a pickle, which can run any code when it is loaded. If you trust it, add --allow-pickle.")
        return pickle.loads(content)  # noqa: S301  the user said that the file is trusted
    import cbor2

    try:
        return cbor2.loads(content)
    except (cbor2.CBORDecodeError, ValueError) as error:
        raise ConfigError(f"{path}: neither JSON nor CBOR ({error}).") from error


def write_parameters(path: Path, values: dict[str, bytes]) -> None:
    """Write values as JSON where all of them are text, else as CBOR."""
    try:
        path.write_text(json.dumps([{"name": name, "data": data.decode()} for name, data in values.items()], indent=1) + "\n")
    except UnicodeDecodeError:
        import cbor2

        path.write_bytes(cbor2.dumps([{"name": name, "data": data} for name, data in values.items()]))
