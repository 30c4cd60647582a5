"""Canonical JSON and digests: one text for one value, so that equal recipes have equal keys."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

__all__ = ["Json", "Key", "canonical_json", "digest_key"]

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


class Key(str):
    """Content address of a result: 32 base32 characters (160 bits of SHA-256)."""

    __slots__ = ()

    @property
    def short(self) -> str:
        """The ten characters that people see."""
        return self[:10]


def canonical_json(value: Json) -> str:
    """JSON with sorted keys, no white space and the shortest exact form of each number; NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_key(value: Json) -> Key:
    """The key of a recipe: first 160 bits of SHA-256 over its canonical JSON, in lower-case base32."""
    digest = hashlib.sha256(canonical_json(value).encode()).digest()[:20]
    return Key(base64.b32encode(digest).decode().lower())
