"""Takes values from events: a stream, a field of its message, a channel and a region of that, and perhaps a statistic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from penstock.core.errors import BadEvent, ConfigError
from penstock.events.reduction_params import FieldSelection, ScalarSelection, Selection
from penstock.events.reductions.base import Array, Layout, Selected
from penstock.stream.models import EventData
from penstock.stream.protocols import Parse, parse

__all__ = ["DATA_MESSAGES", "Selector", "layout_of", "select"]

DATA_MESSAGES = frozenset(
    [
        "AlbaemValues",
        "ContrastRunning",
        "EigerImage",
        "LecroyTraces",
        "PcapValues",
        "PositioncapValues",
        "SardanaRecordData",
        "StinsImage",
        "XspressImage",
    ]
)
"""Classes of messages that belong to one trigger; all others open or close a series, or say that a program is alive."""

_STATISTICS: dict[str, Callable[[Array], Any]] = {"sum": np.sum, "mean": np.mean, "min": np.min, "max": np.max}
UNKNOWN_TIME = int(np.iinfo(np.int64).min)


class Selector:
    """Takes the selected values from the messages of one stream.

    Parameters
    ----------
    selection
        With the name of a stream.
    layout
        What the values look like (`layout_of`).
    """

    def __init__(self, selection: FieldSelection, layout: Layout) -> None:
        self.stream = selection.stream
        self.layout = layout
        self._where = _where(selection)
        self._ways = _ways(selection.field)
        self._cut = _cut(selection, layout.whole)
        self._statistic = _STATISTICS[selection.statistic] if isinstance(selection, ScalarSelection) else None

    def take(self, message: Any) -> Array:
        """The values of a data message.

        Raises
        ------
        BadEvent
            There is no such field in it, or its shape or type is not that of the other events.
        """
        values = _numbers(_find(message, self._ways, self._where), self._where)
        if values.shape != self.layout.whole or values.dtype != self.layout.dtype:
            raise BadEvent(
                f"{self._where} has shape {values.shape} and type {values.dtype}; that of the events before has {self.layout.whole} and {self.layout.dtype}."
            )
        if self._cut:
            values = values[self._cut]
        return values if self._statistic is None else self.reduce(values, self._statistic)

    def reduce(self, values: Array, statistic: Callable[[Array], Any]) -> Array:
        """A statistic of the valid values, as an array of shape (); NaN where there is none."""
        bad = self.layout.masked(values)
        if bad is not None:
            values = values[~bad]
        if values.size == 0:
            return np.array(np.nan)
        return np.asarray(statistic(values) if values.size > 1 else values.reshape(-1)[0], dtype=np.float64)


def select(selectors: Sequence[Selector], event: EventData, position: int, parsers: Mapping[str, Parse] | None = None) -> Selected | None:
    """What the selectors take from an event; None where one of their streams contributed no data message.

    Parameters
    ----------
    parsers
        What parses the messages of streams that make no sense alone, by stream. They must see the messages of all events, in order.

    Raises
    ------
    BadEvent
        A message is damaged, or a field is not there or of another layout.
    """
    messages: dict[str, Any] = {}
    for selector in selectors:
        name = selector.stream
        if name in messages:
            continue
        data = event.streams.get(name)
        if data is not None:
            messages[name] = (parsers or {}).get(name, parse)(data)
    if any(type(messages.get(s.stream)).__name__ not in DATA_MESSAGES for s in selectors):
        return None
    values = tuple(selector.take(messages[selector.stream]) for selector in selectors)
    created_at = UNKNOWN_TIME if event.created_at is None else event.created_at
    return Selected(position, event.event_number, created_at, _frame_of(messages[selectors[0].stream]), values)


def layout_of(selection: FieldSelection, message: Any) -> Layout:
    """What the values of all events look like, by one data message.

    Raises
    ------
    BadEvent
        There is no such field in it, or it is not numbers.
    ConfigError
        The channel or the region lies outside of the field.
    """
    where = _where(selection)
    values = _numbers(_find(message, _ways(selection.field), where), where)
    cut = _cut(selection, values.shape)
    origin = [part.start for part in cut if isinstance(part, slice)]
    shape = values[cut].shape
    origin += [0] * (len(shape) - len(origin))
    label = selection.field.removeprefix("fields.") if selection.field != "data" else selection.stream
    return Layout(values.shape, shape, tuple(origin), values.dtype, _limits(selection, values.dtype), selection.unit, label)


def _where(selection: FieldSelection) -> str:
    return f"stream {selection.stream!r}, field {selection.field!r}"


def _ways(field: str) -> tuple[tuple[str, ...], ...]:
    """All ways to read a dotted name, longest keys first: names of columns may have dots of their own."""

    def split(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for length in range(len(words), 0, -1):
            head = ".".join(words[:length])
            if length == len(words):
                yield (head,)
            for rest in split(words[length:]):
                yield (head, *rest)

    return tuple(split(tuple(field.split("."))))


def _find(message: Any, ways: tuple[tuple[str, ...], ...], where: str) -> Any:
    for way in ways:
        found = message
        for name in way:
            found = _member(found, name)
            if found is _ABSENT:
                break
        else:
            return found
    known = ", ".join(n for n in vars(message) if not n.startswith("_"))
    raise BadEvent(f"{where} is not in {type(message).__name__}; there are {known}.")


_ABSENT = object()


def _member(found: Any, name: str) -> Any:
    if isinstance(found, Mapping):
        return found.get(name, _ABSENT)
    if isinstance(found, list | tuple | np.ndarray):
        return found[int(name)] if name.isdecimal() and int(name) < len(found) else _ABSENT
    if name in ("data", "image") and hasattr(type(found), "image"):
        return found.image()
    return _ABSENT if name.startswith("_") else getattr(found, name, _ABSENT)


def _numbers(found: Any, where: str) -> Array:
    """As an array of real numbers in the machine's byte order; Python's own numbers become float64."""
    if isinstance(found, np.ndarray | np.generic):
        values = np.asarray(found)
    else:
        try:
            values = np.array(found, dtype=np.float64) if not isinstance(found, str | bytes) else np.empty(0, "V1")
        except (TypeError, ValueError, OverflowError):
            values = np.empty(0, "V1")
    if values.dtype.kind not in "biuf":
        raise BadEvent(f"{where} is {_short(found)}, expected real numbers.")
    if values.dtype.kind == "b":
        return values.view(np.uint8)
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _short(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _cut(selection: FieldSelection, shape: tuple[int, ...]) -> tuple[int | slice, ...]:
    """Index that takes the channel and the region of a field of that shape."""
    cut: list[int | slice] = []
    left = shape
    if selection.channel is not None:
        if not shape or selection.channel >= shape[0]:
            raise ConfigError(f"{_where(selection)} has shape {shape}; there is no channel {selection.channel}.")
        cut.append(selection.channel)
        left = shape[1:]
    region = selection.region if isinstance(selection, Selection) else ""
    parts = region.split(",") if region else []
    if len(parts) > len(left):
        raise ConfigError(f"{_where(selection)} has shape {left}; region {region!r} has {len(parts)} axes.")
    for part, length in zip(parts, left, strict=False):
        first, _, last = (text.strip() for text in part.partition(":"))
        start, stop = int(first or 0), int(last or length)
        if not start < stop <= length:
            raise ConfigError(f"{_where(selection)} has shape {left}; region {region!r} lies outside of it ({part.strip()!r} of {length}).")
        cut.append(slice(start, stop))
    return tuple(cut)


def _limits(selection: FieldSelection, dtype: np.dtype[Any]) -> tuple[Any, Any] | None:
    """Least and greatest valid value of a type; of floats all finite ones are valid. None where all are."""
    below, above = selection.valid_min, selection.valid_max
    if dtype.kind == "f":
        info = np.finfo(dtype)
        low = info.min if below is None else max(below, float(info.min))
        high = info.max if above is None else min(above, float(info.max))
        return dtype.type(low), dtype.type(high)
    whole = np.iinfo(dtype)
    low = whole.min if below is None else max(math.ceil(below), whole.min)
    high = whole.max if above is None else min(math.floor(above), whole.max)
    if selection.mask_top and dtype.kind == "u":
        high = min(high, whole.max - 1)
    if low > high:
        raise ConfigError(f"{_where(selection)} has type {dtype}; no value of it lies between valid_min {below!r} and valid_max {above!r}.")
    return None if (low, high) == (whole.min, whole.max) else (dtype.type(low), dtype.type(high))


def _frame_of(message: Any) -> int:
    for name in ("frame", "frame_number"):
        number = message.__dict__.get(name)
        if type(number) is int:
            return number
    return -1
