"""What the doctor says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from penstock.core.canonical import Json

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what to do about it."""

    what: str
    state: Literal["ok", "note", "problem"]
    detail: str
    advice: str = ""

    def __str__(self) -> str:
        """A line for people."""
        return f"{self.state:<8} {self.what}: {self.detail}{'.' if self.advice else ''} {self.advice}".rstrip()

    def as_json(self) -> dict[str, Json]:
        """The same for programs."""
        return {"what": self.what, "state": self.state, "detail": self.detail, "advice": self.advice}
