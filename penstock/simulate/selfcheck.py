"""What a family checks itself with: a small simulated run, its way through the stages, and what must come out.

Further families enter `FAMILIES`; whoever runs the checks asks nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.core.canonical import Key
from penstock.core.stage import load_dotted
from penstock.store import Store

__all__ = ["FAMILIES", "RUN", "Check", "Selfcheck", "at_least", "at_most", "equal", "load_selfcheck"]

RUN = 1
"""Number of the run that is simulated."""

FAMILIES = {
    "tpc": "penstock.simulate.selfcheck_tpc:SELFCHECK",
    "events": "penstock.simulate.selfcheck_events:SELFCHECK",
}
"""Where each family declares its self-check."""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison with the truth."""

    what: str
    found: str
    expected: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Selfcheck:
    """How a family checks itself.

    Attributes
    ----------
    prepare
        Writes raw files and ``experiment.toml`` of run `RUN` into a folder.
    compare
        Compares the artifacts of its stages, by name, with the truth in that folder.
    """

    prepare: Callable[[Path], None]
    compare: Callable[[Path, Store, Mapping[str, Key]], list[Check]]


def load_selfcheck(family: str) -> Selfcheck:
    """The self-check of a family."""
    found: Selfcheck = load_dotted(FAMILIES[family])
    return found


def at_least(what: str, found: float, bound: float) -> Check:
    """A check that a value is not below a bound; NaN never passes."""
    return Check(what, f"{found:.4g}", f"at least {bound:g}", found >= bound)


def at_most(what: str, found: float, bound: float) -> Check:
    """A check that a value is not above a bound; NaN never passes."""
    return Check(what, f"{found:.4g}", f"at most {bound:g}", found <= bound)


def equal(what: str, found: int, expected: int) -> Check:
    """A check that two whole numbers are the same."""
    return Check(what, str(found), str(expected), found == expected)
