"""What phases say while they work: progress messages and log lines."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass

__all__ = [
    "MessageQueue",
    "StatusMessage",
    "get_spyral_logger",
    "spyral_debug",
    "spyral_error",
    "spyral_except",
    "spyral_info",
    "spyral_warn",
]

_LATEST = 1000


@dataclass
class StatusMessage:
    """How far a phase has come with a run."""

    phase: str
    increment: int
    total: int
    run: int

    def __str__(self) -> str:
        return f"Run {self.run} | Task: {self.phase} |"


class MessageQueue:
    """Where a phase puts its progress messages. The latest thousand are kept, so that a phase may look at them; none blocks."""

    def __init__(self) -> None:
        self._messages: deque[object] = deque(maxlen=_LATEST)

    def put(self, message: object) -> None:
        """Take a message."""
        logging.getLogger(__name__).debug("%s", message)
        self._messages.append(message)

    def get(self) -> object:
        """The oldest message that is still there."""
        return self._messages.popleft()

    def empty(self) -> bool:
        """Whether there is no message."""
        return not self._messages


def get_spyral_logger(module: str) -> logging.Logger:
    """The logger of a module, below ``spyral``."""
    return logging.getLogger(f"spyral.{module}")


def spyral_error(module: str, message: str) -> None:
    """Log an error."""
    get_spyral_logger(module).error(message)


def spyral_warn(module: str, message: str) -> None:
    """Log a warning."""
    get_spyral_logger(module).warning(message)


def spyral_info(module: str, message: str) -> None:
    """Log a remark."""
    get_spyral_logger(module).info(message)


def spyral_debug(module: str, message: str) -> None:
    """Log a detail."""
    get_spyral_logger(module).debug(message)


def spyral_except(module: str, exception: Exception) -> None:
    """Log an exception with its traceback."""
    get_spyral_logger(module).error("%s", exception, exc_info=exception)
