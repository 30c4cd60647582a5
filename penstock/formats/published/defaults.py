"""What to plot at once: NXdata attributes for trees that have none of their own.

The rule. A tree that names any of ``NX_class``, ``default`` or ``signal`` itself is left as it is. Else each group with something to plot, a
dataset of numbers with at least one dimension and two elements, becomes an NXdata group:

* signal: the dataset of most dimensions, the first of them as published; among curves one whose name is not that of an axis
  (`AXIS_NAMES`, or ending in ``axis``), the last one if all are.
* axes: a curve of the same length for each dimension, where only one fits; an axis ``x`` belongs to the last dimension, ``y`` to the one before.
  A curve with both ``x`` and ``y`` of its length is a scatter plot over them.

Every other group above one of these gets ``default``, the member whose signal has most dimensions, the first of them as published.
NeXus: https://manual.nexusformat.org/classes/base_classes/NXdata.html.
"""

from __future__ import annotations

from typing import Any

from penstock.formats.published._sorting import MAX_DEPTH, Entries, sort_entries

__all__ = ["AXIS_NAMES", "default_attributes"]

AXIS_NAMES = frozenset(
    [
        "x",
        "y",
        "z",
        "q",
        "r",
        "t",
        "tth",
        "two_theta",
        "2theta",
        "theta",
        "chi",
        "phi",
        "omega",
        "angle",
        "energy",
        "wavelength",
        "frequency",
        "time",
        "position",
        "radius",
        "channel",
        "bins",
    ]
)
_NAMED = ("NX_class", "default", "signal")
_Shapes = dict[str, tuple[int, ...]]


def default_attributes(tree: dict[Any, Any]) -> dict[str, dict[str, str | list[str]]]:
    """Attributes to add, by path of the group; empty where the tree has some of its own, or nothing to plot."""
    if _names_its_own(tree, 0):
        return {}
    found: dict[str, dict[str, str | list[str]]] = {}
    _decide(tree, "/", found, 0)
    return found


def _names_its_own(group: dict[Any, Any], depth: int) -> bool:
    entries = sort_entries(group)
    named = [entries.own, *entries.attributes.values()]
    if any(name in attributes for attributes in named for name in _NAMED):
        return True
    return depth < MAX_DEPTH and any(_names_its_own(member, depth + 1) for member in entries.groups.values())


def _decide(group: dict[Any, Any], path: str, found: dict[str, dict[str, str | list[str]]], depth: int) -> int:
    """Dimensions of what to plot in this group or below, 0 for nothing; its attributes go into `found`."""
    entries = sort_entries(group)
    best, default = 0, ""
    if depth < MAX_DEPTH:
        for name, member in entries.groups.items():
            rank = _decide(member, f"{path.rstrip('/')}/{name}", found, depth + 1)
            if rank > best:
                best, default = rank, name
    shapes = _plottable(entries)
    if shapes:
        signal = _choose_signal(shapes)
        found[path] = {"NX_class": "NXdata", "signal": signal, **_choose_axes(signal, shapes)}
        return len(shapes[signal])
    if best:
        found[path] = {"NX_class": "NXroot" if path == "/" else "NXentry", "default": default}
    return best


def _plottable(entries: Entries) -> _Shapes:
    outlines = {name: _outline(value) for name, value in entries.datasets.items() if not name.endswith("errors")}
    return {name: shape for name, (kind, shape) in outlines.items() if kind in "iufc" and len(shape) and _size(shape) > 1}


def _outline(value: Any) -> tuple[str, tuple[int, ...]]:
    """Kind and shape without a conversion: of a list as its first element says."""
    if isinstance(value, list | tuple):
        if not value:
            return "f", (0,)
        kind, shape = _outline(value[0])
        return kind, (len(value), *shape)
    dtype = getattr(value, "dtype", None)
    if dtype is not None and hasattr(dtype, "kind"):
        return dtype.kind, tuple(getattr(value, "shape", ()))
    if value is None or isinstance(value, float):
        return "f", ()
    return ("i", ()) if isinstance(value, int) and not isinstance(value, bool) else ("O", ())


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _is_axis(name: str) -> bool:
    return name.lower() in AXIS_NAMES or name.lower().endswith("axis")


def _choose_signal(shapes: _Shapes) -> str:
    most = max(len(shape) for shape in shapes.values())
    candidates = [name for name, shape in shapes.items() if len(shape) == most]
    if most > 1:
        return candidates[0]
    return next((name for name in candidates if not _is_axis(name)), candidates[-1])


def _choose_axes(signal: str, shapes: _Shapes) -> dict[str, list[str]]:
    shape = shapes[signal]
    curves = {name: found[0] for name, found in shapes.items() if len(found) == 1 and name != signal}
    if len(shape) == 1:
        fitting = [name for name, length in curves.items() if length == shape[0] and _is_axis(name)]
        if {"x", "y"} <= set(fitting):
            return {"axes": ["x", "y"]}
        return {"axes": fitting[:1]} if fitting else {}
    axes = [_fitting_curve(dimension, shape, curves) for dimension in range(len(shape))]
    return {"axes": axes} if any(name != "." for name in axes) else {}


def _fitting_curve(dimension: int, shape: tuple[int, ...], curves: dict[str, int]) -> str:
    fitting = [name for name, length in curves.items() if length == shape[dimension]]
    usual = {len(shape) - 1: "x", len(shape) - 2: "y"}.get(dimension)
    if usual in fitting:
        return str(usual)
    others = [name for name in fitting if name not in ("x", "y")]
    return others[0] if len(others) == 1 and shape.count(shape[dimension]) == 1 else "."
