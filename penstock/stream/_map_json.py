"""Trigger maps from JSON: what is wrong is named by part, stream and cell."""

from __future__ import annotations

from typing import Any

from penstock.core.errors import ConfigError
from penstock.stream._map_part import GENERIC, Cell, Part, VirtualWorker

__all__ = ["read_map"]


def read_map(document: Any) -> tuple[dict[str, Part], list[str]]:
    """Parts and sequence of ``{"parts": {name: {stream: [cell, ...]}}, "sequence": [name, ...]}``, also with ``{"mapping": {...}}`` around a part.

    A cell is null, or a list of ``{"constraint": number or null, "tags": [tag, ...]}``, both of which may be left out.
    """
    if not isinstance(document, dict) or document.keys() != {"parts", "sequence"}:
        found = f"an object with {', '.join(map(repr, document)) or 'nothing'}" if isinstance(document, dict) else _kind(document)
        raise ConfigError(f"trigger map: expected a JSON object with 'parts' and 'sequence', found {found}.")
    parts, sequence = document["parts"], document["sequence"]
    if not isinstance(parts, dict):
        raise ConfigError(f"trigger map: 'parts' is {_kind(parts)}, expected an object with a part under each name.")
    if not isinstance(sequence, list) or not all(isinstance(name, str) for name in sequence):
        raise ConfigError("trigger map: 'sequence' is not a list of names of parts.")
    return {name: _read_part(name, part) for name, part in parts.items()}, sequence


def _read_part(name: str, part: Any) -> Part:
    if isinstance(part, dict) and part.keys() == {"mapping"} and isinstance(part["mapping"], dict):
        part = part["mapping"]
    if not isinstance(part, dict):
        raise ConfigError(f"trigger map: part {name!r} is {_kind(part)}, expected an object with a list of cells for each stream.")
    known: dict[tuple[int | None, tuple[str, ...]], VirtualWorker] = {}
    cells = {}
    for stream, column in part.items():
        if not isinstance(column, list):
            raise ConfigError(f"trigger map: part {name!r}, stream {stream!r} is {_kind(column)}, expected a list of cells.")
        cells[stream] = [_read_cell(cell, known, (name, stream, place)) for place, cell in enumerate(column)]
    return Part.of(name, cells)


def _read_cell(cell: Any, known: dict[tuple[int | None, tuple[str, ...]], VirtualWorker], where: tuple[str, str, int]) -> Cell:
    if cell is None:
        return None
    if not isinstance(cell, list):
        raise ConfigError(f"{_at(where)} is {_kind(cell)}, expected null or a list of virtual workers.")
    workers = []
    for worker in cell:
        if not isinstance(worker, dict) or not worker.keys() <= {"constraint", "tags"}:
            found = f"an object with {', '.join(map(repr, worker))}" if isinstance(worker, dict) else _kind(worker)
            raise ConfigError(f"{_at(where)} holds {found}, expected virtual workers: objects with 'constraint' and 'tags'.")
        constraint, tags = worker.get("constraint"), worker.get("tags", list(GENERIC))
        if constraint is not None and type(constraint) is not int:
            raise ConfigError(f"{_at(where)} has the constraint {constraint!r}, expected a whole number or null.")
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise ConfigError(f"{_at(where)} has the tags {tags!r}, expected a list of words.")
        key = (constraint, tuple(tags))
        workers.append(known.setdefault(key, VirtualWorker(constraint, frozenset(tags))))
    return tuple(workers)


def _at(where: tuple[str, str, int]) -> str:
    return f"trigger map: part {where[0]!r}, stream {where[1]!r}, cell {where[2]}"


def _kind(value: Any) -> str:
    kinds = {type(None): "null", bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return kinds.get(type(value), type(value).__name__)
