"""How a user's methods are called."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.events._calls import bind, construct


class Written:
    """The ways in which process_event is written; each returns what it got."""

    def plain(self, event: Any) -> Any:
        return (event,)

    def tutorial(self, event: Any, parameters: Any = None) -> Any:
        return event, parameters

    def reference(self, event: Any, parameters: Any, tick: Any) -> Any:
        return event, parameters, tick

    def named_otherwise(self, event: Any, settings: Any, tick: Any) -> Any:
        return event, settings, tick

    def other_order(self, event: Any, tick: Any, settings: Any) -> Any:
        return event, settings, tick

    def spread(self, event: Any, *args: Any, parameters: Any = None, **kwargs: Any) -> Any:
        return event, args, parameters, kwargs

    def all_spread(self, event: Any, *args: Any, **kwargs: Any) -> Any:
        return event, args, kwargs

    def only_tick(self, event: Any, tick: bool = False) -> Any:
        return event, tick

    def by_keyword(self, event: Any, *, tick: Any, parameters: Any) -> Any:
        return event, parameters, tick


@pytest.mark.parametrize(
    "name, got",
    [
        ("plain", ("E",)),
        ("tutorial", ("E", "P")),
        ("reference", ("E", "P", "T")),
        ("named_otherwise", ("E", "P", "T")),
        ("other_order", ("E", "P", "T")),
        ("spread", ("E", (), "P", {"tick": "T"})),
        ("all_spread", ("E", ("P", "T"), {})),
        ("only_tick", ("E", "T")),
        ("by_keyword", ("E", "P", "T")),
    ],
)
def test_methods_get_what_they_accept_by_name_or_else_by_position(name: str, got: tuple[Any, ...]) -> None:
    assert bind(getattr(Written(), name), 1, ("parameters", "tick"))("E", "P", "T") == got


def test_a_method_without_arguments_is_called_without() -> None:
    assert bind(lambda: 5.0, 0, ("parameters",))("P") == 5.0


class Nothing:
    """Without a constructor."""


class Bare:
    def __init__(self) -> None:
        self.got: Any = ()


class Spread:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.got: Any = (args, kwargs)


class Some:
    def __init__(self, parameters: Any, context: Any = None) -> None:
        self.got: Any = (parameters, context)


class Renamed:
    def __init__(self, settings: Any, size: int = 3) -> None:
        self.got: Any = (settings, size)


@pytest.mark.parametrize(
    "cls, got",
    [(Bare, ()), (Spread, ((), {"parameters": "P", "context": "C", "state": "S"})), (Some, ("P", "C")), (Renamed, ("P", 3))],
)
def test_constructors_get_what_they_accept(cls: type, got: Any) -> None:
    assert construct(cls, parameters="P", context="C", state="S").got == got


def test_a_class_without_constructor_is_made() -> None:
    assert isinstance(construct(Nothing, parameters="P"), Nothing)
