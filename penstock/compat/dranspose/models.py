"""What messages offer that worker code for dranspose uses: keywords with defaults, and ``model_dump`` and its like."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any, ClassVar

import orjson

from penstock.core.errors import BadEvent
from penstock.stream._deferred import DeferredMessage
from penstock.stream.models import StreamData
from penstock.stream.packet import Message

__all__ = ["Adapter", "Model", "rename"]


class Model(Message):
    """A message that can be made from keywords and turned into a dict again; mixed into the messages of each protocol."""

    defaults: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Values of fields that may be left out when a message is made by hand: keywords of the class."""

    def __init_subclass__(cls, **defaults: Any) -> None:
        super().__init_subclass__()
        cls.defaults = MappingProxyType(defaults)

    def __init__(self, **fields: Any) -> None:
        super().__init__(**vars(type(self).of({**deepcopy(dict(self.defaults)), **fields})))

    def _fields(self) -> dict[str, Any]:
        if isinstance(self, DeferredMessage):
            self._settle()
        return vars(self)

    @property
    def model_extra(self) -> dict[str, Any]:
        """Fields besides those that every such message has."""
        known = {*self.required, *self.defaults}
        return {name: value for name, value in self._fields().items() if name not in known}

    def model_dump(self, *, include: Collection[str] | None = None, exclude: Collection[str] = ()) -> dict[str, Any]:
        """All fields, or those of `include`, without those of `exclude`."""
        fields = self._fields()
        wanted = fields if include is None else include
        return {name: _dumped(value) for name, value in fields.items() if name in wanted and name not in exclude}

    def model_dump_json(self, *, include: Collection[str] | None = None, exclude: Collection[str] = ()) -> str:
        """The same as JSON text."""
        return orjson.dumps(self.model_dump(include=include, exclude=exclude)).decode()


def _dumped(value: Any) -> Any:
    """The value with messages in it turned into dicts too."""
    if isinstance(value, list) and value and isinstance(value[0], Model):
        return [message.model_dump() for message in value]
    return value


class Adapter:
    """Makes a message of a dict or of JSON: of the class that stands for the value of one field.

    Parameters
    ----------
    protocol
        Named in errors.
    field
        Field that tells what the message is.
    classes
        Class by value of that field.
    """

    def __init__(self, protocol: str, field: str, classes: Mapping[Any, type[Message]]) -> None:
        self._protocol, self._field, self._classes = protocol, field, classes

    def validate_python(self, fields: Mapping[str, Any]) -> Any:
        """The message with these fields.

        Raises
        ------
        BadEvent
            There is no such message, or a field is missing.
        """
        value = fields.get(self._field)
        if value not in self._classes:
            raise BadEvent(f"{self._protocol}: {self._field!r} is {value!r}; expected {', '.join(map(repr, self._classes))}.")
        return self._classes[value].of(dict(fields))

    def validate_json(self, text: str | bytes | memoryview) -> Any:
        """The message in a JSON object."""
        return self.validate_python(orjson.loads(text))


def rename(parse: Callable[[StreamData], Message], *classes: type[Model]) -> Callable[[StreamData], Any]:
    """A function that does what `parse` does and gives messages of these classes, each for the class that it has as its last base."""
    names: dict[type, type] = {cls.__bases__[-1]: cls for cls in classes}

    def parse_named(data: StreamData) -> Any:
        """The message in the frames that a stream contributes to an event."""
        message = parse(data)
        message.__class__ = names[type(message)]
        return message

    return parse_named
