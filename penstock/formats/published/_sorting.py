"""What the entries of a published dictionary are: groups, datasets, attributes, or nothing that can be published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["MAX_DEPTH", "Entries", "sort_entries"]

MAX_DEPTH = 32
"""Deepest group that is published: a dictionary that holds itself would have no end."""

_SUFFIX = "_attrs"


@dataclass(slots=True)
class Entries:
    """The entries of one group, each in published order.

    Attributes
    ----------
    own
        Attributes of the group itself.
    attributes
        Attributes by name of the member.
    refused
        Why an entry is none of these, by its key as text.
    """

    groups: dict[str, dict[Any, Any]] = field(default_factory=dict)
    datasets: dict[str, object] = field(default_factory=dict)
    attributes: dict[str, dict[Any, Any]] = field(default_factory=dict)
    own: dict[Any, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def sort_entries(group: dict[Any, Any]) -> Entries:
    """The entries of a dictionary. It may change meanwhile: its items are copied in one step."""
    entries = Entries()
    for key, value in list(group.items()):
        if not isinstance(key, str):
            entries.refused[str(key)] = f"the key is {type(key).__name__}, not text. Publish it as {str(key)!r}."
        elif key.endswith(_SUFFIX):
            if not isinstance(value, dict):
                entries.refused[key] = f"names that end in {_SUFFIX!r} hold attributes in a dict; this is {type(value).__name__}."
            elif key == _SUFFIX:
                entries.own = value
            else:
                entries.attributes[key[: -len(_SUFFIX)]] = value
        elif not key or key in (".", "..") or "/" in key:
            entries.refused[key] = "the name is empty, '.', '..' or has a '/'. Nest dicts to make groups."
        elif isinstance(value, dict):
            entries.groups[key] = value
        else:
            entries.datasets[key] = value
    return entries
