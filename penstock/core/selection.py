"""Which runs and which events a request is about: run ranges and event selections, as text and as values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from penstock.core.errors import ConfigError

__all__ = ["RUN_RANGE_PATTERN", "EventSelection", "RunRange", "spans"]

_PART = re.compile(r"(!?)(\d+)(?:-(\d+))?$")
_MOST = 1_000_000
_LAST = re.compile(r"last:(\d+)$")
_ANY_PART = r"\s*(all|last:\d+|!?\d+(-\d+)?)\s*"
RUN_RANGE_PATTERN = f"^{_ANY_PART}(,{_ANY_PART})*$"
"""What every run range looks like, for forms and schemas."""


@dataclass(frozen=True, slots=True)
class RunRange:
    """A set of run numbers such as ``94-110,115,!100``; ``last:50`` and ``all`` refer to the runs on disk."""

    text: str

    def __post_init__(self) -> None:
        self.expand(())

    def expand(self, available: Sequence[int]) -> list[int]:
        """The run numbers, ascending, without repetition.

        Parameters
        ----------
        available
            Runs on disk; only ``last:N`` and ``all`` look at them.
        """
        wanted: set[int] = set()
        excluded: set[int] = set()
        for part in (p.strip() for p in self.text.split(",")):
            if part == "all":
                wanted.update(available)
            elif last := _LAST.match(part):
                wanted.update(sorted(available)[-int(last[1]) :])
            elif match := _PART.match(part):
                first, end = int(match[2]), int(match[3] or match[2])
                if end < first:
                    raise ConfigError(f"run range {self.text!r}: {part!r} ends before it begins. Write {end}-{first}.")
                if end - first >= _MOST:
                    raise ConfigError(f"run range {self.text!r}: {part!r} holds more than {_MOST} runs.")
                (excluded if match[1] else wanted).update(range(first, end + 1))
            else:
                raise ConfigError(
                    f"run range {self.text!r}: {part!r} is not understood. Write for example 94-110,115,!100 or last:50 or all."
                )
        return sorted(wanted - excluded)

    @property
    def is_fixed(self) -> bool:
        """Whether it names run numbers only, so that it means the same whatever lies on disk."""
        return all(_PART.match(part.strip()) for part in self.text.split(","))


@dataclass(frozen=True, slots=True)
class EventSelection:
    """Some events of a run, by their position (from 0) in the run's file: ``start:stop:step``."""

    start: int = 0
    stop: int | None = None
    step: int = 1

    @classmethod
    def parse(cls, text: str) -> EventSelection:
        """Read ``0:500``, ``first:N`` or ``every:K``; ``first:500`` and ``0:500`` are the same selection."""
        if match := re.match(r"first:(\d+)$", text):
            selection = cls(stop=int(match[1]))
        elif match := re.match(r"every:(\d+)$", text):
            selection = cls(step=int(match[1]))
        elif match := re.match(r"(\d*):(\d*)(?::(\d+))?$", text):
            selection = cls(int(match[1] or 0), int(match[2]) if match[2] else None, int(match[3] or 1))
        else:
            raise ConfigError(f"event selection {text!r} is not understood. Write 0:500, first:100 or every:10.")
        if selection.step < 1 or (selection.stop is not None and selection.stop <= selection.start):
            raise ConfigError(f"event selection {text!r} selects no event.")
        return selection

    def __str__(self) -> str:
        return f"{self.start}:{'' if self.stop is None else self.stop}:{self.step}"

    def positions(self, n_events: int) -> range:
        """Positions in a run of `n_events` events."""
        return range(n_events)[self.start : self.stop : self.step]

    @property
    def is_everything(self) -> bool:
        """Whether no event is left out."""
        return self == EventSelection()


def spans(numbers: Iterable[int]) -> str:
    """``94-96, 98``: the shortest text for a sorted list of numbers."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
