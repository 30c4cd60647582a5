"""Parts of a dataset as clients ask for them: ``[0:10:2,3,[1,5]]``, one entry a dimension."""

from __future__ import annotations

import re

from penstock.views.hsds._refusal import Refusal

__all__ = ["parse_selection"]

_ENTRY = re.compile(r"\[[^\]]*\]|[^,\[\]]+|(?<=,)(?=,|$)|^(?=,|$)")


def parse_selection(text: str | None, shape: tuple[int, ...]) -> tuple[slice | list[int], ...]:
    """One slice or list of indices a dimension; an index is a slice of one element. Ends beyond the shape are cut, as numpy does.

    Raises
    ------
    Refusal
        The text is no selection of that many dimensions (400).
    """
    if text is None or not shape:
        return tuple(slice(0, length) for length in shape)
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    entries = [entry.strip() for entry in _ENTRY.findall(inner)]
    if len(entries) != len(shape):
        raise Refusal(400, f"select={text}: it has {len(entries)} dimensions, the dataset has {len(shape)}.")
    try:
        chosen = tuple(_parse_entry(entry, length) for entry, length in zip(entries, shape, strict=True))
    except ValueError as error:
        raise Refusal(400, f"select={text}: {error}. Write start:stop:step, an index, or a list of indices a dimension.") from None
    if sum(isinstance(entry, list) for entry in chosen) > 1:
        raise Refusal(400, f"select={text}: only one dimension may have a list of indices.")
    return chosen


def _parse_entry(entry: str, length: int) -> slice | list[int]:
    if entry.startswith("["):
        return [_index(part, length) for part in entry[1:-1].split(",") if part.strip()]
    parts = entry.split(":")
    if len(parts) == 1 and entry:
        index = _index(entry, length)
        return slice(index, index + 1)
    if len(parts) > 3:
        raise ValueError(f"{entry!r} has too many colons")
    start, stop, step = (int(part) if part.strip() else None for part in (*parts, "", "")[:3])
    if min(start or 0, stop or 0) < 0 or (step is not None and step < 1):
        raise ValueError(f"{entry!r} counts from the end, or backwards")
    return slice(min(start or 0, length), length if stop is None else min(stop, length), step)


def _index(text: str, length: int) -> int:
    index = int(text)
    if not 0 <= index < length:
        raise ValueError(f"index {index} is not in 0 to {length - 1}")
    return index
