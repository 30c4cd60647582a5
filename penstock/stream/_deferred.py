"""Messages of which some fields cost much and are not always wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.stream.packet import Message

__all__ = ["DeferredMessage"]


class DeferredMessage(Message):
    """A message some of whose fields are computed when they are first asked for.

    Printing, comparing and pickling ask for all of them. Asking for one of a damaged message raises `BadEvent`.
    """

    __slots__ = ("_later",)

    def defer(self, **fields: Callable[[], Any]) -> None:
        """Let these fields be what their functions return."""
        self._later = fields

    def __getattr__(self, name: str) -> Any:
        later: dict[str, Callable[[], Any]] = {} if name == "_later" else getattr(self, "_later", {})
        if name not in later:
            raise AttributeError(f"{type(self).__name__!r} has no field {name!r}; there are {', '.join([*self.__dict__, *later])}.")
        self.__dict__[name] = value = later[name]()
        del later[name]
        return value

    def _settle(self) -> None:
        for name in list(getattr(self, "_later", ())):
            getattr(self, name)

    def _shown(self) -> list[str]:
        self._settle()
        return super()._shown()

    def __getstate__(self) -> dict[str, Any]:
        self._settle()
        return self.__dict__
