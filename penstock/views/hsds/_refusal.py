"""Answers that are errors."""

from __future__ import annotations

__all__ = ["Refusal"]


class Refusal(Exception):
    """A request is answered with an error; the message goes to the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
