"""Parameters: everything that a stage declares to change its result.

Frozen pydantic models; units stand in the field names, bounds in ``Field``, one docstring under each field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_origin

from pydantic import BaseModel, ConfigDict

from penstock.core.canonical import Json

__all__ = ["Params", "field_paths"]


class Params(BaseModel):
    """Base of every stage's parameters: frozen, no extra fields, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, protected_namespaces=())

    def identity(self) -> dict[str, Json]:
        """The values as they enter the key.

        A field that came later may declare ``json_schema_extra={"neutral": value}``: at that value it is left out,
        so that keys made before the field existed stay valid.
        """
        identity: dict[str, Json] = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            extra = info.json_schema_extra
            if isinstance(extra, dict) and "neutral" in extra and value == extra["neutral"]:
                continue
            identity[name] = value.identity() if isinstance(value, Params) else _plain(value)
        return identity


def _plain(value: Any) -> Json:
    if isinstance(value, Mapping):
        return {name: _plain(v) for name, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def field_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted paths of all fields of a (nested) parameter model: ``hdbscan.min_points``; of a table of free names ``parameters.*``."""
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from field_paths(kind, f"{prefix}{name}.")
        elif get_origin(kind) is dict:
            yield f"{prefix}{name}.*"
        else:
            yield f"{prefix}{name}"
