"""What took an event: names of the values of the V977 coincidence register, and how often each came."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TRIGGERS", "count_triggers"]

TRIGGERS = {-1: "no register", 0: "none", 1: "mesh", 2: "ion-chamber down-scale", 3: "mesh and ion-chamber down-scale"}
"""Name of each known value; -1 stands for an event without a register."""


def count_triggers(register: NDArray[np.integer[Any]]) -> dict[str, int]:
    """How many events each trigger took.

    Parameters
    ----------
    register
        Values of the register, (events,): ``coincidence`` of traces, ``trigger`` of point clouds.

    Returns
    -------
    dict
        Events by name of the trigger, in ascending order of the value; an unknown value goes by ``unknown 17``. Triggers
        that took no event are left out.
    """
    values, counts = np.unique(register, return_counts=True)
    return {TRIGGERS.get(value, f"unknown {value}"): count for value, count in zip(values.tolist(), counts.tolist(), strict=True)}
