"""Raw runs of the toy: text, one line an event (number, switch, values), closed by a line ``end``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np

from penstock.core.errors import BadRun
from toyline.schemas import Raw

__all__ = ["ToyRun", "write_run"]


def write_run(folder: Path, run: int, n_events: int = 20, switches: Mapping[int, str] | None = None, *, seed: int = 0) -> Path:
    """Write a run of `n_events` events; `switches` says which of them misbehave, and how."""
    rng = np.random.default_rng([seed, run])
    lines = []
    for event in range(n_events):
        values = " ".join(f"{v:.6f}" for v in rng.random(int(rng.integers(0, 12))))
        lines.append(f"{event} {(switches or {}).get(event, 'ok')} {values}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"toy_{run:04d}.txt"
    path.write_text("\n".join([*lines, "end"]) + "\n")
    return path


class ToyRun:
    """Reads a run; the whole file is in memory."""

    bytes_per_event = 1000

    def __init__(self, path: Path) -> None:
        lines = path.read_text().splitlines()
        if not lines or lines.pop() != "end":
            raise BadRun(f"{path.name}: the file is truncated")
        self._events = [line.split() for line in lines]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._events = []

    @property
    def n_events(self) -> int:
        return len(self._events)

    def read(self, start: int, stop: int, step: int = 1) -> Raw:
        chosen = [self._events[i] for i in range(start, stop, step)]
        values = [np.array(words[2:], dtype="f8") for words in chosen]
        offsets = np.concatenate(([0], np.cumsum([v.size for v in values], dtype=np.int64))).astype(np.int64)
        return Raw(
            n_events=len(chosen),
            columns={
                "events": {
                    "event": np.array([int(words[0]) for words in chosen], dtype="i8"),
                    "switch": np.array([words[1] for words in chosen], dtype="U200"),
                },
                "values": {"value": np.concatenate([*values, np.zeros(0)])},
            },
            offsets={"values": offsets},
        )
