"""How methods of a user's class are called: by name where they accept the name, else by position.

So all the ways in which such methods are written work: ``(event)``, ``(event, parameters=None)``,
``(event, parameters, tick)``, ``(event, *args, parameters=None, **kwargs)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["bind", "construct"]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def bind(method: Callable[..., Any], leading: int, offered: Sequence[str]) -> Callable[..., Any]:
    """A function of `leading` arguments and then one for each name in `offered`, that calls `method` with what it accepts.

    Parameters
    ----------
    method
        A bound method, or a function without ``self``.
    leading
        How many arguments come first and always go by position, such as the event.
    offered
        Names of what may be passed besides, in the order of positional use.
    """
    by_place, by_name = _match(method, leading, offered)
    if by_name and _places(method, leading)[: len(by_name)] == [*offered[: len(by_name)]] == [*by_name]:
        # They stand in the order of positional use; by position a call takes half the time.
        by_place, by_name = tuple(range(len(by_name))), {}
    if len(by_place) == len(offered):
        return method
    if not by_name:
        taken = leading + len(by_place)
        return lambda *values: method(*values[:taken])
    names = tuple((name, leading + place) for name, place in by_name.items())
    return lambda *values: method(*values[:leading], **{name: values[place] for name, place in names})


def construct(cls: type, **offered: Any) -> Any:
    """An object of a user's class, given what its constructor accepts of `offered`."""
    names = tuple(offered)
    by_place, by_name = _match(cls, 0, names, spread=False)
    return cls(*(offered[names[i]] for i in by_place), **{name: offered[names[i]] for name, i in by_name.items()})


def _places(method: Callable[..., Any], leading: int) -> list[str]:
    """Names of the arguments that can go by position, behind the leading ones."""
    return [p.name for p in inspect.signature(method).parameters.values() if p.kind in _POSITIONAL][leading:]


def _match(
    method: Callable[..., Any], leading: int, offered: Sequence[str], *, spread: bool = True
) -> tuple[tuple[int, ...], dict[str, int]]:
    """Which of `offered` go by position, in order, and which by name; without `spread`, optional arguments of other names are left alone."""
    parameters = list(inspect.signature(method).parameters.values())
    lead = [p for p in parameters if p.kind in _POSITIONAL][:leading]
    takes_names = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    takes_places = spread and any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    known = {name: i for i, name in enumerate(offered)}
    by_name = {p.name: known[p.name] for p in parameters if p.kind in _NAMED and p.name in known and p not in lead}
    left = [i for i in known.values() if i not in by_name.values()]
    others = [
        p.name
        for p in parameters
        if p.kind in _POSITIONAL and p not in lead and p.name not in by_name and (spread or p.default is inspect.Parameter.empty)
    ]
    if not by_name and (takes_places or others or not takes_names):
        return tuple(left if takes_places else left[: len(others)]), {}
    by_name.update(zip(others, left, strict=False))
    if takes_names:
        by_name.update({offered[i]: i for i in left[len(others) :]})
    return (), by_name
