"""Figures of a benchmark, ours beside the peer's: as a table to read and, on the last line, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Goal", "Row", "format_table", "json_line", "missed"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that our value, or the ratio, has to keep."""

    bound: float
    of: Literal["ours", "ratio"] = "ours"
    side: Literal["least", "most", "within"] = "least"
    """`within`: no farther than the bound from `centre`."""
    centre: float = 0.0
    sure: bool = False
    """The bound has to hold also for a value that is two standard errors worse."""

    def __str__(self) -> str:
        if self.side == "within":
            low, high = self.centre - self.bound, self.centre + self.bound
            text = f"{low:g} to {high:g}" if self.centre else f"±{self.bound:g}"
        else:
            text = f"{'ratio ' if self.of == 'ratio' else ''}{'≥' if self.side == 'least' else '≤'} {self.bound:g}"
        return f"{text}, 2 s.e." if self.sure else text

    def kept(self, row: Row) -> bool | None:
        """Whether a row keeps the bound; None where it has no such figure, or no error where the bound has to be sure."""
        value = row.ratio if self.of == "ratio" else row.ours
        slack = (math.nan if row.error is None else 2.0 * row.error) if self.sure else 0.0
        if value is None or math.isnan(value) or math.isnan(slack):
            return None
        if self.side == "within":
            return bool(abs(value - self.centre) + slack <= self.bound)
        return bool(value - slack >= self.bound if self.side == "least" else value + slack <= self.bound)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    name: str
    unit: str
    ours: float | None
    """None where it was not measured."""
    peer: float | None = None
    error: float | None = None
    """Standard error of ours."""
    peer_error: float | None = None
    more_is_better: bool = False
    goal: Goal | None = None
    comparable: bool = True
    """Whether a ratio says anything: that of two biases does not."""

    @property
    def ratio(self) -> float | None:
        """How many times better ours is: peer over ours, or ours over peer where more is better."""
        if not self.comparable or self.ours is None or self.peer is None or math.isnan(self.ours) or math.isnan(self.peer):
            return None
        above, below = (self.ours, self.peer) if self.more_is_better else (self.peer, self.ours)
        return above / below if below else None


def format_table(title: str, rows: Sequence[Row], *, ours: str = "ours", peer: str = "peer") -> str:
    """A table as text: name, ours, peer, ratio, goal and whether it is kept."""
    header = ("", ours, peer, "ratio", "goal", "")
    lines = [header, *(_cells(row) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    text = [
        "  ".join(c.ljust(w) if k in (0, 4, 5) else c.rjust(w) for k, (c, w) in enumerate(zip(line, widths, strict=True))) for line in lines
    ]
    return "\n".join([title, *(line.rstrip() for line in text)])


def json_line(rows: Sequence[Row]) -> str:
    """All figures on one line: a list of ``{"name", "unit", "ours", "peer", "ratio"}``, null where there is none."""
    return json.dumps(
        [{"name": r.name, "unit": r.unit, "ours": _plain(r.ours), "peer": _plain(r.peer), "ratio": _plain(r.ratio)} for r in rows],
        allow_nan=False,
    )


def missed(rows: Sequence[Row]) -> list[Row]:
    """Rows whose goal is not kept, or cannot be judged."""
    return [row for row in rows if row.goal is not None and row.goal.kept(row) is not True]


def _cells(row: Row) -> tuple[str, ...]:
    kept = row.goal.kept(row) if row.goal else None
    verdict = "" if row.goal is None else {True: "kept", False: "MISSED", None: "not judged"}[kept]
    ratio = "" if row.ratio is None else f"{row.ratio:.2f} ×"
    name = f"{row.name} ({row.unit})" if row.unit else row.name
    return name, _value(row.ours, row.error), _value(row.peer, row.peer_error, absent=""), ratio, str(row.goal or ""), verdict


def _value(value: float | None, error: float | None, absent: str = "not measured") -> str:
    if value is None or math.isnan(value):
        return absent
    return f"{value:.4g}" if error is None or math.isnan(error) else f"{value:.4g} ± {error:.1g}"


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 6)
