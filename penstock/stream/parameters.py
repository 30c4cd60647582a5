"""Parameters of workers and reducers: described by name and type, set by file or over HTTP.

On the wire and in files a value is bytes; a description turns them into a typed value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field

from penstock.core.errors import ConfigError

__all__ = [
    "BinaryParameter",
    "BoolParameter",
    "FloatParameter",
    "IntParameter",
    "Parameter",
    "ParameterBase",
    "StrParameter",
    "Value",
    "WorkParameter",
    "hash_parameters",
    "resolve_parameters",
]

Value = int | str | bytes | float | bool | None


class ParameterBase(BaseModel):
    """A described parameter: its name, what it means, and its type."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(pattern=r"^[^:]+$")
    description: str | None = None
    dtype: str
    default: Any
    word: ClassVar[str] = ""

    def read(self, data: bytes) -> Value:
        """The value of these bytes.

        Raises
        ------
        ConfigError
            The bytes are no value of this type.
        """
        raise NotImplementedError

    def write(self, value: Value) -> bytes:
        """The bytes of a value."""
        return str(value).encode()

    def _refuse(self, data: bytes) -> ConfigError:
        shown = data[:40].decode(errors="replace")
        return ConfigError(f"parameter {self.name!r}: {shown!r} is not {self.word}.")


class StrParameter(ParameterBase):
    """Text, UTF-8."""

    dtype: Literal["str"] = "str"
    default: str = ""
    word: ClassVar[str] = "text (UTF-8)"

    def read(self, data: bytes) -> str:
        """The text."""
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise self._refuse(data) from None


class BinaryParameter(ParameterBase):
    """Bytes, such as the content of a file."""

    dtype: Literal["binary"] = "binary"
    default: bytes = b""

    def read(self, data: bytes) -> bytes:
        """The bytes as they are."""
        return data

    def write(self, value: Value) -> bytes:
        """The bytes as they are."""
        assert isinstance(value, bytes)
        return value


class IntParameter(ParameterBase):
    """A whole number, in decimal notation."""

    dtype: Literal["int"] = "int"
    default: int = 0
    word: ClassVar[str] = "a whole number"

    def read(self, data: bytes) -> int:
        """The number."""
        try:
            return int(data)
        except ValueError:
            raise self._refuse(data) from None


class FloatParameter(ParameterBase):
    """A number, in decimal notation."""

    dtype: Literal["float"] = "float"
    default: float = 0.0
    word: ClassVar[str] = "a number"

    def read(self, data: bytes) -> float:
        """The number."""
        try:
            return float(data)
        except ValueError:
            raise self._refuse(data) from None


class BoolParameter(ParameterBase):
    """True or false."""

    dtype: Literal["bool"] = "bool"
    default: bool = False
    word: ClassVar[str] = "'True' or 'False'"

    def read(self, data: bytes) -> bool:
        """Whether the bytes say true."""
        known = {b"true": True, b"1": True, b"false": False, b"0": False, b"": False}
        try:
            return known[data.strip().lower()]
        except KeyError:
            raise self._refuse(data) from None


Parameter = Annotated[StrParameter | BinaryParameter | IntParameter | FloatParameter | BoolParameter, Field(discriminator="dtype")]


class WorkParameter(BaseModel):
    """A parameter as workers and reducers get it.

    Attributes
    ----------
    data
        The value as bytes.
    value
        The typed value; None where nobody described the parameter.
    uuid
        Changes each time the parameter is set, also to the same value.
    """

    name: str
    data: bytes
    value: Value = None
    uuid: UUID = Field(default_factory=uuid4)

    def __repr__(self) -> str:
        data = self.data if len(self.data) <= 100 else self.data[:100] + b"..."
        value = self.value if not isinstance(self.value, str | bytes) or len(self.value) <= 100 else data
        return f"WorkParameter(name={self.name!r}, data={data!r}, value={value!r})"


def hash_parameters(parameters: Mapping[str, WorkParameter]) -> str:
    """SHA-256 over names and contents: equal values give equal hashes, whenever and however often they were set."""
    digest = hashlib.sha256()
    for name in sorted(parameters):
        data = parameters[name].data
        digest.update(f"{len(name.encode())}:{name}={len(data)}:".encode() + data)
    return digest.hexdigest()


def resolve_parameters(described: Iterable[ParameterBase], given: Mapping[str, bytes]) -> dict[str, WorkParameter]:
    """All parameters by name: those described, at their default where none is given, and given ones that nobody described.

    Raises
    ------
    ConfigError
        A given value does not have the described type, or two descriptions of one name differ in type.
    """
    descriptions: dict[str, ParameterBase] = {}
    for found in described:
        first = descriptions.setdefault(found.name, found)
        if first.dtype != found.dtype:
            raise ConfigError(
                f"parameter {found.name!r} is described as {first.dtype} and as {found.dtype}. Give one of the two another name."
            )
    resolved = {name: WorkParameter(name=name, data=data) for name, data in given.items() if name not in descriptions}
    for name, description in descriptions.items():
        data = given.get(name, description.write(description.default))
        resolved[name] = WorkParameter(name=name, data=data, value=description.read(data))
    return dict(sorted(resolved.items()))
