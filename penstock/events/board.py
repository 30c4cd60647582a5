"""The board on which parameters stand while a replay runs: read by workers and reducer, set over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from penstock.core.errors import ConfigError, nearest
from penstock.stream.parameters import ParameterBase, WorkParameter, resolve_parameters

__all__ = ["ParameterBoard"]


class ParameterBoard:
    """All parameters of a replay; safe for threads.

    Attributes
    ----------
    values
        By name; a new mapping each time that one is set.
    pending
        Whether one was set and nobody has taken notice yet.
    """

    def __init__(self, described: Sequence[ParameterBase], given: Mapping[str, bytes]) -> None:
        self.descriptions = {p.name: p for p in described}
        self.values: dict[str, WorkParameter] = resolve_parameters(described, given)
        self.pending: list[str] = []
        self._lock = threading.Lock()

    def get(self, name: str) -> bytes:
        """The value as bytes.

        Raises
        ------
        KeyError
            There is no such parameter.
        """
        return self.values[name].data

    def set(self, name: str, data: bytes) -> None:
        """Give a parameter a new value, from the next event on.

        Raises
        ------
        KeyError
            Nobody described or gave such a parameter.
        ConfigError
            The bytes are no value of its type.
        """
        if name not in self.values:
            raise KeyError(f"parameter {name!r} is not known.{nearest(name, self.values)}")
        description = self.descriptions.get(name)
        value = description.read(data) if description is not None else None
        with self._lock:
            self.values = {**self.values, name: WorkParameter(name=name, data=data, value=value)}
            self.pending.append(name)

    def take_pending(self) -> list[str]:
        """Names of parameters that were set since the last call."""
        with self._lock:
            names, self.pending = self.pending, []
        return names

    def list(self) -> list[ParameterBase]:
        """The descriptions, by name."""
        return [self.descriptions[name] for name in sorted(self.descriptions)]


def parse_values(items: Mapping[str, object]) -> dict[str, bytes]:
    """Values of experiment.toml as bytes: text as it is, numbers and truth values as they are printed.

    Raises
    ------
    ConfigError
        A value is neither text nor a number nor a truth value.
    """
    for name, value in items.items():
        if not isinstance(value, str | int | float | bool):
            raise ConfigError(f"parameter {name!r}: {value!r} is neither text nor a number nor true or false.")
    return {name: str(value).encode() for name, value in items.items()}
